"""Epochs: the entries of some components in the order of one epoch, and the windows that they form.

All components are permuted at once for reading; one alone is enough to find a sample, and costs its own entries only.
Nothing is kept per window that can be told from its number: keys are made for the windows that are asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from mixtera.cached import cached_property
from mixtera.order.keys import UInt64s, key_of, keys
from mixtera.order.leftout import Bools
from mixtera.order.seats import Int64s

Integers = npt.NDArray[np.signedinteger]

_GROUPS, _SEGMENTS, _WINDOWS, _ROWS, _DOCUMENTS = 1, 2, 3, 4, 5
"""What a key is for: keeps the permutations independent of each other."""

CELLS_PER_ENTRY: Final = 8
"""A table of components × segments with no more than this many cells per entry is faster than a sort."""
BLOCK_ENTRIES: Final = 1 << 16
"""Entries that are sorted at a time, about: so many stay in a processor's cache."""
_NARROW: Final = np.iinfo(np.int32).max


@dataclass(frozen=True)
class Entries:
    """What the order needs to know of the samples.

    Attributes:
        component: [E] integers, ascending.
        segment: [E] integers, ascending inside a component.
        count: [E] integers, samples of the component in the segment, at least 1; those that are left out too.
        group: [S] int64, group of each segment.
        components: K.
    """

    component: Integers
    segment: Integers
    count: Integers
    group: Int64s
    components: int

    @cached_property
    def bounds(self) -> Int64s:
        """[K + 1] number of each component's first entry, and the number of entries."""
        wanted = np.arange(self.components + 1, dtype=self.component.dtype)
        found: Int64s = np.searchsorted(self.component, wanted)
        return found


@dataclass(frozen=True)
class Keys:
    """What the keys of the permutations are made of.

    Attributes:
        seed: Seed of the order.
        component: [K] int64.
        segment: [S] int64.
        group: [S] int64, of each segment's group.
    """

    seed: int
    component: Int64s
    segment: Int64s
    group: Int64s

    def ranks(self, epoch: int) -> Integers:
        """[S] rank of each segment in an epoch."""
        by_group = keys(key_of(self.seed, _GROUPS, epoch), self.group)
        rank: Integers = np.empty(len(by_group), _kind(len(by_group)))
        order = np.argsort(by_group)
        ascending = by_group[order]
        if (ascending[1:] == ascending[:-1]).any():  # groups of several segments: two sorts, five times the time
            order = np.lexsort((keys(key_of(self.seed, _SEGMENTS, epoch), self.segment), by_group))
        rank[order] = np.arange(len(by_group), dtype=rank.dtype)
        return rank

    def of_windows(self, epoch: int, component: int | slice) -> UInt64s:
        """What the keys of the windows of some components are made of, beside the number of the window."""
        return keys(key_of(self.seed, _WINDOWS, epoch), np.atleast_1d(self.component[component]))

    def of_rows(self, epoch: int, component: int, window: int) -> RowKeys:
        """What the keys of the rows of a window are made of, and those of its documents."""
        number = np.array([window])
        own = self.component[component : component + 1]
        rows, documents = (keys(keys(key_of(self.seed, what, epoch), own), number) for what in (_ROWS, _DOCUMENTS))
        return RowKeys(np.uint64(rows[0]), np.uint64(documents[0]))


@dataclass(frozen=True)
class RowKeys:
    """What keys are made of in a window whose documents are fitted into rows.

    Attributes:
        rows: Those of rows.
        documents: Those of documents, among documents of the same length.
    """

    rows: np.uint64
    documents: np.uint64


@dataclass(frozen=True)
class Epoch:
    """The permuted entries of one epoch: those of some components, one component after the other.

    Attributes:
        number: Number of the epoch.
        entry: [E] integers, the entries in their order.
        first: [E + 1] number of the first sample of each of them; what is left out is not counted.
        whole_first: [E + 1] the same with what is left out.
        windows: [K + 1] int64, number of each component's first window; windows are numbered over all components.
        window_entry: [W + 1] int64, place of each window's first entry in `entry`, and the number of entries.
        window_first: [W + 1] number of the first sample of each window.
        window_whole_first: [W + 1] the same with what is left out.
        plain: [K] bool, components whose samples are not permuted.
        key: [K] uint64, what the keys of each component's windows are made of.
        complete: Whether nothing is left out.
    """

    number: int
    entry: Integers
    first: Integers
    whole_first: Integers
    windows: Int64s
    window_entry: Int64s
    window_first: Integers
    window_whole_first: Integers
    plain: Bools
    key: UInt64s
    complete: bool

    def component_of(self, windows: Int64s) -> Int64s:
        """[n] which of the components each of some windows belongs to."""
        found: Int64s = np.searchsorted(self.windows, windows, side="right") - 1
        return found

    def keys_of(self, windows: Int64s) -> UInt64s:
        """[n] key of each of some windows."""
        component = self.component_of(windows)
        return keys(self.key[component], windows - self.windows[component])


