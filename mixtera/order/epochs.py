"""Epochs: the entries of some components in the order of one epoch, and the windows that they form.

All components are permuted at once for reading; one alone is enough to find a sample, and costs its own entries only.
Nothing is kept per window that can be told from its number: keys are made for the windows that are asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

from mixtera.order.keys import UInt64s, key_of, keys
from mixtera.order.leftout import Bools
from mixtera.order.seats import Int64s

Integers = npt.NDArray[np.signedinteger]

_GROUPS, _SEGMENTS, _WINDOWS = 1, 2, 3
"""What a key is for: keeps the permutations independent of each other."""

CELLS_PER_ENTRY: Final = 8
"""A table of components × segments with no more than this many cells per entry is faster than a sort."""
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

    def ranks(self, epoch: int) -> Int64s:
        """[S] rank of each segment in an epoch."""
        by_group = keys(key_of(self.seed, _GROUPS, epoch), self.group)
        by_segment = keys(key_of(self.seed, _SEGMENTS, epoch), self.segment)
        rank = np.empty(len(by_segment), np.int64)
        rank[np.lexsort((by_segment, by_group))] = np.arange(len(by_segment))
        return rank

    def of_windows(self, epoch: int, component: int | slice) -> UInt64s:
        """What the keys of the windows of some components are made of, beside the number of the window."""
        return keys(key_of(self.seed, _WINDOWS, epoch), np.atleast_1d(self.component[component]))


@dataclass(frozen=True)
class Epoch:
    """The permuted entries of one epoch: those of some components, one component after the other.

    Attributes:
        number: Number of the epoch.
        entry: [E] integers, the entries in their order.
        first: [E + 1] int64, number of the first sample of each of them; what is left out is not counted.
        whole_first: [E + 1] int64, the same with what is left out.
        windows: [K + 1] int64, number of each component's first window; windows are numbered over all components.
        window_first: [W + 1] int64, number of the first sample of each window.
        window_whole_first: [W + 1] int64, the same with what is left out.
        plain: [K] bool, components whose samples are not permuted.
        key: [K] uint64, what the keys of each component's windows are made of.
        complete: Whether nothing is left out.
    """

    number: int
    entry: Integers
    first: Int64s
    whole_first: Int64s
    windows: Int64s
    window_first: Int64s
    window_whole_first: Int64s
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
        counts: [E] samples of each of them, and how many of these are left out; None for none.
        sizes: [K] entries of each component.
        window_segments: Entries of a window.
        plain: [K] components whose samples are not permuted.
        key: [K] what the keys of their windows are made of.
    """
    whole, left_out = counts
    whole_first = sums(whole)
    first = whole_first if left_out is None else sums(whole - left_out)
    windows = sums(-(-sizes // window_segments))
    jumps = np.cumsum(sizes) - sizes - windows[:-1] * window_segments
    heads = np.arange(windows[-1]) * window_segments + np.repeat(jumps, np.diff(windows))
    window_first = np.append(first[heads], first[-1])
    window_whole_first = window_first if left_out is None else np.append(whole_first[heads], whole_first[-1])
    return Epoch(
        number, entry, first, whole_first, windows, window_first, window_whole_first, plain, key, left_out is None
    )


def permuted(first: int, sizes: Int64s, place: Integers, segments: int) -> Integers:
    """Entries by component, then by the place of their segment.

    Args:
        first: Number of the first entry.
        sizes: [K] entries of each component.
        place: [E] place of each entry's segment, different for all entries of a component.
        segments: S, above all places.
    """
    cells = len(sizes) * segments
    cell = np.repeat(np.arange(len(sizes)) * segments, sizes) + place
    if cells > CELLS_PER_ENTRY * len(place):
        return np.argsort(cell) + first
    numbers: Integers = np.arange(first, first + len(place))
    if first + len(place) <= _NARROW:
        numbers = numbers.astype(np.int32)
    table = np.full_like(numbers, -1, shape=cells)
    table[cell] = numbers
    held: Integers = table[table >= 0]
    return held


def sums(counts: Integers) -> Int64s:
    """[n + 1] sum of the counts before each of them, and of all."""
    total = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=total[1:])
    return total
