"""Chunks and lanes: which place of its component each position holds (DESIGN 2.4.2).

Position t lies in granule t // g; granule j belongs to lane j mod L; a chunk is the S / g granules of one lane in one
round of S · L positions. Within a round the seats of component c in lane l take *consecutive* places of the component,
from Q_c(round start) + the seats of c in the lanes before l. So a chunk reads contiguous stretches of each component.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np

from mixtera.cached import cached_property
from mixtera.order.seats import Int64s
from mixtera.order.timeline import Timeline

KEPT_BYTES: Final = 32 << 20
"""Bytes of chunks that are kept, about."""
BLOCK_POSITIONS: Final = 1 << 20
"""Positions of a round, or granules × components, that are counted at a time: bounds the memory of long rounds."""
CELLS_PER_POSITION: Final = 2
"""Granules × components for each position up to which counting by granules takes less time than by positions."""


@dataclass(frozen=True)
class Chunk:
    """The positions of one chunk, or of the part of it that lies before the end.

    Attributes:
        position: [n] int64, ascending.
        component: [n] int64.
        place: [n] int64, place in the component's own order, over all epochs.
    """

    position: Int64s
    component: Int64s
    place: Int64s

    def part(self, first: int, last: int) -> Chunk:
        """Samples [first, last) of the chunk."""
        return Chunk(self.position[first:last], self.component[first:last], self.place[first:last])


class Lanes:
    """The places of all positions of a timeline, chunk by chunk. Caches the last few rounds and chunks."""

    def __init__(self, timeline: Timeline, chunk_size: int, lanes: int, granule: int) -> None:
        self.timeline = timeline
        self.chunk_size, self.lanes, self.granule = chunk_size, lanes, granule
        self.round_size = chunk_size * lanes
        self.round_base = lru_cache(maxsize=2)(self._round_base)
        self.kept_chunks = max(4, min(lanes, KEPT_BYTES // (24 * chunk_size)))
        self.chunk = lru_cache(maxsize=self.kept_chunks)(self._chunk)

    def __reduce__(self) -> tuple[type[Lanes], tuple[Timeline, int, int, int]]:
        return Lanes, (self.timeline, self.chunk_size, self.lanes, self.granule)

    @cached_property
    def _components(self) -> int:
        return len(self.timeline.phases[0].weights)

    def _bounded(self, position: int) -> int:
        return position if self.timeline.total is None else min(position, self.timeline.total)

    def _round_base(self, round_: int) -> Int64s:
        """[L + 1, K]: the first place of each component in each lane of a round, and after the last lane."""
        start, stop = round_ * self.round_size, self._bounded((round_ + 1) * self.round_size)
        counts = np.zeros((self.lanes, self._components), np.int64)
        few = self._components <= CELLS_PER_POSITION * self.granule
        count, step = (self._by_granule, self._granules) if few else (self._by_position, BLOCK_POSITIONS)
        for first in range(start, stop, step):
            counts += count(first, min(first + step, stop))
        base = np.zeros((self.lanes + 1, self._components), np.int64)
        np.cumsum(counts, axis=0, out=base[1:])
        return base + self.timeline.filled(np.array([start]))

    def _by_position(self, first: int, last: int) -> Int64s:
        """[L, K] seats of each component in each lane, of some positions: each is looked at."""
        component = self.timeline.components(np.array([first]), np.array([last]))
        lane = np.arange(first, last) // self.granule % self.lanes
        cells = self.lanes * self._components
        return np.bincount(lane * self._components + component, minlength=cells).reshape(self.lanes, -1)

    def _by_granule(self, first: int, last: int) -> Int64s:
        """The same, where there are few components: what each has had where granules meet; `first` is such a place."""
        edges = np.minimum(np.arange(first, last + self.granule, self.granule), last)
        given = np.diff(self.timeline.filled(edges), axis=0)
        counts = np.zeros((self.lanes, self._components), np.int64)
        for lane in range(min(self.lanes, len(given))):
            counts[(first // self.granule + lane) % self.lanes] = given[lane :: self.lanes].sum(axis=0)
        return counts

    @property
    def _granules(self) -> int:
        """Positions that are counted granule by granule at a time."""
        return max(1, BLOCK_POSITIONS // self._components) * self.granule

    def _chunk(self, round_: int, lane: int) -> Chunk:
        """Chunk (round, lane); shorter or empty at the end."""
        granules = np.arange(self.chunk_size // self.granule) * self.lanes + lane
        starts = round_ * self.round_size + granules * self.granule
        stops = starts + self.granule
        if self.timeline.total is not None:
            stops = np.minimum(stops, self.timeline.total)
        inside = starts < stops
        starts, stops = starts[inside], stops[inside]
        if not len(starts):
            empty = np.empty(0, np.int64)
            return Chunk(empty, empty, empty)
        component = self.timeline.components(starts, stops)
        position = np.concatenate(
            [(starts[:-1, None] + np.arange(self.granule)).ravel(), np.arange(starts[-1], stops[-1])]
        )
        return Chunk(position, component, self.round_base(round_)[lane][component] + occurrence(component))

    def range(self, start: int, stop: int) -> Chunk:
        """Positions [start, stop), whatever chunks they lie in."""
        stop = max(start, self._bounded(stop))
        result = Chunk(np.arange(start, stop), np.empty(stop - start, np.int64), np.empty(stop - start, np.int64))
        for round_ in range(start // self.round_size, -(-stop // self.round_size)):
            low, high = max(start, round_ * self.round_size), min(stop, (round_ + 1) * self.round_size)
            granules = range(low // self.granule, -(-high // self.granule))
            for lane in sorted({granule % self.lanes for granule in granules[: self.lanes]}):
                chunk = self.chunk(round_, lane)
                first, last = np.searchsorted(chunk.position, [low, high])
                at = chunk.position[first:last] - start
                result.component[at] = chunk.component[first:last]
                result.place[at] = chunk.place[first:last]
        return result

    def position_of(self, component: int, place: int) -> int | None:
        """The position that holds a place of a component, or None if it is never reached."""
        end = self.timeline.total
        low, high = 0, 1
        while self._filled(component, high) <= place:
            if end is not None and high * self.round_size >= end:
                return None
            if end is None and high > (1 << 62) // self.round_size:
                return None
            low, high = high, high * 2
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self._filled(component, middle) <= place else (low, middle)
        base = self.round_base(low)[:, component]
        lane = int(np.searchsorted(base, place, side="right")) - 1
        chunk = self.chunk(low, lane)
        return int(chunk.position[np.flatnonzero(chunk.component == component)[place - base[lane]]])

    def _filled(self, component: int, rounds: int) -> int:
        return int(self.timeline.filled(np.array([rounds * self.round_size]))[0, component])


def occurrence(values: Int64s) -> Int64s:
    """How many equal values stand before each one: [a, b, a, a] → [0, 0, 1, 2]. Values are small and not negative."""
    small = values.astype(np.uint16) if len(values) and values.max() < 1 << 16 else values
    order = np.argsort(small, kind="stable")
    counts = np.bincount(values)
    result = np.empty(len(values), np.int64)
    result[order] = np.arange(len(values)) - np.repeat(np.cumsum(counts) - counts, counts)
    return result
