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

    console.rule("3. stream", align="left")
    batches = min(len(plan), MOST_SAMPLES) // BATCH_SIZE
    readings = _read_all(plan, batches, console)
    found = shares(plan, batches * BATCH_SIZE)
    report.show_shares(console, found)
    report.show_readings(console, readings)

    console.rule("4. stop in the middle, go on with other workers", align="left")
    _resume(plan, batches, console)

    seconds = time.perf_counter() - begin
    others = ", ".join(path.name for path in specs if path.name != SPEC)
    console.print(f"\nplan {plan.digest}\ndone in {seconds:.1f} s; other specs to try in {directory}: {others}")
    speeds = {reading.name: reading.samples_per_second for reading in readings}
    return Outcome(plan.digest, corpus.documents, batches * BATCH_SIZE, found, speeds, seconds)


def _plan(directory: Path, console: Console) -> Plan:
    spec = mixtera.load(str(directory / SPEC))
    catalog = mixtera.Catalog.open(str(directory / "catalog"))
    indexed = catalog.index(spec)
    console.print(f"indexed {indexed.samples:,} samples of {indexed.files:,} files in {indexed.seconds:.1f} s")
    plan = mixtera.compile(spec, catalog)
    console.print(str(mixtera.explain(plan)), markup=False, highlight=False, soft_wrap=True)
    plan.save(str(directory / "plan"))
    return mixtera.Plan.open(str(directory / "plan"))


def _read_all(plan: Plan, batches: int, console: Console) -> list[Reading]:
    """Every reader that is installed, each checked against the plan. PyTorch first: its workers fork."""
    planned = plan.samples(0, batches * BATCH_SIZE).column("sample").to_numpy()
    found = []
    for package, read in (("torch", readers.read_torch), ("jax", readers.read_jax), ("pyarrow", readers.read_arrow)):
        if not readers.is_installed(package):
            console.print(report.missing(package))
            continue
        reading = read(plan, batches)
        readers.check_same(planned, reading.samples, reading.name)
        found.append(reading)
    return found


def _resume(plan: Plan, batches: int, console: Console) -> None:
    planned = plan.samples(0, batches * BATCH_SIZE).column("sample").to_numpy()
    with_torch = readers.is_installed("torch")
    got = readers.resume_torch(plan, batches) if with_torch else readers.resume_arrow(plan, batches)
    readers.check_same(planned, got, "the resumed run")
    who = f"{readers.WORKERS} workers, then {readers.OTHER_WORKERS}" if with_torch else "one stream, then another"
    stopped = batches // 2 * BATCH_SIZE
    console.print(f"{who}: stopped at position {stopped:,}; all {len(got):,} samples are the planned ones, in order")
