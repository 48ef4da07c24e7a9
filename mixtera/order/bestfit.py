"""Rows of whole documents: place → pieces of documents (`packing: best_fit`).

Each component's documents, in the order of the plan's tables, are cut into windows of some thousand. The documents of
a window are fitted into rows, the same number in every epoch: so how many rows lie before a window is a sum, and any
row is found by fitting the one window that it lies in. Per epoch the windows come in another order, so do the rows of
each, and documents of the same length change places; with file order nothing moves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from mixtera.mapped import Column
from mixtera.order.concat import Pieces
from mixtera.order.epochs import sums
from mixtera.order.fitting import Windows, cut, fit
from mixtera.order.keys import keys
from mixtera.order.permute import Permutation, ranked
from mixtera.order.seats import Int64s

Int32s: TypeAlias = npt.NDArray[np.int32]
Bools: TypeAlias = npt.NDArray[np.bool_]

KEPT_DOCUMENTS: Final = 1 << 21
"""Documents of fitted windows that are kept, about: they take 12 bytes each."""


@dataclass(frozen=True)
class _Windows:
    """The windows of all components in the order of an epoch, one component after the other.

    Attributes:
        number: [N] their numbers.
        first: [N + 1] rows before each of them.
    """

    number: Int64s
    first: Int64s


@dataclass(frozen=True)
class _Rows:
    """The rows of a window in their order; documents are counted inside the window.

    Attributes:
        edges: [rows + 1] int32, where the pieces of each row begin.
        document: [m] int32, the document of each piece.
        part: [m] int32, full rows of the document that come before the piece.
    """

    edges: Int32s
    document: Int32s
    part: Int32s


class BestFit:
    """Place → pieces, for all components. Caches the order of the last few epochs, and windows."""

    def __init__(
        self,
        permutation: Permutation,
        tokens: Column,
        windows: Windows,
        row_tokens: int,
        shift: int,
    ) -> None:
        """Prepare.

        Args:
            permutation: The order of windows, and of what is in them.
            tokens: [samples] tokens of each document, by component, segment and row; 0 for what is left out.
            windows: How they are cut into windows.
            row_tokens: Tokens of a row.
            shift: Tokens that a row of a cut document shares with the row before.
        """
        self.permutation = permutation
        self._tokens, self._row_tokens, self._shift = tokens, row_tokens, shift
        bounds = permutation.entries.bounds
        first = permutation.sample_first[bounds]
        self._documents: Int64s = windows.documents.astype(np.int64)
        number = -(-np.diff(first) // self._documents)
        self._bounds = sums(number)
        """[K + 1] number of each component's first window."""
        self._component = np.repeat(np.arange(len(number)), number)
        inside = np.arange(len(self._component)) - self._bounds[self._component]
        self._first = np.append(first[self._component] + inside * self._documents[self._component], first[-1])
        """[N + 1] number of each window's first document."""
        self._window_rows: Int64s = windows.rows.astype(np.int64)
        self._rows_before = sums(self._window_rows)[self._bounds]
        self.sizes: Int64s = np.diff(self._rows_before)
        """[K] rows of each component in an epoch."""
        self._windows = lru_cache(maxsize=3)(self._order)
        largest = int(np.diff(self._first).max(initial=1))
        self._rows = lru_cache(maxsize=max(4, KEPT_DOCUMENTS // largest))(self._fitted)

    def find(self, component: Int64s, place: Int64s) -> Pieces:
        """The pieces that some rows are made of.

        Args:
            component: [n] int64.
            place: [n] int64, number of the row among those of its component, over all epochs.
        """
        epoch, within = np.divmod(place, self.sizes[component])
        number = self._rows_before[component] + within
        found = [
            self._in_epoch(one, np.flatnonzero(epoch == one), number[epoch == one]) for one in ranked(epoch)[0].tolist()
        ]
        return _by_sequence(found)

    def places_of(self, epoch: int, component: int, entry: int, rank: int) -> Sequence[int]:
        """Places of the rows that a document has a part in, in one of its epochs.

        Args:
            epoch: Number of the epoch.
            component: Its component.
            entry: Its entry.
            rank: Its rank inside the entry.
        """
        document = int(self.permutation.sample_first[entry]) + rank
        inside = document - int(self._first[self._bounds[component]])
        window = int(self._bounds[component]) + inside // int(self._documents[component])
        rows = self._rows(epoch, window)
        pieces = np.flatnonzero(rows.document == document - self._first[window])
        row = np.searchsorted(rows.edges, pieces, side="right") - 1
        order = self._windows(epoch)
        before = order.first[np.flatnonzero(order.number == window)[0]] - self._rows_before[component]
        places: list[int] = (epoch * self.sizes[component] + before + row).tolist()
        return places

    def _in_epoch(self, epoch: int, sequence: Int64s, number: Int64s) -> Pieces:
        """The pieces of some rows of an epoch, counted over all components."""
        order = self._windows(epoch)
        at = np.searchsorted(order.first, number, side="right") - 1
        touched, which = ranked(at)
        found = []
        for index, place in enumerate(touched.tolist()):
            mine = np.flatnonzero(which == index)
            row = number[mine] - order.first[place]
            found.append(self._in_window(epoch, int(order.number[place]), sequence[mine], row))
        return _by_sequence(found)

    def _in_window(self, epoch: int, window: int, sequence: Int64s, row: Int64s) -> Pieces:
        rows = self._rows(epoch, window)
        first, count = rows.edges[row].astype(np.int64), (rows.edges[row + 1] - rows.edges[row]).astype(np.int64)
        at = np.repeat(first - (np.cumsum(count) - count), count) + np.arange(count.sum())
        document = self._first[window] + rows.document[at]
        start = rows.part[at].astype(np.int64) * (self._row_tokens - self._shift)
        entry = np.searchsorted(self.permutation.sample_first, document, side="right") - 1
        stop = np.minimum(start + self._row_tokens, self._tokens[document])
        return Pieces(np.repeat(sequence, count), entry, document - self.permutation.sample_first[entry], start, stop)

    def _order(self, epoch: int) -> _Windows:
        """Windows pass through the files as segments do: in the order of the segments that they begin in."""
        number = np.arange(len(self._component))
        entry = np.searchsorted(self.permutation.sample_first, self._first[:-1], side="right") - 1
        rank = self.permutation.segment_ranks(epoch)[self.permutation.entries.segment[entry]]
        rank = np.where(self.permutation.in_file_order[self._component], 0, rank)
        order = np.lexsort((number, rank, self._component))
        return _Windows(order, sums(self._window_rows[order]))

    def _fitted(self, epoch: int, window: int) -> _Rows:
        """The rows of a window."""
        counts = self._tokens[self._first[window] : self._first[window + 1]].astype(np.int64)
        full, rest = cut(counts, self._row_tokens, self._shift)
        item = np.flatnonzero(rest)
        component = int(self._component[window])
        shuffled = not self.permutation.in_file_order[component]
        key = self.permutation.row_keys(epoch, component, window - int(self._bounds[component]))
        tie = keys(key.documents, item) if shuffled else item
        item = item[np.lexsort((tie, -rest[item]))]
        row = fit(rest[item], self._row_tokens).row
        split = np.repeat(np.arange(len(full)), full)
        number = np.arange(len(split)) - np.repeat(np.cumsum(full) - full, full)
        unit, behind = (np.append(*two) for two in zip((split, number), _standing(item, row, full), strict=True))
        document, part = np.append(split, item), np.append(number, full[item])
        turn = keys(key.rows, unit) if shuffled else unit
        order = np.lexsort((document, behind, turn))
        heads = np.flatnonzero(_changed(unit[order]) | _changed(behind[order]))
        edges = np.append(heads, len(order))
        return _Rows(*(values.astype(np.int32) for values in (edges, document[order], part[order])))


def _standing(item: Int64s, row: Int64s, full: Int64s) -> tuple[Int64s, Int64s]:
    """Where rows stand: each with its first document, or behind the full rows of a document that ends in it.

    A cut document is read and made tokens of once if its rows follow each other.

    Args:
        item: [m] the document of each piece that fills no row.
        row: [m] its row.
        full: [documents] full rows of each document.

    Returns:
        For each piece the document that its row stands with, and after how many rows of that.
    """
    rows = int(row.max(initial=-1)) + 1
    ends = full[item] > 0
    unit = np.full(rows, len(full))
    np.minimum.at(unit, row, np.where(ends, item, len(full)))
    first = np.full(rows, len(full))
    np.minimum.at(first, row, item)
    unit = np.where(unit == len(full), first, unit)
    behind = full[unit]
    return unit[row], behind[row]


def _changed(values: Int64s) -> Bools:
    """[n] whether each value differs from the one before; the first does."""
    changed = np.ones(len(values), np.bool_)
    np.not_equal(values[1:], values[:-1], out=changed[1:])
    return changed


def _by_sequence(found: Sequence[Pieces]) -> Pieces:
    """Pieces of different rows, by row."""
    if len(found) == 1:
        return found[0]
    columns = [(one.sequence, one.entry, one.rank, one.first, one.last) for one in found]
    empty = [np.empty(0, np.int64)]
    joined = [np.concatenate(empty + list(values)) for values in zip(*columns, strict=True)] or empty * 5
    order = np.argsort(joined[0], kind="stable")
    return Pieces(*(values[order] for values in joined))
