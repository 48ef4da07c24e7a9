"""Each component's own order: place → entry and rank (DESIGN 2.4.3).

An *entry* is a segment as one component sees it: the segment and how many samples of the component lie in it. For each
epoch the segments are permuted by a keyed hash, the same for all components, so that they pass through the files
together; groups of segments that can only be read together stay together. Then the samples of a few consecutive
entries, a *window*, are permuted among themselves.

All components are worked on at once: place p of component c has the number N_0 + … + N_(c−1) + p, and the entries,
permuted inside their component, have ascending numbers too. So two searches find everything.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np

from mixtera.order.keys import key_of, keys
from mixtera.order.seats import Int64s

_GROUPS, _SEGMENTS, _WINDOWS = 1, 2, 3
"""What a key is for: keeps the permutations independent of each other."""

INDEX_BITS: Final = 18
"""A window has at most 4 segments of at most 65,536 rows."""
KEY_BITS: Final = 32
SORTED_WINDOWS: Final = 1 << (64 - INDEX_BITS - KEY_BITS)
"""Windows that one sort can tell apart."""


@dataclass(frozen=True)
class Entries:
    """What the order needs to know of the samples.

    Attributes:
        component: [E] int64, ascending.
        segment: [E] int64, ascending inside a component.
        count: [E] int64, samples of the component in the segment, at least 1.
        group: [S] int64, group of each segment.
        components: K.
    """

    component: Int64s
    segment: Int64s
    count: Int64s
    group: Int64s
    components: int


@dataclass(frozen=True)
class Epoch:
    """The permuted entries of one epoch, all components one after the other.

    Attributes:
        entry: [E] int64, the entries in their order.
        first: [E + 1] int64, number of the first sample of each of them.
        window: [E] int64, window that each lies in; windows are numbered over all components.
        window_first: [W + 1] int64, number of the first sample of each window.
        window_entry: [W] int64, index into `entry` of the first entry of each window.
        window_key: [W] uint64.
    """

    entry: Int64s
    first: Int64s
    window: Int64s
    window_first: Int64s
    window_entry: Int64s
    window_key: np.ndarray[tuple[int], np.dtype[np.uint64]]


class Permutation:
    """Place → (entry, rank of the sample inside the entry). Caches the last few epochs."""

    def __init__(self, entries: Entries, seed: int, shuffle: bool, window_segments: int) -> None:
        self.entries, self.seed, self.shuffle, self.window_segments = entries, seed, shuffle, window_segments
        sizes = np.bincount(entries.component, weights=None, minlength=entries.components)
        totals = np.zeros(entries.components, np.int64)
        np.add.at(totals, entries.component, entries.count)
        self.samples = totals
        self.sample_first = np.cumsum(totals) - totals
        self.entry_first = np.cumsum(sizes) - sizes
        self.epoch = lru_cache(maxsize=3)(self._epoch)

    def find(self, component: Int64s, place: Int64s) -> tuple[Int64s, Int64s]:
        """Entry, and rank of the sample among the entry's samples, of some places.

        Args:
            component: [n] int64.
            place: [n] int64, over all epochs.

        Returns:
            Two [n] int64 arrays.
        """
        epochs, within = np.divmod(place, self.samples[component])
        number = self.sample_first[component] + within
        if not len(epochs) or epochs.min() == epochs.max():
            return self._find(int(epochs[0]) if len(epochs) else 0, number)
        entry, rank = np.empty_like(number), np.empty_like(number)
        for epoch in np.unique(epochs):
            mine = epochs == epoch
            entry[mine], rank[mine] = self._find(int(epoch), number[mine])
        return entry, rank

    def place_of(self, epoch: int, component: int, entry: int, rank: int) -> int:
        """The place of a sample in an epoch: the inverse of `find`."""
        order = self.epoch(epoch)
        at = int(np.flatnonzero(order.entry[self._slice(component)] == entry)[0] + self.entry_first[component])
        number = int(order.first[at]) + rank
        if self.shuffle:
            window = int(order.window[at])
            first, last = order.window_first[window : window + 2]
            inside = self._shuffled(order, np.array([window]))
            number = int(first) + int(np.flatnonzero(inside[: last - first] == number - first)[0])
        return epoch * int(self.samples[component]) + number - int(self.sample_first[component])

    def _slice(self, component: int) -> slice:
        stop = np.append(self.entry_first, len(self.entries.component))[component + 1]
        return slice(int(self.entry_first[component]), int(stop))

    def _find(self, epoch: int, number: Int64s) -> tuple[Int64s, Int64s]:
        order = self.epoch(epoch)
        if self.shuffle:
            number = self._through_windows(order, number)
        at = np.searchsorted(order.first, number, side="right") - 1
        return order.entry[at], number - order.first[at]

    def _through_windows(self, order: Epoch, number: Int64s) -> Int64s:
        window = np.searchsorted(order.window_first, number, side="right") - 1
        touched, which = _distinct(window, len(order.window_key))
        first = order.window_first[touched]
        sizes = order.window_first[touched + 1] - first
        before = np.cumsum(sizes) - sizes
        blocks = range(0, len(touched), SORTED_WINDOWS)
        inside = np.concatenate([self._shuffled(order, touched[b : b + SORTED_WINDOWS]) for b in blocks] or [number])
        through: Int64s = first[which] + inside[before[which] + number - first[which]]
        return through

    def _shuffled(self, order: Epoch, windows: Int64s) -> Int64s:
        """For each window, the indices of its samples in their permuted order; one window after the other.

        Samples are ordered by (32-bit key, index): sorted as one integer with the window in front.
        """
        sizes = order.window_first[windows + 1] - order.window_first[windows]
        ordinal = np.repeat(np.arange(len(windows), dtype=np.uint64), sizes)
        index = np.arange(len(ordinal)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        key = keys(np.repeat(order.window_key[windows], sizes), index) >> np.uint64(64 - KEY_BITS)
        packed = (
            (ordinal << np.uint64(KEY_BITS + INDEX_BITS)) | (key << np.uint64(INDEX_BITS)) | index.astype(np.uint64)
        )
        packed.sort()
        shuffled: Int64s = (packed & np.uint64((1 << INDEX_BITS) - 1)).astype(np.int64)
        return shuffled

    def _epoch(self, epoch: int) -> Epoch:
        entries = self.entries
        entry = self._permuted(epoch) if self.shuffle else np.arange(len(entries.component))
        component = entries.component  # permuted inside each component, so unchanged
        first = np.concatenate([[0], np.cumsum(entries.count[entry])])
        inside = np.arange(len(entry)) - self.entry_first[component]
        starts = inside % self.window_segments == 0
        window_entry = np.flatnonzero(starts)
        window_key = keys(key_of(self.seed, _WINDOWS, epoch), component[window_entry])
        window_key = keys(window_key, inside[window_entry] // self.window_segments)
        window_first = np.append(first[window_entry], first[-1])
        return Epoch(entry, first, np.cumsum(starts) - 1, window_first, window_entry, window_key)

    def _permuted(self, epoch: int) -> Int64s:
        """Entries by component, then the rank of their segment in this epoch."""
        segments = len(self.entries.group)
        by_group = keys(key_of(self.seed, _GROUPS, epoch), self.entries.group)
        by_segment = keys(key_of(self.seed, _SEGMENTS, epoch), np.arange(segments))
        rank = np.empty(segments, np.int64)
        rank[np.lexsort((by_segment, by_group))] = np.arange(segments)
        return np.argsort(self.entries.component * segments + rank[self.entries.segment])


def _distinct(values: Int64s, bound: int) -> tuple[Int64s, Int64s]:
    """The distinct values below a bound, ascending, and the index of each value among them."""
    if bound > 4 * len(values):
        distinct, which = np.unique(values, return_inverse=True)
        return distinct, which
    present = np.zeros(bound, np.bool_)
    present[values] = True
    distinct = np.flatnonzero(present)
    index = np.cumsum(present) - 1
    return distinct, index[values]
