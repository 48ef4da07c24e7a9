"""Turns of a training: what is measured in one, and the figures of all."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import torch

from benchmarks.gpt import Shape, Trainer

NEEDED: Final = ("tokens", "position_ids", "loss_mask", "component_id")
"""What of a batch goes to the device."""
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


def alone(batches: Iterable[dict], shape: Shape, seconds: float) -> float:
    """Tokens per second of a loader when nothing trains, from its second batch on."""
    taken, iterator = 0, iter(batches)
    next(iterator)
    begun = time.perf_counter()
    while (spent := time.perf_counter() - begun) < seconds:
        next(iterator)
        taken += 1
    return taken * shape.tokens / spent


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
