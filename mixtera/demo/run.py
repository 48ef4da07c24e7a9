"""The whole way: corpus → index → explain → compile → stream to PyTorch and JAX → resume, each step checked."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import mixtera
from mixtera.demo import readers, report
from mixtera.demo.corpus import build
from mixtera.demo.installation import Installation
from mixtera.demo.readers import BATCH_SIZE, Reading
from mixtera.demo.shares import Share, shares
from mixtera.demo.specs import copy_specs

if TYPE_CHECKING:
    from rich.console import Console

    from mixtera.plan import Plan

SPEC: Final = "demo.yaml"
MOST_SAMPLES: Final = 20_000


@dataclass(frozen=True)
class Outcome:
    """What the demo found, for programs.

    Attributes:
        digest: Digest of the plan.
        documents: Documents in the corpus, by kind.
        samples: Samples that were read.
        shares: Asked and realised shares.
        readings: Each reader's speed in samples per second.
        seconds: The whole demo.
    """

    digest: str
    documents: dict[str, int]
    samples: int
    shares: list[Share]
    readings: dict[str, float]
    seconds: float

    def to_json(self) -> dict[str, object]:
        """As JSON values."""
        return asdict(self)


def run_demo(directory: Path, console: Console, installation: Installation | None = None) -> Outcome:
    """Run the demo in a directory; all it makes lies there.

    Args:
        directory: Created when it does not exist.
        console: Where it tells what it does.
        installation: Whose files become the corpus; by default those of the running interpreter.

    Raises:
        MixteraError: A step failed, or two readers saw different samples.
    """
    begin = time.perf_counter()
    console.rule("1. a corpus of this machine's own files", align="left")
    corpus = build(directory / "corpus", installation or Installation.current())
    report.show_corpus(console, corpus, time.perf_counter() - begin)
    specs = copy_specs(directory)

    console.rule("2. index, explain, compile", align="left")
    plan = _plan(directory, console)

    console.rule("3. stream, stop in the middle, go on", align="left")
    batches = min(len(plan), MOST_SAMPLES) // BATCH_SIZE
    readings = _read(plan, batches, console)
    found = shares(plan, batches * BATCH_SIZE)
    report.show_shares(console, found)
    report.show_readings(console, readings)

    seconds = time.perf_counter() - begin
    report.show_end(console, plan.digest, seconds, directory, [path.name for path in specs if path.name != SPEC])
    speeds = {reading.name: reading.samples_per_second for reading in readings}
    return Outcome(plan.digest, corpus.documents, batches * BATCH_SIZE, found, speeds, seconds)


def _plan(directory: Path, console: Console) -> Plan:
    spec = mixtera.load(str(directory / SPEC))
    catalog = mixtera.Catalog.open(str(directory / "catalog"))
    indexed = catalog.index(spec)
    report.show_indexed(console, indexed)
    plan = mixtera.compile(spec, catalog)
    report.say(console, str(mixtera.explain(plan)))
    plan.save(str(directory / "plan"))
    return mixtera.Plan.open(str(directory / "plan"))


def _read(plan: Plan, batches: int, console: Console) -> list[Reading]:
    """Read and resume with whatever is installed, checked against the plan. PyTorch before JAX: its workers fork."""
    planned = plan.samples(0, batches * BATCH_SIZE).column("sample").to_numpy()
    with_torch = readers.is_installed("torch")
    readings = [readers.read_arrow(plan, batches)]
    if with_torch:
        readings.append(readers.read_torch(plan, batches))
    resumed = readers.resume_torch(plan, batches) if with_torch else readers.resume_arrow(plan, batches)
    if readers.is_installed("jax"):
        readings.append(readers.read_jax(plan, batches))
    for reading in readings:
        readers.check_same(planned, reading.samples, reading.name)
        report.show_same(console, reading)
    readers.check_same(planned, resumed, "the resumed run")
    report.show_resumed(console, batches // 2 * BATCH_SIZE, with_torch)
    report.show_missing(console, [package for package in ("torch", "jax") if not readers.is_installed(package)])
    return readings
