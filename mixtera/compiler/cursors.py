"""Where one component of a plan stands that another one takes over from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from mixtera.artifact.pointers import PointerMap
from mixtera.compiler.files import Int64s
from mixtera.order.concat import Concatenation

BLOCK: Final = 1 << 20
"""Samples that are worked on at a time."""
SEQUENCES: Final = 1 << 14
"""Sequences of tokens that are worked on at a time."""


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
        return self._map.first_epoch(self.component)

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
        size = max(1, int(self._map.permutation.places.sizes[self.component]))
        for number, begin in enumerate(range(end, self.cursor, size), later + 1):  # lanes run ahead, of few samples far
            yield from self._blocks(self.first_epoch + number, begin, begin, min(begin + size, self.cursor))

    @property
    def _is_used_up(self) -> bool:
        places = self._map.data.components[self.component].places
        return places is not None and self.given >= places

    @property
    def _lowest(self) -> int:
        """The first place that is not delivered."""
        return int(self.head[0]) if len(self.head) else self.cursor

    @property
    def _epoch_bounds(self) -> tuple[int, int, int]:
        """The current epoch, counted from the plan's first; its first place, and the place after its last."""
        places = self._map.permutation.places
        size, first_size = int(places.sizes[self.component]), int(places.first_sizes[self.component])
        lowest = self._lowest
        if self._is_used_up:
            lowest -= 1  # there is no next epoch: the last one stays the current one
        if lowest < first_size:
            return 0, 0, first_size
        later = (lowest - first_size) // size
        return later + 1, first_size + later * size, first_size + (later + 1) * size

    def _blocks(self, epoch: int, base: int, first: int, last: int) -> Iterator[tuple[Int64s, Int64s]]:
        for low in range(first, last, BLOCK):
            counted = self._without_head(low, min(low + BLOCK, last))
            yield self._map.permutation.find_in(self.component, epoch, counted - base)

    def _without_head(self, first: int, last: int) -> Int64s:
        """The delivered ones of the places [first, last)."""
        counted = np.arange(first, last)
        return counted[~np.isin(counted, self.head, assume_unique=True)]

    def _left_out_before(self) -> Iterator[tuple[Int64s, Int64s]]:
        """What the other plan left out of its first epoch itself, because one before it had delivered it."""
        variation = self._map.data.variation
        if variation.delivered is None:
            return
        first, last = self._numbers
        for low in range(first, last, BLOCK):
            number = np.arange(low, min(low + BLOCK, last))
            gone = variation.delivered.holds(number)
            if variation.excluded is not None:
                gone &= ~variation.excluded.holds(number)
            yield self._located(number[gone])

    @property
    def _numbers(self) -> tuple[int, int]:
        """Numbers of the component's samples: the first, and that after the last."""
        edges = self._map.data.component_entries[self.component : self.component + 2]
        first, last = self._map.permutation.sample_first[edges].tolist()
        return first, last

    def _located(self, number: Int64s) -> tuple[Int64s, Int64s]:
        """Entry and rank of some samples."""
        first = self._map.permutation.sample_first
        entry = np.searchsorted(first, number, side="right") - 1
        return entry, number - first[entry]


class SequenceCursor(Cursor):
    """The same where documents are cut into sequences: a document is delivered when a part of it is.

    So of a document that the stop has cut the rest is lost: two for each lane at most, since the places that wait in a
    lane lie between those of two lanes that are delivered.
    """

    def __init__(
        self, map_: PointerMap, packer: Concatenation, component: int, given: int, waiting: Int64s, end: int
    ) -> None:
        """Prepare.

        Args:
            map_: See `Cursor`.
            packer: What the component's sequences consist of.
            component: See `Cursor`.
            given: Likewise.
            waiting: Likewise.
            end: Likewise.
        """
        super().__init__(map_, component, given, waiting, end)
        self._packer = packer

    @property
    def epoch(self) -> int:
        """Number of the current epoch: that of the first token that no delivered sequence has."""
        place = self._lowest
        token = place * self._packer.stride + (self._packer.overlap if place else 0)
        # where nothing comes behind it, the last epoch stays the current one
        return self._packer.epoch_with(self.component, token - self._is_used_up)

    def delivered(self) -> Iterator[tuple[Int64s, Int64s]]:
        """Entry and rank of the documents of which a part is delivered in the current epoch, or already in the next."""
        epoch = self.epoch
        if epoch == self.first_epoch:
            yield from self._left_out_before()
        yield self._documents(epoch)
        yield self._documents(epoch + 1)

    def _documents(self, epoch: int) -> tuple[Int64s, Int64s]:
        """Each document once: those that several sequences have a part of too."""
        first, last = self._numbers
        found = np.zeros(last - first, np.bool_)
        begin, end = (self._packer.tokens_before(self.component, number) for number in (epoch, epoch + 1))
        places = self._packer.holding(begin, end) if end > begin else range(0)
        for low in range(places.start, min(places.stop, self.cursor), SEQUENCES):
            counted = self._without_head(low, min(low + SEQUENCES, places.stop, self.cursor))
            entry, rank = self._packer.documents(self.component, epoch, counted)
            found[self._map.permutation.sample_first[entry] + rank - first] = True
        return self._located(first + np.flatnonzero(found))
