"""`python -m benchmarks.training`: whether a training waits for its data, beside the same training that has no data.

A GPT trains on a GPU, or a small one on a CPU: on rows that are packed out of text on disk, out of token files, and out
of text on S3 (a real server, SeaweedFS), through the loader with several numbers of workers; and on one batch that lies
on the device all the time, which is the reference. All take turns, each turn with a new loader, and the reference runs
twice in each round: how far its two rates differ is what other differences mean nothing below. Steps are not waited for
one by one, as in any training; the clock begins and ends where the device is waited for.

The wait is the time in `next(batches)`. The gap is the time on the device's own clock from the end of a step to the
beginning of the next one: what a wait, a copy or a report really costs, once the device has nothing else to do.

With `--through-service`, text is also trained on through a job of `mixtera serve` that follows the losses (ADO): each
step reports losses by component, so it waits for the device. Its reference does the same without data.

Afterwards: how fast each loader is when nothing trains, and whether a training that was stopped and goes on with
another number of workers gets the batches, byte for byte, of one that went through.
"""

from __future__ import annotations

import argparse
import io
import itertools
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

import mixtera
from benchmarks.gpt import CPU_SHAPE, GPU_SHAPE, Shape, Trainer
from benchmarks.service import serving
from benchmarks.training_plans import SOURCES, make_plan, write_corpus
from mixtera.adapters.torch import loader
from mixtera.adapters.torch.losses import component_sums, report
from mixtera.service.directory import create
from tests.storage.weed import Weed

HERE: Final = Path(__file__).parent
NEEDED: Final = ("tokens", "position_ids", "loss_mask", "component_id")
REFERENCE: Final = "batch on the device"
REPORTING: Final = "batch on the device, losses read"
HEADERS: Final = (
    "what trains",
    "steps/s",
    "tokens/s",
    "of its reference",
    "in each round",
    "wait p50 / p99 / max, ms",
    "share of time in waits",
    "gap p50 / p99, ms",
    "first batch, ms",
    "loader alone, tokens/s",
)


@dataclass(frozen=True)
class Turn:
    """What one turn measured: seconds of all steps, of each wait and gap, and until the first batch."""

    steps: int
    seconds: float
    waits: Sequence[float]
    gaps: Sequence[float]
    first: float


@dataclass
class Variant:
    """One thing that trains.

    Attributes:
        name: What it is called.
        reference: The name of what it is compared with.
        begin: Begins to deliver batches; gets the number of its turn.
        after: Called behind each step with the step, the batch and its losses.
        turns: What was measured.
        alone: Tokens per second of the loader when nothing trains.
    """

    name: str
    reference: str
    begin: Callable[[int], Iterable[dict]]
    after: Callable[[int, dict, torch.Tensor], None] | None = None
    end: Callable[[], None] = lambda: None
    turns: list[Turn] = field(default_factory=list)
    alone: float | None = None


class Clock:
    """Moments of the device, or of this process where that is the device."""

    def __init__(self, device: torch.device) -> None:
        self._cuda = device.type == "cuda"

    def mark(self) -> Any:
        """The moment at which all that was asked for before is done; nobody waits for it."""
        if not self._cuda:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def seconds(self, first: Any, second: Any) -> float:
        """From one to the other, both past."""
        return float(first.elapsed_time(second) / 1000 if self._cuda else second - first)

    def settle(self) -> float:
        """Wait for the device; this process's time then."""
        if self._cuda:
            torch.cuda.synchronize()
        return time.perf_counter()


def run_turn(trainer: Trainer, variant: Variant, number: int, warmup: int, steps: int) -> Turn:
    """Train for some steps, of which the first do not count."""
    clock = Clock(trainer.device)
    opened = time.perf_counter()
    batches = iter(variant.begin(number))
    first, begun, waits, moments = 0.0, 0.0, [], []
    for step in range(warmup + steps):
        if step == warmup:
            begun, waits, moments = clock.settle(), [], []
        asked = time.perf_counter()
        batch = next(batches)
        waits.append(time.perf_counter() - asked)
        first = first or time.perf_counter() - opened
        moved = trainer.moved({name: batch[name] for name in NEEDED})
        start = clock.mark()
        losses = trainer.step(moved)
        moments.append((start, clock.mark()))
        if variant.after is not None:
            variant.after(number * (warmup + steps) + step, moved, losses)
    seconds = clock.settle() - begun
    variant.end()
    gaps = [clock.seconds(end, start) for (_, end), (start, _) in itertools.pairwise(moments)]
    return Turn(steps, seconds, waits, gaps, first)


