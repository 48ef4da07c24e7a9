"""A timeline whose weights are changed while it runs: phases are appended, and nothing before them moves.

Each phase apportions anew, so the rounding of many short phases would add up, and a component with less than half a
seat in each of them would starve. It does not: a change first pays what is owed. The first stretch of a new phase has
the length of a round and ends with what the shares come to since the last component ran out, rounded; after it the
weights hold as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mixtera.order.ahead import rounded
from mixtera.order.exhaustion import course
from mixtera.order.seats import Float64s, Int64s
from mixtera.order.shares import fixed, normalised
from mixtera.order.timeline import Phase, Timeline


@dataclass(frozen=True, slots=True)
class Limits:
    """What bounds a timeline whatever its weights.

    Attributes:
        places: How often each component can be chosen; None for no limit.
        on_exhaust: What each does then; see `mixtera.order.exhaustion.course`.
        total: Position of the end at the latest; None for no such.
        round_size: Positions of a round.
    """

    places: tuple[int | None, ...]
    on_exhaust: tuple[str, ...]
    total: int | None
    round_size: int


@dataclass(frozen=True, slots=True)
class Steered:
    """A timeline so far, and what is needed to go on.

    Attributes:
        timeline: Phases and end, as they are if the weights stay.
        since: Position of the last change; 0 before the first.
        weights: The weights that were asked for then, any scale.
        owed: What the shares come to from the beginning up to `since`, less the seats given.
    """

    timeline: Timeline
    since: int
    weights: tuple[float, ...]
    owed: tuple[float, ...]

    @classmethod
    def of(cls, timeline: Timeline) -> Steered:
        """Before the first change."""
        weights = timeline.phases[0].weights
        return cls(timeline, 0, weights, (0.0,) * len(weights))


def changed(steered: Steered, at: int, weights: Sequence[float], limits: Limits) -> Steered:
    """The timeline with other weights from a position on.

    Args:
        steered: The timeline so far.
        at: The position; not before that of the last change. Behind the end, nothing changes.
        weights: One per component, any scale; not negative, one of them positive.
        limits: What bounds it.
    """
    timeline = steered.timeline
    if timeline.total is not None and at >= timeline.total:
        return steered
    base = timeline.filled(np.array([at]))[0]
    owed = _owed(steered, at, base, limits)
    kept = tuple(phase for phase in timeline.phases if phase.first < at)
    first = at
    paid = _paid(at, base, owed, weights, limits)
    if paid is not None:
        kept, first = (*kept, paid), at + limits.round_size
        base = paid.filled(np.array([first]))[0]
    held = tuple(base.tolist())
    ahead = course(fixed(weights), limits.places, limits.on_exhaust, limits.total, first, base=held)
    total = ahead.timeline.total
    phases = kept + tuple(phase for phase in ahead.timeline.phases if total is None or phase.first < total)
    return Steered(Timeline(phases or ahead.timeline.phases, total), at, tuple(weights), tuple(owed.tolist()))


def _owed(steered: Steered, at: int, base: Int64s, limits: Limits) -> Float64s:
    """What the shares come to, less the seats given; nothing, where a component has run out since."""
    gone = [places is not None and seats >= places for places, seats in zip(limits.places, base.tolist(), strict=True)]
    if any(gone):
        return np.zeros(len(base))
    before = steered.timeline.filled(np.array([steered.since]))[0]
    owed: Float64s = np.array(steered.owed) + _shares(steered.weights) * (at - steered.since) - (base - before)
    return owed


def _paid(at: int, base: Int64s, owed: Float64s, weights: Sequence[float], limits: Limits) -> Phase | None:
    """The phase of one round that ends with what is owed; None where it does not fit into what there is."""
    shares = _shares(weights)
    counts = rounded(owed + shares * limits.round_size, shares > 0, limits.round_size)
    end = at + limits.round_size
    short = any(
        places is not None and seats > places
        for places, seats in zip(limits.places, (base + counts).tolist(), strict=True)
    )
    if short or (limits.total is not None and end > limits.total):
        return None
    return Phase(at, tuple(counts.astype(np.float64).tolist()), tuple(base.tolist()))


def _shares(weights: Sequence[float]) -> Float64s:
    return np.array(normalised(weights), np.float64)
