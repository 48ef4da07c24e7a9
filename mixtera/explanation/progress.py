"""Progress: what every component holds at some positions of the run, from the timeline alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Final

import numpy as np

from mixtera.artifact.model import PlanData
from mixtera.explanation.forecast import Progress, Track
from mixtera.explanation.model import Part, Span

WINDOWS: Final = 120
"""Evenly spread windows, if all of it were ramps; with those where something changes, 200 positions at most."""
CELLS: Final = 8_000
"""Windows × components, about, at most."""
LEAST_WINDOWS: Final = 20
LEAST_SAMPLES: Final = 48
"""Samples of a window at least: shares of fewer say more of rounding than of the mixture."""
STEADY: Final = 5
"""How many times longer windows are where weights do not change."""
_DIGITS: Final = 6
FEW: Final = 40
"""So many changes are all among the positions; of more, those that are not too near each other."""
_NEAR: Final = 0.6
"""Part of a window that lies between two of many changes at least."""
_BEYOND: Final = 1.25
"""How far beyond the last change an endless stream is shown."""


def progress(data: PlanData, course: Sequence[Span], parts: Sequence[Part]) -> Progress:
    """The run at some positions.

    Args:
        data: The plan.
        course: Its spans: where they begin is among the positions, as `sampled` says.
        parts: Its components, without groups: their first epochs say how far an endless stream is shown.
    """
    first, bounds = data.timeline.phases[0].first, {span.first: span.begins == "ramp" for span in course}
    last = _horizon(first, bounds, parts) if data.timeline.total is None else data.timeline.total
    windows = max(LEAST_WINDOWS, min(WINDOWS, CELLS // len(data.components)))
    positions = sampled(first, last, bounds, windows)
    held = data.timeline.filled(np.array(positions, np.int64))
    before = np.array([component.consumed for component in data.components], np.int64)
    epochs = ((held + before) / np.maximum(1, [component.samples for component in data.components])).round(_DIGITS)
    shares = (np.diff(held, axis=0) / np.maximum(1, np.diff(positions))[:, None]).round(_DIGITS)
    tracks = zip(data.components, held.T.tolist(), epochs.T.tolist(), shares.T.tolist(), strict=True)
    return Progress(tuple(positions), tuple(Track(c.name, tuple(h), tuple(e), tuple(s)) for c, h, e, s in tracks))


def _horizon(first: int, bounds: Iterable[int], parts: Sequence[Part]) -> int:
    known = [part.first_epoch_ends for part in parts if part.first_epoch_ends is not None]
    return first + max(LEAST_SAMPLES, round(_BEYOND * (max([*bounds, *known]) - first)))


def sampled(first: int, last: int, bounds: Mapping[int, bool], windows: int) -> list[int]:
    """Positions from `first` to `last`: bounds, if many only those not near each other, and evenly spread ones between.

    Args:
        first: First position.
        last: Position after the last.
        bounds: Where something changes, and whether weights change from there to the next: such parts have all their
            windows, others fewer.
        windows: How many windows there would be if weights changed everywhere.
    """
    width = max(LEAST_SAMPLES, -(-(last - first) // windows))
    apart = 1.0 if len(bounds) <= FEW else _NEAR * width
    kept, latest = {first: bounds.get(first, False)}, first
    for bound, moving in sorted(bounds.items()):
        if latest + apart <= bound <= last - apart:
            kept[bound], latest = moving, bound
    found: list[int] = []
    for low, high in pairwise([*kept, last]):
        parts = max(1, round((high - low) / (width if kept[low] else STEADY * width)))
        found += [low + (high - low) * part // parts for part in range(parts)]
    return [*found, last]