class Served:
    """A job of `mixtera serve` whose weights follow the losses; each turn goes on where the one before has stopped."""

    def __init__(self, url: str, shape: Shape, workers: int) -> None:
        self._shape, self._workers = shape, workers
        self._job: mixtera.Job | None = mixtera.Job.attach(url)
        self.state: dict[str, Any] = {}
        self.weights = [self._job.weights]
        self.components = len(self._job.components)

    def begin(self, turn: int) -> Iterator[dict]:
        """The batches of a turn."""
        self._job = self._job or mixtera.Job.resume(self.state)
        return iter(loader(self._job, batch_size=self._shape.batch, num_workers=self._workers))

    def after(self, step: int, batch: dict, losses: torch.Tensor) -> None:
        """Report a step."""
        assert self._job is not None
        report(self._job, step, component_sums(losses, batch["component_id"], self.components, batch["loss_mask"]))

    def end(self) -> None:
        """Stop: what follows goes on from the state."""
        assert self._job is not None
        self.state = json.loads(json.dumps(self._job.checkpoint()))
        self.weights.append(self._job.weights)
        self._job.close()
        self._job = None

    def resumed(self, workers: int, batches: int) -> list[dict]:
        """Some batches from the state on."""
        with mixtera.Job.resume(self.state) as job:
            return take(loader(job, batch_size=self._shape.batch, num_workers=workers), batches)


def take(batches: Iterable[dict], count: int) -> list[dict]:
    """The first batches."""
    return list(itertools.islice(iter(batches), count))


def alone(batches: Iterable[dict], shape: Shape, seconds: float) -> float:
    """Tokens per second of a loader when nothing trains, from its second batch on."""
    taken, iterator = 0, iter(batches)
    next(iterator)
    begun = time.perf_counter()
    while (spent := time.perf_counter() - begun) < seconds:
        next(iterator)
        taken += 1
    return taken * shape.tokens / spent


def same(ours: Sequence[dict], theirs: Sequence[dict]) -> bool:
    """Whether batches are equal: every tensor element for element, every name."""
    return len(ours) == len(theirs) and all(
        one.keys() == other.keys() and all(_same(one[name], other[name]) for name in one)
        for one, other in zip(ours, theirs, strict=True)
    )


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor):
        return one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other)


def check_resume(plan: str, make: Callable[[], Trainer], shape: Shape, workers: Sequence[int], steps: int) -> dict:
    """Train through, and stop and go on with other workers: batches on the device, and losses, of both."""
    first, second = workers[0], workers[-1]

    def trained(trainer: Trainer, batches: Iterable[dict], count: int) -> tuple[list[dict], list[float]]:
        moved = [trainer.moved(batch) for batch in take(batches, count)]
        losses = [trainer.step(batch) * batch["loss_mask"] for batch in moved]
        return moved, [float(loss.sum() / batch["loss_mask"].sum()) for loss, batch in zip(losses, moved, strict=True)]

    through, expected = trained(make(), loader(plan, shape.batch, num_workers=first), 2 * steps)
    trainer, batches = make(), loader(plan, shape.batch, num_workers=second)
    trained(trainer, batches, steps)
    file = io.BytesIO()
    torch.save({**trainer.state(), "data": batches.state_dict()}, file)
    checkpoint = torch.load(io.BytesIO(file.getvalue()))
    trainer, batches = make(), loader(plan, shape.batch, num_workers=first)
    trainer.load(checkpoint)
    batches.load_state_dict(checkpoint["data"])
    found, losses = trained(trainer, batches, steps)
    return {
        "stopped after": steps,
        "workers": [second, first],
        "batches equal": same(found, through[steps:]),
        "device": str(found[0]["tokens"].device),
        "losses": [round(loss, 4) for loss in losses],
        "losses differ by at most": max(abs(a - b) for a, b in zip(losses, expected[steps:], strict=True)),
    }


