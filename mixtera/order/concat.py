"""Sequences cut from streams of tokens: place → pieces of documents (DESIGN 2.4.7, `packing: concat`).

The documents of a component, in its own order, epoch after epoch, are one stream of tokens. Place q of the component is
the tokens [q · stride, q · stride + row_tokens) of it. How many tokens lie before an entry, and before a window, are
sums; the documents of the few windows that a place touches are summed when they are asked for. So any sequence is found
without those before it, nothing is padded, and nothing is kept between sequences.

A plan that continues another counts places as the plan before did (`mixtera.order.places.Start`, in sequences), from
the first token of a first epoch that may lack documents: those that were delivered before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from mixtera.mapped import Column
from mixtera.order.epochs import Epoch, sums
from mixtera.order.permute import Permutation, ranked
from mixtera.order.seats import Int64s

BLOCK: Final = 1024
"""Documents of a curriculum that are summed together."""
DOCUMENTS: Final = 1 << 20
"""Documents that an earlier plan has delivered, and that are summed at a time."""


@dataclass(frozen=True)
class Pieces:
    """Parts of documents, one after the other as they stand in sequences; all arrays are [m] int64.

    Attributes:
        sequence: Which of the sequences asked for, ascending.
        entry: The document's entry.
        rank: Its rank among the entry's samples.
        first: Tokens of the document before the piece.
        last: Tokens of the document up to the piece's end.
    """

    sequence: Int64s
    entry: Int64s
    rank: Int64s
    first: Int64s
    last: Int64s

    def part(self, first: int, last: int) -> Pieces:
        """The pieces of the sequences [first, last), counted from `first`."""
        low, high = np.searchsorted(self.sequence, [first, last])
        at = slice(int(low), int(high))
        return Pieces(self.sequence[at] - first, self.entry[at], self.rank[at], self.first[at], self.last[at])


@dataclass(frozen=True)
class _Stream:
    """Documents in some order, as windows that can be looked into one by one.

    Attributes:
        first: [W + 1] number of each window's first token.
        samples: Windows → entry and rank of their documents, in order.
    """

    first: Int64s
    samples: Callable[[Int64s], tuple[Int64s, Int64s]]


class Concatenation:
    """Place → pieces, for all components. Caches the sums of the last few epochs."""

    def __init__(
        self, permutation: Permutation, tokens: Column, entry_tokens: Int64s, row_tokens: int, overlap: int
    ) -> None:
        """Prepare.

        Args:
            permutation: The order of the documents.
            tokens: [samples] tokens of each document, by component, segment and row; 0 for what is left out.
            entry_tokens: [E] their sums.
            row_tokens: Tokens of a sequence.
            overlap: Tokens that a sequence shares with the one before it.
        """
        self.permutation = permutation
        self.row_tokens, self.overlap, self.stride = row_tokens, overlap, row_tokens - overlap
        self._tokens, self._entry_tokens = tokens, entry_tokens
        self._entry_tokens_first = _first_epoch_tokens(permutation, tokens, entry_tokens)
        bounds, self._first_epoch = permutation.entries.bounds, permutation.places.start.first_epoch
        self.sizes: Int64s = np.diff(sums(entry_tokens)[bounds])
        """[K] tokens of each component in an epoch."""
        self.first_sizes: Int64s = np.diff(sums(self._entry_tokens_first)[bounds])
        """[K] the same in the component's first epoch."""
        self._epoch = lru_cache(maxsize=3)(self._epoch_stream)
        self._alone = lru_cache(maxsize=8)(self._component_stream)
        self._sequence = lru_cache(maxsize=8)(self._sequence_stream)

    def find(self, component: Int64s, place: Int64s) -> Pieces:
        """The pieces that some sequences are made of.

        Args:
            component: [n] int64.
            place: [n] int64, number of the sequence among those of its component, over all epochs.
        """
        spans = self._spans(component, self.permutation.places.counted(component, place))
        found: list[Pieces] = []
        epoch_of = spans.epoch
        sequenced = self.permutation.sequenced[component[spans.sequence]]
        for epoch in ranked(epoch_of)[0].tolist():
            here = epoch_of == epoch
            plain = here & ~sequenced
            if plain.any():
                found.append(self._in_epoch(epoch, component, spans.of(plain)))
            for one in ranked(component[spans.sequence[here & sequenced]])[0].tolist():
                mine = here & sequenced & (component[spans.sequence] == one)
                found.append(_pieces(self._sequence(one, epoch), spans.of(mine), self._counts))
        return _joined(found)

    def places_of(self, epoch: int, component: int, entry: int, rank: int) -> list[int]:
        """Places of the sequences that a document has a part in, in one of its epochs, ascending.

        Args:
            epoch: Number of the epoch.
            component: Its component.
            entry: Its entry.
            rank: Its rank inside the entry.
        """
        places = self.permutation.places
        found = (places.uncounted(component, counted) for counted in self.counted_of(epoch, component, entry, rank))
        return sorted(place for place in found if place is not None)

    def counted_of(self, epoch: int, component: int, entry: int, rank: int) -> range:
        """The same, counted from the beginning of the first epoch: those that were delivered before too, but not of
        epochs that were delivered whole.
        """
        begin, size = self.tokens_before(component, epoch), self._sizes_in(epoch)[component]
        count = int(self._counts(np.array([entry]), np.array([rank]))[0])
        lowest = self.permutation.places.lowest(component)
        if not count or epoch < self._first_epoch[component] or begin + size <= lowest * self.stride:
            return range(0)
        before = self._before(epoch, component, entry, rank)
        return range(0) if before is None else self.holding(begin + before, begin + before + count)

    def tokens_before(self, component: int, epoch: int) -> int:
        """Tokens of a component before one of its epochs, from the beginning of the first one."""
        later = epoch - int(self._first_epoch[component])
        return int(self.first_sizes[component]) + (later - 1) * int(self.sizes[component]) if later > 0 else 0

    def epoch_with(self, component: int, token: int) -> int:
        """Number of the epoch that holds a token, counted from the beginning of the first epoch."""
        behind = token - int(self.first_sizes[component])
        first = int(self._first_epoch[component])
        return first if behind < 0 else first + 1 + behind // int(self.sizes[component])

    def holding(self, start: int, stop: int) -> range:
        """Places of the sequences that hold some of the tokens [start, stop); both are counted from the first epoch."""
        first = max(0, -(-(start - self.row_tokens + 1) // self.stride))
        return range(first, (stop - 1) // self.stride + 1)

    def documents(self, component: int, epoch: int, counted: Int64s) -> tuple[Int64s, Int64s]:
        """Entry and rank of the documents of an epoch that some sequences hold a part of.

        Args:
            component: Their component.
            epoch: Number of the epoch; documents of other ones are left out.
            counted: [n] int64, places counted from the beginning of the first epoch.
        """
        spans = self._spans(np.full(len(counted), component), counted)
        mine = spans.of(spans.epoch == epoch)
        if not len(mine.sequence):
            return np.empty(0, np.int64), np.empty(0, np.int64)
        sequenced = self.permutation.sequenced[component]
        stream = self._sequence(component, epoch) if sequenced else self._alone(epoch, component)
        pieces = _pieces(stream, mine, self._counts)
        return pieces.entry, pieces.rank

    def _spans(self, component: Int64s, counted: Int64s) -> _Spans:
        """What each sequence takes from each epoch: most lie in one."""
        size, first_size, start = self.sizes[component], self.first_sizes[component], counted * self.stride
        stop = start + self.row_tokens
        first, last = (_later(token - first_size, size) for token in (start, stop - 1))
        epochs = last - first + 1
        sequence = np.repeat(np.arange(len(start)), epochs)
        later = first[sequence] + np.arange(len(sequence)) - np.repeat(np.cumsum(epochs) - epochs, epochs)
        size, first_size = size[sequence], first_size[sequence]
        begin = np.where(later > 0, first_size + (later - 1) * size, 0)
        end = np.where(later > 0, size, first_size)
        low, high = np.maximum(start[sequence] - begin, 0), np.minimum(stop[sequence] - begin, end)
        return _Spans(sequence, self._first_epoch[component][sequence] + later, low, high)

    def _sizes_in(self, epoch: int) -> Int64s:
        """[K] tokens of each component in an epoch."""
        sizes: Int64s = np.where(self._first_epoch == epoch, self.first_sizes, self.sizes)
        return sizes

    def _in_epoch(self, epoch: int, component: Int64s, spans: _Spans) -> Pieces:
        owners = component[spans.sequence]
        if len(owners) and (owners == owners[0]).all():
            return _pieces(self._alone(epoch, int(owners[0])), spans, self._counts)
        base = sums(self._sizes_in(epoch))[owners]
        moved = _Spans(spans.sequence, spans.epoch, spans.low + base, spans.high + base)
        return _pieces(self._epoch(epoch), moved, self._counts)

    def _counts(self, entry: Int64s, rank: Int64s) -> Int64s:
        counts: Int64s = self._tokens[self.permutation.sample_first[entry] + rank].astype(np.int64)
        return counts

    def _epoch_stream(self, epoch: int) -> _Stream:
        """All components in an epoch, one after the other."""
        return self._windows(self.permutation.epoch(epoch))

    def _component_stream(self, epoch: int, component: int) -> _Stream:
        return self._windows(self.permutation.alone(epoch, component))

    def _windows(self, order: Epoch) -> _Stream:
        tokens = self._entry_tokens
        if self._entry_tokens_first is not tokens:
            first_epoch = self._first_epoch[self.permutation.entries.component]
            tokens = np.where(first_epoch == order.number, self._entry_tokens_first, tokens)
        first = sums(tokens[order.entry])[order.window_entry]
        return _Stream(first, lambda windows: self.permutation.samples_in(order, windows))

    def _sequence_stream(self, component: int, epoch: int) -> _Stream:
        """A component with a curriculum: blocks of its sequence."""
        sequence = self.permutation.sequence(component, epoch)
        assert sequence is not None
        base = int(self.permutation.sample_first[self.permutation.entry_first[component]])
        heads = np.arange(0, len(sequence), BLOCK)
        last = int(self.permutation.sample_first[self.permutation.entries.bounds[component + 1]])
        tokens = self._tokens[base:last]  # where they come in pages: all of them together
        blocks = [int(tokens[sequence[head : head + BLOCK].astype(np.int64)].sum()) for head in heads]

        def samples(windows: Int64s) -> tuple[Int64s, Int64s]:
            number = base + np.concatenate([sequence[w * BLOCK : (w + 1) * BLOCK] for w in windows]).astype(np.int64)
            first = self.permutation.sample_first
            entry: Int64s = np.searchsorted(first, number, side="right") - 1
            return entry, number - first[entry]

        return _Stream(sums(np.array(blocks, np.int64)), samples)

    def _before(self, epoch: int, component: int, entry: int, rank: int) -> int | None:
        """Tokens of an epoch of a component before a document; None where it has no place in it."""
        if self.permutation.sequenced[component]:
            stream = self._sequence(component, epoch)
            windows = np.arange(len(stream.first) - 1)
        else:
            order = self.permutation.alone(epoch, component)
            stream = self._alone(epoch, component)
            at = np.flatnonzero(order.entry == entry)
            windows = np.searchsorted(order.window_entry, at, side="right") - 1
        entries, ranks = stream.samples(windows)
        found = np.flatnonzero((entries == entry) & (ranks == rank))
        if not len(found):
            return None
        inside = self._counts(entries[: found[0]], ranks[: found[0]]).sum()
        return int(stream.first[windows[0]]) + int(inside)


@dataclass(frozen=True)
class _Spans:
    """Stretches of streams of tokens; all arrays are [m] int64."""

    sequence: Int64s
    epoch: Int64s
    low: Int64s
    high: Int64s

    def of(self, mask: npt.NDArray[np.bool_]) -> _Spans:
        return _Spans(self.sequence[mask], self.epoch[mask], self.low[mask], self.high[mask])


def _pieces(stream: _Stream, spans: _Spans, counts_of: Callable[[Int64s, Int64s], Int64s]) -> Pieces:
    """The documents under some spans of one stream."""
    first_window = np.searchsorted(stream.first, spans.low, side="right") - 1
    last_window = np.searchsorted(stream.first, spans.high - 1, side="right") - 1
    touched = _covered(first_window, last_window, len(stream.first) - 1)
    entry, rank = stream.samples(touched)
    count = counts_of(entry, rank)
    there = count > 0
    entry, rank, count = entry[there], rank[there], count[there]
    ends = np.cumsum(count)
    starts = ends - count

    # from the stream's own numbers to those among the touched windows alone
    before = sums(stream.first[touched + 1] - stream.first[touched])
    shift = before[np.searchsorted(touched, first_window)] - stream.first[first_window]
    low, high = spans.low + shift, spans.high + shift

    first = np.searchsorted(ends, low, side="right")
    pieces = np.searchsorted(starts, high, side="left") - first
    span = np.repeat(np.arange(len(low)), pieces)
    document = np.repeat(first - (np.cumsum(pieces) - pieces), pieces) + np.arange(len(span))
    return Pieces(
        spans.sequence[span],
        entry[document],
        rank[document],
        np.maximum(low[span] - starts[document], 0),
        np.minimum(high[span] - starts[document], count[document]),
    )


def _later(behind: Int64s, size: Int64s) -> Int64s:
    """How many epochs after the first one a token lies, from where it lies behind the end of the first one."""
    return np.where(behind < 0, 0, behind // np.maximum(size, 1) + 1)


def _first_epoch_tokens(permutation: Permutation, tokens: Column, entry_tokens: Int64s) -> Int64s:
    """[E] tokens of each entry in its component's first epoch."""
    delivered = permutation.delivered
    if delivered is None:
        return entry_tokens
    result = entry_tokens.copy()
    touched = np.flatnonzero(delivered.count)
    heads, sizes = permutation.sample_first[touched], permutation.entries.count[touched].astype(np.int64)
    for low, high in _blocks(sizes):
        part = slice(low, high)
        before = sums(sizes[part])
        number = np.repeat(heads[part] - before[:-1], sizes[part]) + np.arange(before[-1])
        gone = np.where(delivered.holds(number), tokens[number], 0)
        result[touched[part]] -= np.add.reduceat(gone, before[:-1], dtype=np.int64)
    return result


def _blocks(sizes: Int64s) -> Iterator[tuple[int, int]]:
    """Ranges of entries of about `DOCUMENTS` documents."""
    ends = np.cumsum(sizes)
    first = 0
    while first < len(sizes):
        before = int(ends[first - 1]) if first else 0
        last = max(first + 1, int(np.searchsorted(ends, before + DOCUMENTS)))
        yield first, last
        first = last


def _covered(first: Int64s, last: Int64s, bound: int) -> Int64s:
    """The numbers below a bound that lie in some of the ranges [first, last], ascending."""
    edges = np.zeros(bound + 1, np.int64)
    np.add.at(edges, first, 1)
    np.add.at(edges, last + 1, -1)
    return np.flatnonzero(np.cumsum(edges) > 0)


def _joined(found: list[Pieces]) -> Pieces:
    """Pieces of several epochs, by sequence; those of one sequence stay in the order of the epochs."""
    if len(found) == 1:
        return found[0]
    if not found:
        return Pieces(*(np.empty(0, np.int64) for _ in range(5)))
    columns = (
        np.concatenate(values)
        for values in zip(*((p.sequence, p.entry, p.rank, p.first, p.last) for p in found), strict=True)
    )
    sequence, entry, rank, first, last = columns
    order = np.argsort(sequence, kind="stable")
    return Pieces(sequence[order], entry[order], rank[order], first[order], last[order])
