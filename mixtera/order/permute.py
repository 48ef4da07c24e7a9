"""Each component's own order: place → entry and rank (DESIGN 2.4.3).

An *entry* is a segment as one component sees it: the segment and how many samples of the component lie in it. For each
epoch the segments are permuted by a keyed hash, the same for all components, so that they pass through the files
together; groups of segments that can only be read together stay together. Then the samples of a few consecutive
entries, a *window*, are permuted among themselves. A component may also have file order, or a sequence of its own.

All components are worked on at once: place p of component c has the number N_0 + … + N_(c−1) + p, and the entries,
permuted inside their component, have ascending numbers too. So two searches find everything. Samples that are left out
are permuted with the others and then skipped.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from mixtera.order.epochs import Entries, Epoch, Integers, Keys, RowKeys, epoch_of, holding, permuted, sums
from mixtera.order.keys import keys
from mixtera.order.leftout import Bools, LeftOut
from mixtera.order.places import Places, Start
from mixtera.order.seats import Int64s

INDEX_BITS: Final = 18
"""A window has at most 4 segments of at most 65,536 rows."""
KEY_BITS: Final = 32
SORTED_WINDOWS: Final = 1 << (64 - INDEX_BITS - KEY_BITS)
"""Windows that one sort can tell apart."""


@dataclass(frozen=True, eq=False)
class Variation:
    """What makes the order differ from the plain one: nothing, by default.

    Attributes:
        in_file_order: Components that are not shuffled.
        sequences: Component → [its samples that are not excluded] their numbers inside the component, in the order in
            which each epoch delivers them.
        excluded: Samples that are left out in all epochs; None for none.
        delivered: Samples that are left out in their component's first epoch, the excluded ones among them; None: only
            those.
        start: Where components begin; None: all at their first place.
        component_keys: [K] int64, what the keys of each component are made of; None: its number.
        segment_keys: [S] int64, likewise.
        group_keys: [S] int64, what the keys of each segment's group are made of; None: the group's number.
    """

    in_file_order: frozenset[int] = frozenset()
    sequences: Mapping[int, npt.NDArray[np.integer]] = field(default_factory=dict)
    excluded: LeftOut | None = None
    delivered: LeftOut | None = None
    start: Start | None = None
    component_keys: Int64s | None = None
    segment_keys: Int64s | None = None
    group_keys: Int64s | None = None

    @property
    def is_plain(self) -> bool:
        """Whether the order is the plain one."""
        keys_ = (self.component_keys, self.segment_keys, self.group_keys)
        arrays = (self.excluded, self.delivered, self.start, *keys_)
        return not self.in_file_order and not self.sequences and all(array is None for array in arrays)


PLAIN: Final = Variation()


class Permutation:
    """Place → (entry, rank of the sample inside the entry). Caches the last few epochs."""

    def __init__(
        self, entries: Entries, seed: int, shuffle: bool, window_segments: int, variation: Variation = PLAIN
    ) -> None:
        self.entries, self.window_segments = entries, window_segments
        self._variation = variation
        self._keys = _keys(entries, seed, variation)
        self.entry_first = entries.bounds[:-1]
        self.sample_first = sums(entries.count)
        """[E + 1] number of each entry's first sample, with what is left out; entries in their own order."""
        self._plain = np.full(entries.components, not shuffle)
        self._plain[list(variation.in_file_order)] = True
        self._start = Start.of_new(entries.components) if variation.start is None else variation.start
        self.samples = self._sizes(variation.excluded)
        first = self.samples if variation.delivered is None else self._sizes(variation.delivered)
        self.places = Places(self.samples, first, self._start)
        self._sequenced = np.zeros(entries.components, np.bool_)
        self._sequenced[list(variation.sequences)] = True
        self.epoch = lru_cache(maxsize=3)(self._epoch)
        self._looked_at: dict[int, int] = {}
        self._alone = lru_cache(maxsize=8)(self._epoch)
        self._ranks = lru_cache(maxsize=3)(self._keys.ranks)
        self._sequence = lru_cache(maxsize=8)(self._sequence_in)

    def _sizes(self, left_out: LeftOut | None) -> Int64s:
        """[K] samples of each component that are not left out."""
        sizes: Int64s = np.diff(self.sample_first[self.entries.bounds])
        return sizes if left_out is None else sizes - np.diff(sums(left_out.count)[self.entries.bounds])

    def find(self, component: Int64s, place: Int64s) -> tuple[Int64s, Int64s]:
        """Entry, and rank of the sample among the entry's samples, of some places.

        Args:
            component: [n] int64.
            place: [n] int64, over all epochs.

        Returns:
            Two [n] int64 arrays.
        """
        epochs, within = self.places.split(component, place)
        if not len(epochs) or epochs.min() == epochs.max():
            return self._find(int(epochs[0]) if len(epochs) else 0, component, within)
        entry, rank = np.empty_like(within), np.empty_like(within)
        for epoch in ranked(epochs)[0].tolist():
            mine = epochs == epoch
            entry[mine], rank[mine] = self._find(epoch, component[mine], within[mine])
        return entry, rank

    def find_in(self, component: int, epoch: int, within: Int64s) -> tuple[Int64s, Int64s]:
        """Entry and rank of some places of one epoch of a component, counted from the epoch's first.

        Args:
            component: The component.
            epoch: Number of the epoch.
            within: [n] int64.
        """
        return self._find(epoch, np.full(len(within), component), within)

    def place_of(self, epoch: int, component: int, entry: int, rank: int) -> int | None:
        """The place of a sample in an epoch: the inverse of `find`; None where it has none."""
        within = self._within(epoch, component, entry, rank)
        return None if within is None else self.places.joined(component, epoch, within)

    def samples_in(self, order: Epoch, windows: Int64s) -> tuple[Int64s, Int64s]:
        """Entry and rank of all samples of some windows of an epoch that are not left out, in their order.

        Args:
            order: The epoch.
            windows: Numbers of windows.
        """
        return self._delivered(order, windows)

    def alone(self, epoch: int, component: int) -> Epoch:
        """An epoch of one component: its windows are numbered from 0."""
        return self._alone(epoch, component)

    def sequence(self, component: int, epoch: int) -> npt.NDArray[np.integer] | None:
        """Numbers, inside the component, of its samples in the order of an epoch; None where it has no curriculum."""
        return self._sequence(component, epoch) if self._sequenced[component] else None

    def is_excluded(self, entry: int, rank: int) -> bool:
        """Whether a sample has a place in no epoch."""
        excluded = self._variation.excluded
        return excluded is not None and bool(excluded.holds(self.sample_first[[entry]] + rank)[0])

    def _within(self, epoch: int, component: int, entry: int, rank: int) -> int | None:
        if self._sequenced[component]:
            number = int(self.sample_first[entry]) + rank - self._first_of(component)
            found = np.flatnonzero(self._sequence(component, epoch) == number)
            return int(found[0]) if len(found) else None
        order = self._alone(epoch, component)
        at = int(np.flatnonzero(order.entry == entry)[0])
        window = np.array([at // self.window_segments])
        entries, ranks = self._delivered(order, window)
        found = np.flatnonzero((entries == entry) & (ranks == rank))
        return int(order.window_first[window[0]]) + int(found[0]) if len(found) else None

    def _first_of(self, component: int) -> int:
        return int(self.sample_first[self.entry_first[component]])

    @property
    def delivered(self) -> LeftOut | None:
        """What the first epochs leave out beside what all of them do; None for nothing."""
        return self._variation.delivered

    @property
    def sequenced(self) -> Bools:
        """[K] whether each component has a curriculum."""
        return self._sequenced

    @property
    def in_file_order(self) -> Bools:
        """[K] whether each component is not shuffled."""
        return self._plain

    def segment_ranks(self, epoch: int) -> Integers:
        """[S] rank of each segment in an epoch."""
        return self._ranks(epoch)

    def row_keys(self, epoch: int, component: int, window: int) -> RowKeys:
        """What keys are made of in a window of a component, counted from its first, that is fitted into rows."""
        return self._keys.of_rows(epoch, component, window)

    def _find(self, epoch: int, component: Int64s, within: Int64s) -> tuple[Int64s, Int64s]:
        """Entry and rank of some places of one epoch."""
        if not self._variation.sequences:
            return self._permuted(epoch, component, within)
        entry, rank = np.empty_like(within), np.empty_like(within)
        others = ~self._sequenced[component]
        if others.any():
            entry[others], rank[others] = self._permuted(epoch, component[others], within[others])
        for one in ranked(component[~others])[0].tolist():
            mine = component == one
            number = self._first_of(one) + self._sequence(one, epoch)[within[mine]].astype(np.int64)
            at = holding(self.sample_first, number)
            entry[mine], rank[mine] = at, number - self.sample_first[at]
        return entry, rank

    def _sequence_in(self, component: int, epoch: int) -> npt.NDArray[np.integer]:
        """The samples of a component with a sequence that an epoch delivers: numbers inside the component."""
        sequence = self._variation.sequences[component]
        delivered = self._variation.delivered
        if delivered is None or epoch != self._start.first_epoch[component]:
            return sequence
        return sequence[~delivered.holds(self._first_of(component) + sequence.astype(np.int64))]

    def _permuted(self, epoch: int, component: Int64s, within: Int64s) -> tuple[Int64s, Int64s]:
        order, entry_first = self._order(epoch, component)
        number = order.first[entry_first] + within
        if not order.complete:
            return self._through_gaps(order, number)
        if not self._plain.all():
            number = self._through_windows(order, number)
        at = holding(order.first, number)
        return order.entry[at].astype(np.int64), number - order.first[at]

    def _order(self, epoch: int, component: Int64s) -> tuple[Epoch, Int64s | int]:
        """An epoch of all components, and the first entry of each place; of one alone while only that is asked for.

        So the first look at a plan of very many samples does not wait for the order of all of them.
        """
        one = int(component[0]) if len(component) else 0
        if (component == one).all() and self._looked_at.setdefault(epoch, one) == one:
            return self._alone(epoch, one), 0
        self._looked_at[epoch] = -1
        return self.epoch(epoch), self.entry_first[component]

    def _through_windows(self, order: Epoch, number: Int64s) -> Int64s:
        window = holding(order.window_first, number)
        touched, which = _distinct(window, int(order.windows[-1]))
        first = order.window_first[touched]
        sizes = order.window_first[touched + 1] - first
        before = np.cumsum(sizes) - sizes
        inside = self._shuffled(order, touched)
        through: Int64s = first[which] + inside[before[which] + number - first[which]]
        return through

    def _through_gaps(self, order: Epoch, number: Int64s) -> tuple[Int64s, Int64s]:
        """Entry and rank of some numbers where samples are left out."""
        window = holding(order.window_first, number)
        touched, which = _distinct(window, int(order.windows[-1]))
        entry, rank = self._delivered(order, touched)
        first = order.window_first[touched]
        sizes = order.window_first[touched + 1] - first
        at = (np.cumsum(sizes) - sizes - first)[which] + number
        return entry[at], rank[at]

    def _delivered(self, order: Epoch, windows: Int64s) -> tuple[Int64s, Int64s]:
        """Entry and rank of all samples of some windows that are not left out, in their order."""
        first = order.window_whole_first[windows]
        sizes = order.window_whole_first[windows + 1] - first
        whole = np.repeat(first, sizes) + self._shuffled(order, windows)
        at = holding(order.whole_first, whole)
        entry, rank = order.entry[at].astype(np.int64), whole - order.whole_first[at]
        if order.complete:
            return entry, rank
        kept = ~self._left_out(order.number, entry, rank)
        return entry[kept], rank[kept]

    def _left_out(self, epoch: int, entry: Int64s, rank: Int64s) -> Bools:
        number = self.sample_first[entry] + rank
        excluded, delivered = self._variation.excluded, self._variation.delivered
        left_out = np.zeros(len(number), np.bool_) if excluded is None else excluded.holds(number)
        if delivered is not None:
            first = self._start.first_epoch[self.entries.component[entry]] == epoch
            left_out = np.where(first, delivered.holds(number), left_out)
        return left_out

    def _shuffled(self, order: Epoch, windows: Int64s) -> Int64s:
        """For each window, the indices of its samples in their permuted order; one window after the other."""
        blocks = range(0, len(windows), SORTED_WINDOWS)
        parts = [self._sorted(order, windows[block : block + SORTED_WINDOWS]) for block in blocks]
        joined: Int64s = np.concatenate(parts) if parts else np.empty(0, np.int64)
        return joined

    def _sorted(self, order: Epoch, windows: Int64s) -> Int64s:
        """The same for at most `SORTED_WINDOWS` windows.

        Samples are ordered by (32-bit key, index): sorted as one integer with the window in front.
        """
        sizes = order.window_whole_first[windows + 1] - order.window_whole_first[windows]
        ordinal = np.repeat(np.arange(len(windows), dtype=np.uint64), sizes)
        index: Int64s = np.arange(len(ordinal)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        plain = order.plain[order.component_of(windows)]
        if plain.all():
            return index
        key = keys(np.repeat(order.keys_of(windows), sizes), index) >> np.uint64(64 - KEY_BITS)
        if plain.any():
            key[np.repeat(plain, sizes)] = 0
        packed = (
            (ordinal << np.uint64(KEY_BITS + INDEX_BITS)) | (key << np.uint64(INDEX_BITS)) | index.astype(np.uint64)
        )
        packed.sort()
        shuffled: Int64s = (packed & np.uint64((1 << INDEX_BITS) - 1)).astype(np.int64)
        return shuffled

    def _epoch(self, epoch: int, component: int | None = None) -> Epoch:
        """An epoch of all components, or of one alone."""
        entries = self.entries
        which = slice(None) if component is None else slice(component, component + 1)
        bounds = entries.bounds if component is None else entries.bounds[component : component + 2]
        part, sizes = slice(int(bounds[0]), int(bounds[-1])), np.diff(bounds)
        plain = self._plain[which]
        entry = permuted(part.start, sizes, entries.segment[part], self._ranks(epoch), plain)
        counts = entries.count[part], self._left_out_counts(epoch, which, part, sizes)
        key = self._keys.of_windows(epoch, which)
        return epoch_of(epoch, entry, part.start, counts, sizes, self.window_segments, plain, key)

    def _left_out_counts(self, epoch: int, components: slice, part: slice, sizes: Int64s) -> Int64s | None:
        """Samples of each entry of a part that an epoch leaves out; None where it is none at all."""
        excluded, delivered = self._variation.excluded, self._variation.delivered
        if excluded is None and delivered is None:
            return None
        counts = np.zeros(part.stop - part.start, np.int64) if excluded is None else excluded.count[part]
        if delivered is not None:
            first = np.repeat(self._start.first_epoch[components] == epoch, sizes)
            counts = np.where(first, delivered.count[part], counts)
        return counts if counts.any() else None


def _keys(entries: Entries, seed: int, variation: Variation) -> Keys:
    """What keys are made of: numbers, unless a variation names something else."""
    component, segment, group = variation.component_keys, variation.segment_keys, variation.group_keys
    return Keys(
        seed,
        np.arange(entries.components) if component is None else component,
        np.arange(len(entries.group)) if segment is None else segment,
        entries.group if group is None else group,
    )


def _distinct(values: Int64s, bound: int) -> tuple[Int64s, Int64s]:
    """The distinct values below a bound, ascending, and the index of each value among them."""
    if bound > 4 * len(values):
        return ranked(values)
    present = np.zeros(bound, np.bool_)
    present[values] = True
    distinct = np.flatnonzero(present)
    index = np.cumsum(present) - 1
    return distinct, index[values]


def ranked(values: Int64s) -> tuple[Int64s, Int64s]:
    """As `np.unique` with the inverse, which imports `numpy.ma` and takes 15 ms when it is first called."""
    order = np.argsort(values, kind="stable")
    ascending = values[order]
    new = np.ones(len(values), np.bool_)
    np.not_equal(ascending[1:], ascending[:-1], out=new[1:])
    index = np.empty(len(values), np.int64)
    index[order] = np.cumsum(new) - 1
    return ascending[new], index