def summary(variant: Variant, references: Sequence[Turn], shape: Shape) -> dict[str, object]:
    """The figures of all turns of a variant."""
    rate = sum(turn.steps for turn in variant.turns) / sum(turn.seconds for turn in variant.turns)
    ratios = [
        (turn.steps / turn.seconds) / (beside.steps / beside.seconds)
        for turn, beside in zip(variant.turns, references, strict=True)
    ]
    waits = 1000 * np.concatenate([turn.waits for turn in variant.turns])
    gaps = 1000 * np.concatenate([turn.gaps for turn in variant.turns])
    return {
        "variant": variant.name,
        "steps/s": round(rate, 3),
        "tokens/s": round(rate * shape.tokens),
        "ratio": round(float(np.median(ratios)), 4),
        "ratios": [round(ratio, 4) for ratio in ratios],
        "wait ms p50": round(float(np.quantile(waits, 0.5)), 3),
        "wait ms p99": round(float(np.quantile(waits, 0.99)), 3),
        "wait ms max": round(float(waits.max()), 3),
        "wait share": round(float(waits.sum() / 1000 / sum(turn.seconds for turn in variant.turns)), 4),
        "gap ms p50": round(float(np.quantile(gaps, 0.5)), 3),
        "gap ms p99": round(float(np.quantile(gaps, 0.99)), 3),
        "first batch ms": [round(turn.first * 1000, 1) for turn in variant.turns],
        "alone tokens/s": None if variant.alone is None else round(variant.alone),
    }


def markdown(found: Sequence[dict[str, Any]]) -> str:
    """The table of all variants."""
    lines = [HEADERS, ("---",) * len(HEADERS)]
    for one in found:
        waits = " / ".join(f"{one[f'wait ms {name}']:.2f}" for name in ("p50", "p99", "max"))
        rate = one["alone tokens/s"]
        cells = (
            one["variant"],
            f"{one['steps/s']:.2f}",
            f"{one['tokens/s']:,}",
            f"{one['ratio']:.3f}",
            " ".join(f"{ratio:.3f}" for ratio in one["ratios"]),
            waits,
            f"{one['wait share']:.2%}",
            f"{one['gap ms p50']:.2f} / {one['gap ms p99']:.2f}",
            " ".join(f"{first:.0f}" for first in one["first batch ms"]),
            "" if rate is None else f"{rate:,}",
        )
        lines.append(cells)
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def references(batch: dict, components: int) -> list[Variant]:
    """What trains without data: once at the beginning of a round, once at its end, and with losses read."""

    def read(step: int, batch: dict, losses: torch.Tensor) -> None:
        component_sums(losses, batch["component_id"], components, batch["loss_mask"]).tolist()

    def same_batch(turn: int) -> Iterator[dict]:
        return itertools.repeat(batch)

    return [
        Variant(REFERENCE, REFERENCE, same_batch),
        Variant(f"{REFERENCE}, again", REFERENCE, same_batch),
        Variant(REPORTING, REPORTING, same_batch, read),
    ]


def of_loader(source: str, plan: str, workers: int, shape: Shape, steps: int) -> Variant:
    """A loader over a plan; each turn goes on where the one before has stopped."""

    def begin(turn: int) -> Iterator[dict]:
        return iter(loader(plan, shape.batch, num_workers=workers, start=turn * steps * shape.batch))

    return Variant(f"{source}, {workers} workers", REFERENCE, begin)