def epoch_of(
    number: int,
    entry: Integers,
    start: int,
    counts: tuple[Integers, Integers | None],
    sizes: Int64s,
    window_segments: int,
    plain: Bools,
    key: UInt64s,
) -> Epoch:
    """The epoch of permuted entries.

    Args:
        number: Number of the epoch.
        entry: [E] the entries in their order.
        start: The smallest of them.
        counts: [E] samples of each entry from the smallest on, and how many are left out; None where none are.
        sizes: [K] entries of each component.
        window_segments: Entries of a window.
        plain: [K] components whose samples are not permuted.
        key: [K] what the keys of their windows are made of.
    """
    count, left_out = counts
    at = entry - start if start else entry
    whole_first = _sums_of(count, at)
    first = whole_first if left_out is None else _sums_of(count - left_out, at)
    windows = sums(-(-sizes // window_segments))
    jumps = np.cumsum(sizes) - sizes - windows[:-1] * window_segments
    heads = np.arange(windows[-1]) * window_segments + np.repeat(jumps, np.diff(windows))
    edges = np.append(heads, len(entry))
    window_first = first[edges]
    window_whole_first = window_first if left_out is None else whole_first[edges]
    return Epoch(
        number,
        entry,
        first,
        whole_first,
        windows,
        edges,
        window_first,
        window_whole_first,
        plain,
        key,
        left_out is None,
    )


def permuted(first: int, sizes: Int64s, segment: Integers, rank: Integers, plain: Bools) -> Integers:
    """Entries by component, then by the rank of their segment.

    Args:
        first: Number of the first entry.
        sizes: [K] entries of each component.
        segment: [E] segment of each entry, ascending inside a component.
        rank: [S] rank of each segment.
        plain: [K] components whose entries stay where they are.

    Returns:
        [E] int32, where the numbers fit.
    """
    bounds = sums(sizes)
    result: Integers = np.empty(len(segment), _kind(first + len(segment)))
    component = 0
    while component < len(sizes):
        after = int(np.searchsorted(bounds, bounds[component] + BLOCK_ENTRIES, side="right")) - 1
        block = slice(component, max(component + 1, after))
        part = slice(int(bounds[block.start]), int(bounds[block.stop]))
        result[part] = _sorted(sizes[block], segment[part], rank, plain[block])
        result[part] += first + part.start
        component = block.stop
    return result


def _sorted(sizes: Int64s, segment: Integers, rank: Integers, plain: Bools) -> Integers:
    """The order of some entries, from 0."""
    if plain.all():
        return np.arange(len(segment))
    place = rank[segment]
    if plain.any():
        place = np.where(np.repeat(plain, sizes), segment, place)
    cell = np.repeat(np.arange(len(sizes)) * len(rank), sizes) + place
    cells = len(sizes) * len(rank)
    if cells > CELLS_PER_ENTRY * len(segment):
        return np.argsort(cell)
    table: Integers = np.full(cells, -1, _kind(len(segment)))
    table[cell] = np.arange(len(segment))
    held: Integers = table[table >= 0]
    return held


def holding(first: Integers, number: Int64s) -> Int64s:
    """[n] which of some consecutive ranges holds each number; `first` is where each begins, and the last ends."""
    found: Int64s = np.searchsorted(first, number.astype(first.dtype, copy=False), side="right") - 1
    return found


def _sums_of(counts: Integers, at: Integers) -> Integers:
    """Sums of the counts at some places, in the narrowest type: fresh memory is what a first look at a plan costs."""
    kind = _kind(int(counts.sum(dtype=np.int64)))
    total: Integers = np.empty(len(at) + 1, kind)
    total[0] = 0
    narrow = counts.astype(kind, copy=False)
    np.take(narrow, at, out=total[1:], mode="clip")  # all are in range; "raise" would copy first
    np.cumsum(total[1:], dtype=kind, out=total[1:])
    return total


def _kind(bound: int) -> type[np.int32] | type[np.int64]:
    """The narrowest type for numbers below a bound."""
    return np.int32 if bound <= _NARROW else np.int64


def sums(counts: Integers) -> Int64s:
    """[n + 1] sum of the counts before each of them, and of all."""
    total = np.empty(len(counts) + 1, np.int64)
    total[0] = 0
    total[1:] = counts  # widened first: four times as fast as while summing
    np.cumsum(total[1:], out=total[1:])
    return total
