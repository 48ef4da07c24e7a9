"""Sequences cut from streams of tokens: place → pieces of documents (DESIGN 2.4.7, `packing: concat`).

The documents of a component, in its own order, epoch after epoch, are one stream of tokens. Place q of the component is
the tokens [q · stride, q · stride + row_tokens) of it. How many tokens lie before an entry, and before a window, are
sums; the documents of the few windows that a place touches are summed when they are asked for. So any sequence is found
without those before it, nothing is padded, and nothing is kept between sequences.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from mixtera.order.epochs import Epoch, sums
from mixtera.order.permute import Permutation, ranked
from mixtera.order.seats import Int64s

UInt32s: TypeAlias = npt.NDArray[np.uint32]

BLOCK: Final = 1024
"""Documents of a curriculum that are summed together."""


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
        self, permutation: Permutation, tokens: UInt32s, entry_tokens: Int64s, row_tokens: int, overlap: int
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
        self.sizes: Int64s = np.diff(sums(entry_tokens)[permutation.entries.bounds])
        """[K] tokens of each component in an epoch."""
        self._epoch = lru_cache(maxsize=3)(self._epoch_stream)
        self._alone = lru_cache(maxsize=8)(self._component_stream)
        self._sequence = lru_cache(maxsize=8)(self._sequence_stream)

    def find(self, component: Int64s, place: Int64s) -> Pieces:
        """The pieces that some sequences are made of.

        Args:
            component: [n] int64.
            place: [n] int64, number of the sequence among those of its component, over all epochs.
        """
        spans = self._spans(component, place * self.stride)
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

    def places_of(self, epoch: int, component: int, entry: int, rank: int) -> range:
        """Places of the sequences that a document has a part in, in one of its epochs.

        Args:
            epoch: Number of the epoch.
            component: Its component.
            entry: Its entry.
            rank: Its rank inside the entry.
        """
        before = self._before(epoch, component, entry, rank)
        count = int(self._counts(np.array([entry]), np.array([rank]))[0])
        if before is None or not count:
            return range(0)
        start = epoch * int(self.sizes[component]) + before
        first = max(0, -(-(start - self.row_tokens + 1) // self.stride))
        return range(first, (start + count - 1) // self.stride + 1)

    def _spans(self, component: Int64s, start: Int64s) -> _Spans:
        """What each sequence takes from each epoch: most lie in one."""
        size, stop = self.sizes[component], start + self.row_tokens
        first = start // size
        epochs = (stop - 1) // size - first + 1
        sequence = np.repeat(np.arange(len(start)), epochs)
        epoch = first[sequence] + np.arange(len(sequence)) - np.repeat(np.cumsum(epochs) - epochs, epochs)
        begin = epoch * size[sequence]
        low, high = np.maximum(start[sequence] - begin, 0), np.minimum(stop[sequence] - begin, size[sequence])
        return _Spans(sequence, epoch, low, high)

    def _in_epoch(self, epoch: int, component: Int64s, spans: _Spans) -> Pieces:
        owners = component[spans.sequence]
        if len(owners) and (owners == owners[0]).all():
            return _pieces(self._alone(epoch, int(owners[0])), spans, self._counts)
        base = sums(self.sizes)[owners]
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
        first = sums(self._entry_tokens[order.entry])[order.window_entry]
        return _Stream(first, lambda windows: self.permutation.samples_in(order, windows))

    def _sequence_stream(self, component: int, epoch: int) -> _Stream:
        """A component with a curriculum: blocks of its sequence."""
        sequence = self.permutation.sequence(component, epoch)
        assert sequence is not None
        base = int(self.permutation.sample_first[self.permutation.entry_first[component]])
        heads = np.arange(0, len(sequence), BLOCK)
        blocks = [int(self._tokens[base + sequence[head : head + BLOCK].astype(np.int64)].sum()) for head in heads]

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
    columns = (
        np.concatenate(values)
        for values in zip(*((p.sequence, p.entry, p.rank, p.first, p.last) for p in found), strict=True)
    )
    sequence, entry, rank, first, last = columns
    order = np.argsort(sequence, kind="stable")
    return Pieces(sequence[order], entry[order], rank[order], first[order], last[order])
