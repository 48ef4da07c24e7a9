"""Where a run stands in its plan: what of each component is delivered, and what is not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from mixtera.artifact.pointers import PointerMap
from mixtera.compiler.files import Int64s
from mixtera.plan import Plan
from mixtera.stream.state import PlanIdentity

BLOCK: Final = 1 << 20
"""Samples that are worked on at a time."""


@dataclass(frozen=True)
class Stop:
    """A plan, and the position at which another one takes over.

    Attributes:
        plan: The plan.
        position: Position in the run.
    """

    plan: Plan
    position: int

    @classmethod
    def of(cls, plan: Plan, state: Mapping[str, object]) -> Stop:
        """Where a resume state stands in its plan.

        Raises:
            StateError: It is not a state, or one of another plan.
        """
        return cls(plan, PlanIdentity.of(plan.data, plan.digest).position_of(state))

    @cached_property
    def map(self) -> PointerMap:
        """The plan's pointers."""
        return PointerMap(self.plan.data)

    @cached_property
    def cursors(self) -> tuple[Cursor, ...]:
        """Where each component of the plan stands."""
        lanes, timeline = self.map.lanes, self.plan.data.timeline
        position = self.position - self.plan.start
        size = lanes.round_size
        last = position if position % size == 0 else (position // size + 1) * size
        filled = timeline.filled(np.array([position, last]))
        open_ = lanes.range(position, last)
        order = np.lexsort((open_.place, open_.component))
        component, place = open_.component[order], open_.place[order]
        edges = np.searchsorted(component, np.arange(filled.shape[1] + 1))
        return tuple(
            Cursor(self.map, number, int(filled[0, number]), place[edges[number] : edges[number + 1]], int(end))
            for number, end in enumerate(filled[1].tolist())
        )


class Cursor:
    """Where one component of the other plan stands: the places of it that are not delivered.

    Attributes:
        given: Seats that it has had in the other plan.
        head: Places, counted from the first epoch's first, that come before `cursor` and are not delivered, ascending.
        cursor: The place from which on nothing is delivered, counted likewise.
    """

    def __init__(self, map_: PointerMap, component: int, given: int, waiting: Int64s, end: int) -> None:
        """Prepare.

        Args:
            map_: The other plan's pointers.
            component: Its number there.
            given: Seats that it has had.
            waiting: Places of the round that is not finished that are not delivered, ascending.
            end: Place after that round.
        """
        self._map, self.component, self.given = map_, component, given
        places = map_.permutation.places
        head_size = int(places.start.head_sizes[component])
        waiting = np.concatenate([waiting, np.arange(end, head_size)])
        self.head = places.counted(np.full(len(waiting), component), waiting)
        self.cursor = int(places.start.cursor[component]) + max(0, end - head_size)

    @property
    def first_epoch(self) -> int:
        """Number of the first epoch of the other plan."""
        return int(self._map.permutation.places.start.first_epoch[self.component])

    @property
    def _is_used_up(self) -> bool:
        places = self._map.data.components[self.component].places
        return places is not None and self.given >= places

    @cached_property
    def _epoch_bounds(self) -> tuple[int, int, int]:
        """The current epoch, counted from the plan's first; its first place, and the place after its last."""
        places = self._map.permutation.places
        size, first_size = int(places.sizes[self.component]), int(places.first_sizes[self.component])
        lowest = int(self.head[0]) if len(self.head) else self.cursor
        if self._is_used_up:
            lowest -= 1  # there is no next epoch: the last one stays the current one
        if lowest < first_size:
            return 0, 0, first_size
        later = (lowest - first_size) // size
        return later + 1, first_size + later * size, first_size + (later + 1) * size

    @property
    def epoch(self) -> int:
        """Number of the current epoch: that of the first place that is not delivered."""
        return self.first_epoch + self._epoch_bounds[0]

    def delivered(self) -> Iterator[tuple[Int64s, Int64s]]:
        """Entry and rank of everything that is delivered in the current epoch, or already in the next one."""
        later, first, end = self._epoch_bounds
        if later == 0:
            yield from self._left_out_before()
        yield from self._blocks(self.first_epoch + later, first, first, min(end, self.cursor))
        yield from self._blocks(self.first_epoch + later + 1, end, end, self.cursor)

    def _blocks(self, epoch: int, base: int, first: int, last: int) -> Iterator[tuple[Int64s, Int64s]]:
        for low in range(first, last, BLOCK):
            counted = np.arange(low, min(low + BLOCK, last))
            counted = counted[~np.isin(counted, self.head, assume_unique=True)]
            yield self._map.permutation.find_in(self.component, epoch, counted - base)

    def _left_out_before(self) -> Iterator[tuple[Int64s, Int64s]]:
        """What the other plan left out of its first epoch itself, because one before it had delivered it."""
        variation = self._map.data.variation
        if variation.delivered is None:
            return
        permutation = self._map.permutation
        edges = self._map.data.component_entries[self.component : self.component + 2]
        first, last = permutation.sample_first[edges].tolist()
        for low in range(first, last, BLOCK):
            number = np.arange(low, min(low + BLOCK, last))
            gone = variation.delivered.holds(number)
            if variation.excluded is not None:
                gone &= ~variation.excluded.holds(number)
            number = number[gone]
            entry = np.searchsorted(permutation.sample_first, number, side="right") - 1
            yield entry, number - permutation.sample_first[entry]
