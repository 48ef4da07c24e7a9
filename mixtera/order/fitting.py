"""Best fit: documents of some lengths → rows of one size; none is split that fits into a row.

Longest first, each into the row with the least room that still holds it (best fit decreasing: Johnson, 1973; at worst
11/9 of the fewest rows and a few, and near to the fewest for the lengths that texts have). A document longer than a row
is cut into full rows, and what is left of it is put into a row like the others.

How many rows come out depends on the lengths alone, not on which of the documents of one length comes first.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from mixtera.order.seats import Int64s

UInt32s: TypeAlias = npt.NDArray[np.uint32]

LEAST_DOCUMENTS: Final = 1 << 12
"""Documents of a window, at least."""
MOST_DOCUMENTS: Final = 1 << 16
"""Documents of a window, at most: it is fitted whole."""
LEAST_ROWS: Final = 64
"""Rows of a window, at least, about: the last one of them is half empty."""
_NUMBER_BITS: Final = 32
_NUMBER: Final = (1 << _NUMBER_BITS) - 1


@dataclass(frozen=True)
class Fitted:
    """Documents in rows.

    Attributes:
        row: [n] int64, the row of each document; rows are numbered as they are begun.
        rows: How many there are.
    """

    row: Int64s
    rows: int


@dataclass(frozen=True, eq=False)
class Windows:
    """How the documents of a plan are cut into windows, and how many rows each of these has.

    Attributes:
        documents: [K] uint32, documents of a window of each component, with those that are left out; the last window
            of a component has fewer.
        rows: [N] uint32, rows of each window, by component.
    """

    documents: UInt32s
    rows: UInt32s

    @classmethod
    def of(cls, counts: UInt32s, row_tokens: int, shift: int) -> Windows:
        """The windows of one component.

        Args:
            counts: [n] tokens of its documents; 0 for what is left out.
            row_tokens: Tokens of a row.
            shift: As for `cut`.
        """
        size = window_documents(len(counts), int(counts.sum(dtype=np.int64)), row_tokens)
        return cls(np.array([size], np.uint32), rows_of(counts, size, row_tokens, shift).astype(np.uint32))

    @classmethod
    def joined(cls, parts: Sequence[Windows]) -> Windows:
        """The windows of several components, one component after the other."""
        none = np.empty(0, np.uint32)
        documents, rows = ([none, *(getattr(part, name) for part in parts)] for name in ("documents", "rows"))
        return cls(np.concatenate(documents), np.concatenate(rows))


def window_documents(documents: int, tokens: int, row_tokens: int) -> int:
    """Documents of a window of a component: a power of two, so that it seldom moves with what is left out.

    Args:
        documents: Its documents, with those that are left out.
        tokens: Their tokens.
        row_tokens: Tokens of a row.
    """
    size = LEAST_DOCUMENTS
    while size < MOST_DOCUMENTS and size * tokens < LEAST_ROWS * row_tokens * documents:
        size *= 2
    return size


def cut(counts: Int64s, row_tokens: int, shift: int) -> tuple[Int64s, Int64s]:
    """What long documents are cut into.

    Args:
        counts: [n] tokens of each document.
        row_tokens: Tokens of a row.
        shift: Tokens that a row of a cut document shares with the row before: 1 where the last token of a row is only
            a label, so that each token is predicted once.

    Returns:
        [n] full rows of each document, and [n] tokens of it from the last of them on.
    """
    stride = row_tokens - shift
    full = np.maximum(counts - shift, 0) // stride
    rest = counts - full * stride
    rest[(full > 0) & (rest <= shift)] = 0  # the last full row holds them
    return full, rest


def fit(lengths: Int64s, row_tokens: int) -> Fitted:
    """Put documents into rows.

    Documents of one length are put together: the row with the least room takes as many of them as it can, since what
    is left in it is less still. Of rows with the same room, the one begun first is taken.

    Args:
        lengths: [n] their tokens, descending, from 1 to `row_tokens`.
        row_tokens: Tokens of a row.
    """
    heads = np.flatnonzero(np.diff(lengths, prepend=-1))
    times = np.diff(heads, append=len(lengths))
    room: list[int] = []  # of each row that is not full, with the row's number behind it, ascending
    rows: list[int] = []
    taken: list[int] = []
    begun = 0
    for length, waiting in zip(lengths[heads].tolist(), times.tolist(), strict=True):
        while waiting:
            at = bisect_left(room, length << _NUMBER_BITS)
            if at < len(room):
                found = room.pop(at)
                number, left = found & _NUMBER, found >> _NUMBER_BITS
            else:
                number, left = begun, row_tokens
                begun += 1
            some = min(waiting, left // length)
            left -= some * length
            if left:
                insort(room, left << _NUMBER_BITS | number)
            rows.append(number)
            taken.append(some)
            waiting -= some
    return Fitted(np.repeat(np.array(rows, np.int64), np.array(taken, np.int64)), begun)


def rows_of(counts: UInt32s, size: int, row_tokens: int, shift: int) -> Int64s:
    """Rows that the documents of a component fill, window by window.

    Args:
        counts: [n] tokens of each document; 0 for what is left out.
        size: Documents of a window; the last one has fewer.
        row_tokens: Tokens of a row.
        shift: As for `cut`.

    Returns:
        [⌈n / size⌉] int64.
    """
    found: list[int] = []
    for first in range(0, len(counts), size):
        full, rest = cut(counts[first : first + size].astype(np.int64), row_tokens, shift)
        descending = np.sort(rest[rest > 0])[::-1]
        found.append(int(full.sum()) + fit(descending, row_tokens).rows)
    return np.array(found, np.int64)