def measure(options: argparse.Namespace, shape: Shape, device: torch.device, work: Path) -> bool:
    """All of it; whether what was resumed was equal."""
    begun = time.perf_counter()
    write_corpus(work, options.data, options.rows)
    with ExitStack() as stack:
        if any(source.startswith("s3-") for source in options.sources):
            server = Weed(work / "server")
            server.start()
            stack.callback(server.kill)
            os.environ.update(server.environment)
        plans = {source: make_plan(work, source, shape) for source in options.sources}
        turn_steps = options.warmup + options.steps
        loaders = [
            of_loader(source, plan, workers, shape, turn_steps)
            for source, plan in plans.items()
            for workers in options.workers
        ]
        jobs: dict[int, Served] = {}
        if options.through_service:
            follows = make_plan(work, "text", shape, follows=True)
            for workers in options.workers:
                create(work / "jobs", f"workers-{workers}", follows)
            url, _ = stack.enter_context(serving(work))
            jobs = {workers: Served(f"{url}/jobs/workers-{workers}", shape, workers) for workers in options.workers}
        say({"prepared in s": round(time.perf_counter() - begun, 1), "model": asdict(shape), "device": named(device)})

        trainer = Trainer(shape, device, options.compile)
        say({"parameters": sum(value.numel() for value in trainer.model.parameters())})
        some = next(iter(loader(next(iter(plans.values())), shape.batch)))
        on_device = trainer.moved({name: some[name] for name in NEEDED})
        reference, again, reading = references(on_device, len(mixtera.Plan.open(next(iter(plans.values()))).components))
        served = [
            Variant(f"text through a service, ADO, {workers} workers", REPORTING, job.begin, job.after, job.end)
            for workers, job in jobs.items()
        ]
        variants = [reference, *loaders, again, *([reading, *served] if served else [])]
        run_turn(trainer, reference, 0, options.warmup, options.warmup)  # kernels are chosen and compiled
        for turn in range(options.rounds):
            for variant in variants:
                found = run_turn(trainer, variant, turn, options.warmup, options.steps)
                variant.turns.append(found)
                say({"turn": turn, "variant": variant.name, "steps/s": round(found.steps / found.seconds, 3)})
        for variant in loaders:
            variant.alone = alone(variant.begin(0), shape, options.alone)
        by_name = {variant.name: variant for variant in variants}
        figures = [summary(variant, by_name[variant.reference].turns, shape) for variant in variants]
        for figure in figures:
            say(figure)

        del trainer
        equal = True
        for source, plan in plans.items():
            checked = check_resume(plan, lambda: Trainer(shape, device), shape, options.workers, options.check)
            say({"resumed": source, **checked})
            equal = equal and bool(checked["batches equal"])
        for workers, job in jobs.items():
            other = options.workers[0] if workers != options.workers[0] else options.workers[-1]
            agree = same(job.resumed(workers, options.check), job.resumed(other, options.check))
            moved = {name: [round(weights[name], 4) for weights in job.weights] for name in job.weights[0]}
            say({"resumed": "service", "workers": [workers, other], "batches equal": agree, "weights": moved})
            equal = equal and agree
    print(f"\n{named(device)}; {shape}\n\n{markdown(figures)}\n", flush=True)
    return equal


def named(device: torch.device) -> str:
    """The device in words."""
    what = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{os.cpu_count()} CPUs"
    return f"{what}, torch {torch.__version__}"


def say(line: dict[str, Any]) -> None:
    """Print a line of JSON."""
    print(json.dumps(line), flush=True)


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training", description=__doc__.partition("\n")[0])
    parser.add_argument("--sources", nargs="+", choices=SOURCES, default=["text", "tokens", "s3-text"])
    parser.add_argument("--workers", nargs="+", type=int, default=[0, 2, 4])
    parser.add_argument("--through-service", action="store_true", help="also through a job that follows the losses")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=50, help="steps of a turn that are measured")
    parser.add_argument("--warmup", type=int, default=10, help="steps of a turn before")
    parser.add_argument("--check", type=int, default=8, help="steps before and after the stop of the check")
    parser.add_argument("--alone", type=float, default=2.0, help="seconds in which a loader alone is measured")
    parser.add_argument("--rows", type=int, default=200_000, help="records of the corpus; half of them are used")
    parser.add_argument("--data", type=Path, default=HERE / "data", help="where the corpus lies or is written")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--compile", action="store_true", help="torch.compile the model")
    for name in ("layers", "width", "context", "batch", "vocabulary"):
        parser.add_argument(f"--{name}", type=int, help="of the model; by default what suits the device")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and fail where a resumed training did not get what it should."""
    options = parsed(arguments)
    device = torch.device(options.device)
    if device.type == "cpu":
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // 2))  # a GPU leaves the processors to the data, too
    default = GPU_SHAPE if device.type == "cuda" else CPU_SHAPE
    given = {name: getattr(options, name) for name in asdict(default) if getattr(options, name) is not None}
    with tempfile.TemporaryDirectory(prefix="mixtera-training-") as work:
        if not measure(options, replace(default, **given), device, Path(work)):
            raise SystemExit("a training that was resumed got other batches")


if __name__ == "__main__":
    main()
