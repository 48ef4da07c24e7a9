"""Exhaustion: where components run out, computed ahead as phases and an end (DESIGN 2.4.5–6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from mixtera.order import ahead
from mixtera.order.seats import WITHIN, Int64s
from mixtera.order.shares import Group, fixed
from mixtera.order.timeline import Phase, Timeline

NO_LIMIT: Final = -1
"""Places of a component that may be chosen for ever."""
FAR: Final = 1 << 62
"""A component that would run out at this position or later never does."""


@dataclass(frozen=True, slots=True)
class Course:
    """The whole course of a mixture, in positions of the run.

    Attributes:
        timeline: Phases and end.
        ended_by: The component that has no place for the seat at which the stream ends; None where it ends otherwise:
            at the limit, with everything delivered, or not at all.
    """

    timeline: Timeline
    ended_by: int | None

    def from_first(self, first: int) -> Timeline:
        """The timeline with positions counted from the first one."""
        phases = tuple(replace(phase, first=phase.first - first) for phase in self.timeline.phases)
        total = self.timeline.total
        return Timeline(phases, None if total is None else total - first)


def timeline(weights: Sequence[float], places: Sequence[int | None], on_exhaust: Sequence[str]) -> Timeline:
    """The phases of static weights over components of limited size.

    Args:
        weights: One positive weight per component, any scale.
        places: How often each component can be chosen; None for no limit.
        on_exhaust: What each does once a seat of it cannot be filled: `redistribute` takes it out and the others keep
            their relative weights; anything else ends the stream before that seat.

    Returns:
        A timeline; `total` is None when no limited component ends it.
    """
    return course(fixed(weights), places, on_exhaust).timeline


def course(
    mixture: Group,
    places: Sequence[int | None],
    on_exhaust: Sequence[str],
    limit: int | None = None,
    begin: int = 0,
) -> Course:
    """The phases of a mixture, with weights in a tree and over time, over components of limited size.

    Args:
        mixture: The weights of the components, which are numbered from 0 without gaps.
        places: How often each component can be chosen; None for no limit.
        on_exhaust: What each does once a seat of it cannot be filled: `redistribute` leaves its share to those beside
            it; anything else ends the stream before that seat. When all of a group are out, the group's own counts.
        limit: Position of the end at the latest.
        begin: The first position: where another plan is continued. Weights over time are those of their positions;
            seats are counted from there.
    """
    limits = np.array([NO_LIMIT if limit is None else limit for limit in places], np.int64)
    left, phases = [True] * len(places), list[Phase]()
    first, base = begin, (0,) * len(places)
    while any(left):
        runs_out: int | None = None
        for planned in ahead.run(mixture, first, base, left, limit):
            phase = planned.phase
            end, runs_out = _end(planned, limits)
            if end is None:
                return Course(Timeline((*phases, phase), None), None)
            if end > phase.first:
                phases.append(phase)
            first, base = end, planned.after if runs_out is None and planned.after else _filled(phase, end)
            if runs_out is not None:
                break
        if runs_out is None:
            break
        left[runs_out] = False
        if on_exhaust[runs_out] != "redistribute" or _ends_with_group(mixture, runs_out, left):
            return _course(phases, begin, first, base, runs_out)
    return _course(phases, begin, first, base, None)


def _course(phases: Sequence[Phase], begin: int, end: int, base: tuple[int, ...], ended_by: int | None) -> Course:
    empty = Phase(begin, (1.0,) * len(base), base)
    return Course(Timeline(tuple(phases) or (empty,), end), ended_by)


def _filled(phase: Phase, end: int) -> tuple[int, ...]:
    return tuple(phase.filled(np.array([end]))[0].tolist())


def _end(planned: ahead.Planned, limits: Int64s) -> tuple[int | None, int | None]:
    """Where a phase ends, and the component that runs out there, if one does.

    That is at the first position whose component has no place for it.

    Args:
        planned: The phase, and what ends it in any case.
        limits: [K] places of each component, `NO_LIMIT` for no limit.
    """
    phase, last = planned.phase, planned.last
    weights, base = np.array(phase.weights, np.float64), np.array(phase.base, np.int64)
    limited = np.flatnonzero((weights > 0) & (limits != NO_LIMIT))
    if planned.after is not None and (np.array(planned.after)[limited] <= limits[limited]).all():
        return last, None
    room = (limits - base)[limited]
    if not len(limited) or (last is not None and (room >= last - phase.first).all()):
        return last, None
    chosen = int(phase.components(np.array([phase.first]), np.array([phase.first + 1]))[0])
    found = (phase.first, chosen) if limits[chosen] == base[chosen] else None
    # A seat is at most WITHIN samples late or early, so of few components it must be known where theirs stands.
    earliest = phase.first + (room - WITHIN) / weights[limited] * (weights.sum() * (1 - 1e-9)) - 1
    for n in np.argsort(earliest, kind="stable").tolist():
        if found is not None and (found[0] == phase.first or found[0] < earliest[n]):
            break
        component = int(limited[n])
        position = phase.position(component, int(limits[component]))
        found = (position, component) if found is None else min(found, (position, component))
    assert found is not None
    return found if found[0] < (FAR if last is None else last) else (last, None)


def _ends_with_group(mixture: Group, component: int, left: Sequence[bool]) -> bool:
    """Whether a group that this component was the last of ends the stream."""
    return any(
        group.on_exhaust != "redistribute" and component in leaves and not any(left[leaf] for leaf in leaves)
        for group in mixture.groups()
        if group is not mixture and (leaves := set(group.leaves()))
    )
