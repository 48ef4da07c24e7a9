"""Asked and realised shares of a range of positions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

from mixtera.cli.aligned import aligned

if TYPE_CHECKING:
    from mixtera.plan import Plan

_BLOCK: Final = 1 << 18
"""Positions that are counted at a time."""


@dataclass(frozen=True, slots=True)
class Share:
    """One component in a range of positions.

    Attributes:
        component: Its full name.
        asked: The share that the weights ask for; with several phases their mean over the range.
        realised: The share of the samples in the range.
        samples: Samples in the range.
        difference: Samples more, or less, than asked.
    """

    component: str
    asked: float
    realised: float
    samples: int
    difference: float


def shares(plan: Plan, start: int, stop: int) -> list[Share]:
    """The shares of the positions [start, stop), counted from the pointers; no sample is read."""
    import numpy as np

    start, stop = start - plan.start, stop - plan.start
    counts = np.zeros(len(plan.data.components), np.int64)
    for first in range(start, stop, _BLOCK):
        found = plan.pointers.components(first, min(first + _BLOCK, stop))
        counts += np.bincount(found, minlength=len(counts))
    asked, length = _asked(plan, start, stop), max(1, stop - start)
    return [
        Share(component.name, wanted / length, samples / length, samples, samples - wanted)
        for component, wanted, samples in zip(plan.data.components, asked, counts.tolist(), strict=True)
    ]


def _asked(plan: Plan, start: int, stop: int) -> list[float]:
    """Samples of each component that the weights of the phases ask for, not rounded."""
    phases = plan.data.timeline.phases
    ends = [*(phase.first for phase in phases[1:]), stop]
    asked = [0.0] * len(plan.data.components)
    for phase, end in zip(phases, ends, strict=True):
        positions = max(0, min(end, stop) - max(phase.first, start))
        scale = positions / sum(phase.weights)
        asked = [sum_ + weight * scale for sum_, weight in zip(asked, phase.weights, strict=True)]
    return asked


def as_json(found: Sequence[Share]) -> list[dict[str, object]]:
    """The shares as JSON values."""
    return [asdict(share) for share in found]


def as_text(found: Sequence[Share], unit: str) -> str:
    """The shares as a table; `unit` is what a position is, in the plural."""
    head = ("component", unit, "realised", "asked", "difference")
    rows = [
        (s.component, f"{s.samples:,}", f"{100 * s.realised:.4f} %", f"{100 * s.asked:.4f} %", f"{s.difference:+.2f}")
        for s in found
    ]
    widths = [max(len(row[c]) for row in (head, *rows)) for c in range(1, len(head))]
    padded = [(row[0], *(cell.rjust(width) for cell, width in zip(row[1:], widths, strict=True))) for row in rows]
    return aligned([head[0], *(cell.rjust(width) for cell, width in zip(head[1:], widths, strict=True))], padded)
