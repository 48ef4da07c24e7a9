from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixtera.order.fitting import LEAST_DOCUMENTS, LEAST_ROWS, MOST_DOCUMENTS, cut, fit, rows_of, window_documents

WIDTHS = st.integers(1, 40)
LENGTHS = st.lists(st.integers(1, 40), max_size=60)


def best_fit(lengths: list[int], width: int) -> list[int]:
    """One document after the other, as the method is described."""
    room: list[int] = []
    rows = []
    for length in lengths:
        holding = [number for number, left in enumerate(room) if left >= length]
        row = min(holding, key=lambda number: (room[number], number), default=len(room))
        if row == len(room):
            room.append(width)
        room[row] -= length
        rows.append(row)
    return rows


def descending(lengths: list[int], width: int) -> list[int]:
    return sorted((1 + (length - 1) % width for length in lengths), reverse=True)


@given(LENGTHS, WIDTHS)
def test_it_is_best_fit_decreasing(lengths: list[int], width: int) -> None:
    lengths = descending(lengths, width)
    found = fit(np.array(lengths, np.int64), width)
    assert found.row.tolist() == best_fit(lengths, width)
    assert found.rows == len(set(found.row.tolist()))


@given(LENGTHS, WIDTHS)
def test_no_row_holds_more_than_it_can_and_no_two_could_be_one(lengths: list[int], width: int) -> None:
    lengths = descending(lengths, width)
    found = fit(np.array(lengths, np.int64), width)
    held = np.bincount(found.row, lengths, found.rows)
    assert (held <= width).all()
    assert all(a + b > width for number, a in enumerate(held) for b in held[number + 1 :])


@given(st.lists(st.integers(0, 200), max_size=30), st.integers(1, 20), st.booleans())
def test_what_is_cut_is_predicted_once_and_whole(counts: list[int], length: int, shift: bool) -> None:
    width = length + shift
    full, rest = cut(np.array(counts, np.int64), width, int(shift))
    for count, rows, left in zip(counts, full.tolist(), rest.tolist(), strict=True):
        parts = [(row * length, row * length + width) for row in range(rows)]
        if left:
            parts.append((rows * length, rows * length + left))
        assert all(0 < last - first <= width for first, last in parts)
        if count <= width:
            assert parts == ([(0, count)] if count else [])
            continue
        assert parts[0][0] == 0
        assert parts[-1][1] == count
        assert all(after[0] == before[1] - shift for before, after in pairwise(parts))
        assert parts[-1][1] - parts[-1][0] > shift


@given(st.lists(st.integers(0, 90), max_size=60), st.integers(1, 30), st.booleans(), st.integers(1, 9))
def test_rows_are_counted_as_they_are_fitted(counts: list[int], length: int, shift: bool, size: int) -> None:
    width, found = length + shift, []
    for first in range(0, len(counts), size):
        full, rest = cut(np.array(counts[first : first + size], np.int64), width, int(shift))
        found.append(int(full.sum()) + len(set(best_fit(sorted(filter(None, rest.tolist()), reverse=True), width))))
    assert rows_of(np.array(counts, np.uint32), size, width, int(shift)).tolist() == found


@pytest.mark.parametrize(
    ("mean", "width", "size"),
    [
        (500, 4097, LEAST_DOCUMENTS),
        (500, 65_536, 16_384),
        (1, 131_073, MOST_DOCUMENTS),
        (100_000, 4096, LEAST_DOCUMENTS),
    ],
)
def test_a_window_has_rows_enough(mean: int, width: int, size: int) -> None:
    assert window_documents(1000, 1000 * mean, width) == size
    assert size in (LEAST_DOCUMENTS, MOST_DOCUMENTS) or LEAST_ROWS <= size * mean / width < 2 * LEAST_ROWS


def test_documents_without_tokens_make_windows_without_rows() -> None:
    size = window_documents(10, 0, 4096)
    assert size == MOST_DOCUMENTS
    assert rows_of(np.zeros(10, np.uint32), size, 4096, 1).tolist() == [0]


def test_texts_leave_hardly_any_room() -> None:
    counts = np.maximum(1, np.random.default_rng(3).lognormal(5.7, 1, 40_000)).astype(np.uint32)
    rows = rows_of(counts, 4096, 2049, 1)
    assert int(counts.sum()) / (int(rows.sum()) * 2049) > 0.99
