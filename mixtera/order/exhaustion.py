"""Exhaustion: where components run out, computed ahead as phases and an end (DESIGN 2.4.5–6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from mixtera.order import ahead
from mixtera.order.blocks import Blocks, Bools, shared
from mixtera.order.seats import Int64s
from mixtera.order.shares import Group, fixed, shares
from mixtera.order.timeline import ORDER_VERSION, Phase, Timeline

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
    blocks: Blocks | None = None,
    base: Sequence[int] | None = None,
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
        blocks: How positions lie in blocks of one kind, the first of them at `begin`: weights change where blocks
            begin. What components of a kind have left when together they cannot fill a block is not delivered, unless
            the stream ends with it. None: they do not lie in blocks.
        base: Seats of each component before it that count against its places; none by default.
    """
    limits = np.array([NO_LIMIT if limit is None else limit for limit in places], np.int64)
    left, phases = [True] * len(places), list[Phase]()
    first, base = begin, tuple(base or (0,) * len(places))
    while any(left) and not _is_over(mixture, limits, on_exhaust, base, left):
        runs_out: int | None = None
        for planned in ahead.run(mixture, first, base, left, limit, blocks):
            phase = planned.phase
            end, runs_out, after = _end(planned, limits)
            if end is None:
                return Course(Timeline((*phases, phase), None), None)
            if end > phase.first:
                phases.append(phase)
            first, base = end, after
            if runs_out is not None:
                break
        if runs_out is None:
            break
        left[runs_out] = False
        if on_exhaust[runs_out] != "redistribute" or _ends_with_group(mixture, runs_out, left):
            return _course(phases, begin, first, base, runs_out)
        if blocks is not None and blocks.start(first - begin) != first - begin:
            opened = _Open(mixture, limits, on_exhaust, left, blocks, begin)
            done = opened.finish(phases, first, runs_out)
            first, base = done.end, done.after
            if done.ends:
                return _course(phases, begin, first, base, done.ended_by)
    return _course(phases, begin, first, base, None)


@dataclass(frozen=True, slots=True)
class _Done:
    """Where a block is finished: the position, the seats before it, whether the stream ends there, and by whom."""

    end: int
    after: tuple[int, ...]
    ends: bool = False
    ended_by: int | None = None


@dataclass(frozen=True)
class _Open:
    """The block in which a component runs out, and leaves its share: the others of its kind finish it."""

    mixture: Group
    limits: Int64s
    on_exhaust: Sequence[str]
    left: list[bool]
    blocks: Blocks
    begin: int

    def finish(self, phases: list[Phase], position: int, component: int) -> _Done:
        """Make one phase of the block, whose seats are given out exactly; the last of `phases` ends where it begins.

        Where nothing of the kind can finish it, the kind leaves: what it has left in the block is delivered only if the
        stream ends with it.

        Args:
            phases: The phases; changed.
            position: Where the component has no place, inside the block.
            component: The component.
        """
        start = self.begin + self.blocks.start(position - self.begin)
        last = phases[-1]
        base = last.filled(np.array([start]))[0]
        if last.first == start:
            phases.pop()
        own = self.blocks.of_kind(component)
        size, here = self.blocks.size, np.array(self.left) & own
        here[component] = True
        room = np.where(here, np.where(self.limits == NO_LIMIT, size, self.limits - base), 0)
        if room.sum() >= size:
            counts = self._counts(start, component, np.minimum(room, size))
            phases.append(self._phase(start, base, counts))
            return _Done(start + size, tuple((base + counts).tolist()))
        return self._without(phases, start, base, own, room)

    def _counts(self, start: int, component: int, room: Int64s) -> Int64s:
        """The seats of a block: what the component has left, and the others by their shares."""
        counts = np.zeros(len(room), np.int64)
        counts[component] = room[component]
        others = np.where(np.arange(len(room)) == component, 0, room)
        asked = np.array(shares(self.mixture, start, self.left))
        return counts + shared(asked, others, self.blocks.size - int(counts[component]))

    def _without(self, phases: list[Phase], start: int, base: Int64s, own: Bools, room: Int64s) -> _Done:
        """The kind leaves, or ends the stream."""
        members = [number for number in np.flatnonzero(own).tolist() if room[number] or self.left[number]]
        ended_by = None
        for number in members:
            self.left[number] = False
            ends = self.on_exhaust[number] != "redistribute" or _ends_with_group(self.mixture, number, self.left)
            ended_by = number if ends and ended_by is None else ended_by
        if ended_by is None and any(self.left):
            return _Done(start, tuple(base.tolist()))
        if room.any():
            phases.append(self._phase(start, base, room))
        return _Done(start + int(room.sum()), tuple((base + room).tolist()), True, ended_by)

    def _phase(self, start: int, base: Int64s, counts: Int64s) -> Phase:
        weights = tuple(counts.astype(np.float64).tolist())
        return Phase(start, weights, tuple(base.tolist()), ORDER_VERSION, self.blocks)


def _is_over(
    mixture: Group, limits: Int64s, on_exhaust: Sequence[str], base: Sequence[int], left: Sequence[bool]
) -> bool:
    """Whether everything is delivered, and nothing is to be said of who ended it: no need to let them go one by one."""
    if not (np.array(base) == limits)[np.array(left)].all():
        return False
    policies = {policy for policy, here in zip(on_exhaust, left, strict=True) if here}
    return policies == {"redistribute"} and all(group.on_exhaust == "redistribute" for group in mixture.groups())


def _course(phases: Sequence[Phase], begin: int, end: int, base: tuple[int, ...], ended_by: int | None) -> Course:
    empty = Phase(begin, (1.0,) * len(base), base)  # of no position
    return Course(Timeline(tuple(phases) or (empty,), end), ended_by)


def _end(planned: ahead.Planned, limits: Int64s) -> tuple[int | None, int | None, tuple[int, ...]]:
    """Where a phase ends, the component that runs out there, if one does, and the seats of each before it.

    That is at the first position whose component has no place for it.

    Args:
        planned: The phase, and what ends it in any case.
        limits: [K] places of each component, `NO_LIMIT` for no limit.
    """
    phase = planned.phase
    weights = np.array(phase.weights, np.float64)
    limited = np.flatnonzero((weights > 0) & (limits != NO_LIMIT))
    if planned.last is not None:
        limited = limited[np.array(planned.after)[limited] > limits[limited]]
    end, runs_out, after = planned.last, None, planned.after
    while len(limited):  # run out before that: the first of them, as it seems, then those that do so before it
        room = limits[limited] - np.array(phase.base, np.int64)[limited]
        runs_out = int(limited[np.argmin((room + 0.5) / weights[limited])])
        end = phase.position(runs_out, int(limits[runs_out]))
        if end >= FAR:
            return None, None, planned.after
        filled = phase.filled(np.array([end]))[0]
        after = tuple(filled.tolist())
        limited = limited[filled[limited] > limits[limited]]
    return end, runs_out, after


def _ends_with_group(mixture: Group, component: int, left: Sequence[bool]) -> bool:
    """Whether a group that this component was the last of ends the stream."""
    return any(
        group.on_exhaust != "redistribute" and component in leaves and not any(left[leaf] for leaf in leaves)
        for group in mixture.groups()
        if group is not mixture and (leaves := set(group.leaves()))
    )
