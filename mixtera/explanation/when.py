"""When: the position at which a component has had a number of seats, in closed form."""

from __future__ import annotations

import numpy as np

from mixtera.order.seats import Int64s
from mixtera.order.timeline import Timeline


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
        for component in np.flatnonzero(active & (base < seats) & (seats <= last)).tolist():
            found[component] = phase.position(component, int(seats[component]) - 1) + 1
    return found
