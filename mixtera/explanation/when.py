"""When: the position at which a component has had a number of seats, in closed form."""

from __future__ import annotations

from typing import Final

import numpy as np

from mixtera.order.seats import Float64s, Int64s
from mixtera.order.timeline import Phase, Timeline

BLOCK_CELLS: Final = 1 << 20
"""Seats × components that are worked on at a time."""


def first_positions(timeline: Timeline, seats: Int64s) -> list[int | None]:
    """The smallest t with `filled(t)[c] >= seats[c]`, for every component c; None where that never comes.

    Args:
        timeline: The timeline.
        seats: [K] int64, one number of seats per component, at least 1.
    """
    found: list[int | None] = [None] * len(seats)
    ends = [*(phase.first for phase in timeline.phases[1:]), timeline.total]
    for phase, end in zip(timeline.phases, ends, strict=True):
        base = np.array(phase.base, np.int64)
        last = np.full(len(seats), np.iinfo(np.int64).max) if end is None else phase.filled(np.array([end]))[0]
        active = np.array(phase.weights) > 0
        mine = np.flatnonzero(active & (base < seats) & (seats <= last))
        for component, position in zip(mine.tolist(), _positions(phase, mine, (seats - base)[mine]), strict=True):
            found[component] = position
    return found


def _positions(phase: Phase, components: Int64s, seats: Int64s) -> list[int]:
    """The position after each component's seat number `seats` (from 1) of the phase."""
    active = np.flatnonzero(np.array(phase.weights) > 0)
    weights = np.array(phase.weights, np.float64)[active]
    own = np.searchsorted(active, components)
    rows = max(1, BLOCK_CELLS // len(active))
    counts = [_standing_before(own[i : i + rows], seats[i : i + rows], weights) for i in range(0, len(own), rows)]
    return [phase.first + int(count) + 1 for block in counts for count in block]


def _standing_before(own: Int64s, seats: Int64s, weights: Float64s) -> Int64s:
    """How many seats of all components stand before each component's seat number `seats`.

    Seat i has the key ((2i + 1) / w, component) as in `mixtera.order.seats`: the same rounded divisions decide.
    """
    key = ((2 * seats - 1) / weights[own])[:, None]
    earlier_wins = np.arange(len(weights)) < own[:, None]
    count = np.maximum(np.floor((key * weights + 1) / 2), 0).astype(np.int64)

    def stands(index: Int64s) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
        other = (2 * index + 1) / weights
        before: np.ndarray[tuple[int, ...], np.dtype[np.bool_]] = (other < key) | ((other == key) & earlier_wins)
        return before

    while (more := stands(count)).any():
        count += more
    while (less := (count > 0) & ~stands(count - 1)).any():
        count -= less
    total: Int64s = count.sum(axis=1)
    return total
