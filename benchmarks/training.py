"""`python -m benchmarks.training`: whether a training waits for its data, beside the same training that has no data.

A GPT trains on a GPU, or a small one on a CPU: on rows that are packed out of text on disk, out of token files, and out
of text on S3 (a real server, SeaweedFS), through the loader with several numbers of workers; and on one batch that lies
on the device all the time, which is the reference. All take turns, each turn with a new loader, and the reference runs
twice in each round: how far its two rates differ is what other differences mean nothing below. Steps are not waited for
one by one, as in any training; the clock begins and ends where the device is waited for.

The wait is the time in `next(batches)`. The gap is the time on the device's own clock from the end of a step to the
beginning of the next one: what a wait, a copy or a report really costs, once the device has nothing else to do.

With `--through-service`, text is also trained on through a job of `mixtera serve` that follows the losses: each
step reports losses by component, so it waits for the device. Its reference does the same without data.

Afterwards: how fast each loader is when nothing trains, and whether a training that was stopped and goes on with
another number of workers gets the batches, byte for byte, of one that went through.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final

import torch

import mixtera
from benchmarks.gpt import CPU_SHAPE, GPU_SHAPE, Shape, Trainer
from benchmarks.service import serving
from benchmarks.training_plans import SOURCES, make_plan, write_corpus
from benchmarks.training_resume import check_resume, same, take
from benchmarks.training_turns import NEEDED, Variant, alone, markdown, run_turn, summary
from mixtera.adapters.torch import loader
from mixtera.adapters.torch.losses import component_sums, report
from mixtera.service.directory import create
from tests.storage.weed import Weed

HERE: Final = Path(__file__).parent
REFERENCE: Final = "batch on the device"
REPORTING: Final = "batch on the device, losses read"


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

    return Variant(f"{source}, {counted(workers)}", REFERENCE, begin)


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
            Variant(
                f"text through a service, weights follow, {counted(workers)}", REPORTING, job.begin, job.after, job.end
            )
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


def counted(workers: int) -> str:
    """A number of workers in words."""
    return f"{workers} worker{'' if workers == 1 else 's'}"


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
