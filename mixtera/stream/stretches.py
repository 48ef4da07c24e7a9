"""Stretches: segments of which a reader will soon want all, so that a storage may read them whole.

The samples of a component are permuted inside a window of a few segments, so who reads one sample of a segment wants
the component's other samples of it within the same window. Components that go through their samples equally fast go
through the files together. A segment that such components fill is wanted whole.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from mixtera.arrow import to_numpy
from mixtera.artifact.model import OrderParameters, PlanData
from mixtera.contracts.storage import AccessProfile
from mixtera.order.seats import Int64s
from mixtera.stream.consumer import Consumer

WHOLE_SHARE: Final = 0.75
"""Part of a segment's rows that a reader must want: to read the rest in vain costs less than many requests."""
TWICE: Final = 0.3
"""Part of the segments that may be read twice for want of a cache that readers share."""
SPREAD: Final = 2
"""Windows whose segments a lane is in, about: components are not at exactly the same place."""
SAME_PACE: Final = 1e-4
"""Components whose paces differ by less, relatively, go through the files together: for 1 TB they are 100 MB apart."""


class Stretches:
    """Where the segments lie that a reader wants whole, file by file.

    Args:
        data: The plan.
        consumer: The reader.
        here: Ranks on its machine; see `mixtera.stream.machine`.
    """

    def __init__(self, data: PlanData, consumer: Consumer, here: int = 1) -> None:
        self._data, self._consumer, self._here = data, consumer, here
        self._segment_file = to_numpy(data.segments.column("file"))
        self._entry_segment = to_numpy(data.entries.column("segment"))
        self._entry_count = to_numpy(data.entries.column("count"))
        self._bytes = int(to_numpy(data.files.column("size")).sum())
        framed = to_numpy(data.frames.column("file")).astype(np.int64)
        self._framed = frozenset(framed[np.diff(framed, prepend=-1) != 0].tolist())
        self._pace: Int64s | None = None

    @property
    def alone(self) -> bool:
        """Whether nobody else reads the plan."""
        return self._consumer.world_size * self._consumer.workers == 1

    def of(self, file: int, profile: AccessProfile) -> tuple[Int64s, Int64s]:
        """First byte, and byte after the last, of each segment of a file that is wanted whole, ascending."""
        first, last = np.searchsorted(self._segment_file, [file, file + 1]).tolist()
        rows, start, offset = (
            to_numpy(self._data.segments.column(name))[first:last].astype(np.int64)
            for name in ("rows", "start", "offset")
        )
        none = np.empty(0, np.int64)
        consumer = of_machine(self._consumer, self._here) if profile.is_shared else self._consumer
        own, order = own_share(consumer, self._data.order), self._data.order
        is_framed = file in self._framed
        if own < WHOLE_SHARE or is_framed or not profile.kept_bytes or first == last or int(start.min()) < 0:
            return none, none
        if not profile.stays and read_twice(self._data, consumer) > TWICE:
            return none, none
        whole = np.flatnonzero(self._wanted(first, last) * own >= WHOLE_SHARE * rows)
        starts = offset[whole]
        stops = np.append(offset[1:], -1)[whole]  # where the next one begins
        open_ = np.flatnonzero(stops <= starts)
        ends = start[whole[open_]] + rows[whole[open_]]
        stops[open_] = starts[open_] + self._data.starts[ends].astype(np.int64)
        window = order.window_segments * int((stops - starts).max(initial=0))
        if min(SPREAD * window * len(consumer.lanes(order)), self._bytes) > self._kept_bytes(profile):
            return none, none
        return starts, stops

    def _kept_bytes(self, profile: AccessProfile) -> int:
        """Bytes that are kept for all who share them."""
        each = profile.is_shared and not profile.stays
        return profile.kept_bytes * (self._here * self._consumer.workers if each else 1)

    def _wanted(self, first: int, last: int) -> Int64s:
        """[n] rows of segments [first, last) that are wanted together, at most."""
        if self._pace is None:
            self._pace = paces(self._data)
        wanted = np.zeros((int(self._pace.max(initial=-1)) + 1, last - first), np.int64)
        edges = self._data.component_entries
        for component, pace in enumerate(self._pace.tolist()):
            segments = self._entry_segment[edges[component] : edges[component + 1]]
            low, high = np.searchsorted(segments, [first, last]).tolist()
            counts = self._entry_count[edges[component] + low : edges[component] + high]
            wanted[pace, segments[low:high] - first] += counts
        most: Int64s = wanted.max(axis=0, initial=0)
        return most


def paces(data: PlanData) -> Int64s:
    """[K] a number for each component: equal where they go through their samples equally fast, from first to last."""
    found = np.zeros(len(data.components), np.int64)
    samples = np.array([max(1, component.samples) for component in data.components], np.float64)
    for phase in {0, len(data.timeline.phases) - 1}:
        rate = np.array(data.timeline.phases[phase].weights, np.float64) / samples
        order = np.argsort(rate, kind="stable")
        ascending = rate[order]
        faster = np.zeros(len(rate), np.int64)
        faster[order[1:]] = np.cumsum(ascending[1:] > ascending[:-1] * (1 + SAME_PACE))
        found = np.unique(found * len(rate) + faster, return_inverse=True)[1].astype(np.int64)
    return found


def of_machine(consumer: Consumer, here: int) -> Consumer:
    """The readers of a machine as one: ranks that follow each other take positions that follow each other."""
    return Consumer(
        consumer.batch_size * here,
        consumer.rank // here,
        consumer.world_size // here,
        consumer.start,
        consumer.total,
    )


def own_share(consumer: Consumer, order: OrderParameters) -> float:
    """Part of the samples of a reader's lanes that it takes, on average."""
    lanes = len(consumer.lanes(order))
    return order.lanes / (consumer.world_size * consumer.workers * lanes) if lanes else 0.0


def read_twice(data: PlanData, consumer: Consumer) -> float:
    """Part of what a reader reads, if all segments are read whole, that the readers of other lanes read too; about.

    Where the stretches of two lanes meet, both lanes have samples of the same window, of each component at another
    place. A reader whose batches are several granules has so many lanes that follow each other.
    """
    if consumer.world_size * consumer.workers == 1:
        return 0.0
    largest = int(np.argmax(data.timeline.phases[0].weights))
    weights, edges = data.timeline.phases[0].weights, data.component_entries
    entries = int(edges[largest + 1] - edges[largest])
    total = data.timeline.total
    chunk = data.order.chunk_size if total is None else min(data.order.chunk_size, total / data.order.lanes)
    passed = chunk * weights[largest] / sum(weights) * entries / max(1, data.components[largest].samples)
    side_by_side = max(1, min(consumer.batch_size // data.order.granule, data.order.lanes))
    return SPREAD * data.order.window_segments / max(passed, 1e-9) / side_by_side
