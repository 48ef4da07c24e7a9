from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixtera.order import fitting
from mixtera.order.bestfit import BestFit
from mixtera.order.epochs import Entries
from mixtera.order.fitting import Windows
from mixtera.order.permute import Permutation, Variation
from tests.order.test_permute import entries

Piece = tuple[int, int, int, int]


@pytest.fixture(autouse=True, scope="module")
def small_windows() -> Iterator[None]:
    """Windows of few documents, so that few documents make several."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fitting, "LEAST_DOCUMENTS", 4)
        patch.setattr(fitting, "MOST_DOCUMENTS", 16)
        patch.setattr(fitting, "LEAST_ROWS", 2)
        yield


@dataclass(frozen=True)
class Made:
    """Documents, and what finds their rows."""

    data: Entries
    tokens: np.ndarray
    width: int
    shift: int
    fit: BestFit

    def epoch(self, component: int, epoch: int = 0) -> list[list[Piece]]:
        size = int(self.fit.sizes[component])
        return self.rows(np.full(size, component), np.arange(size) + epoch * size)

    def rows(self, component: np.ndarray, place: np.ndarray) -> list[list[Piece]]:
        found = self.fit.find(component, place)
        assert (np.diff(found.sequence) >= 0).all()
        rows: list[list[Piece]] = [[] for _ in place]
        for sequence, *piece in zip(
            *(getattr(found, name).tolist() for name in ("sequence", "entry", "rank", "first", "last")), strict=True
        ):
            rows[sequence].append(tuple(piece))
        return rows


def made(
    data: Entries, tokens: np.ndarray, length: int, shift: int, seed: int = 5, variation: Variation | None = None
) -> Made:
    permutation = Permutation(data, seed, True, 2, variation or Variation())
    first = permutation.sample_first
    width = length + shift
    windows = [Windows.of(tokens[a:b], width, shift) for a, b in pairwise(first[data.bounds].tolist())]
    return Made(data, tokens, width, shift, BestFit(permutation, tokens, Windows.joined(windows), width, shift))


@st.composite
def plans(draw: st.DrawFn) -> Made:
    data = draw(entries())
    total = int(data.count.sum())
    tokens = np.array(draw(st.lists(st.integers(0, 30), min_size=total, max_size=total)), np.uint32)
    for component in range(data.components):  # one without any tokens has no places
        mine = data.count[: data.bounds[component]].sum()
        tokens[mine] = max(1, tokens[mine])
    in_file_order = frozenset(draw(st.sets(st.integers(0, data.components - 1))))
    variation = Variation(in_file_order=in_file_order)
    return made(data, tokens, draw(st.integers(1, 20)), draw(st.integers(0, 1)), draw(st.integers(0, 9)), variation)


@given(plans())
@settings(deadline=None)
def test_each_epoch_holds_each_document_once_and_whole(plan: Made) -> None:
    first = plan.fit.permutation.sample_first
    for component in range(plan.data.components):
        documents = range(*first[plan.data.bounds[component : component + 2]].tolist())
        for epoch in (0, 1, 6):
            rows = plan.epoch(component, epoch)
            assert all(0 < sum(last - begin for *_, begin, last in row) <= plan.width for row in rows)
            parts: dict[int, list[tuple[int, int]]] = {}
            for row in rows:
                for entry, rank, begin, last in row:
                    parts.setdefault(int(first[entry]) + rank, []).append((begin, last))
            for document in documents:
                count, found = int(plan.tokens[document]), sorted(parts.pop(document, []))
                if count <= plan.width:
                    assert found == ([(0, count)] if count else [])
                else:
                    assert found[0][0] == 0
                    assert found[-1][1] == count
                    assert all(last - begin == plan.width for begin, last in found[:-1])
                    assert all(after[0] == before[1] - plan.shift for before, after in pairwise(found))
            assert not parts


@given(plans(), st.data())
@settings(deadline=None)
def test_a_row_is_the_same_whatever_else_is_asked(plan: Made, data: st.DataObject) -> None:
    component = np.repeat(np.arange(plan.data.components), 3 * plan.fit.sizes)
    place = np.concatenate([np.arange(3 * size) for size in plan.fit.sizes])
    whole = plan.rows(component, place)
    chosen = np.array(data.draw(st.lists(st.integers(0, len(place) - 1), max_size=20)), np.int64)
    assert plan.rows(component[chosen], place[chosen]) == [whole[one] for one in chosen.tolist()]


@given(plans())
@settings(deadline=None)
def test_the_places_of_a_document_are_where_it_is_found(plan: Made) -> None:
    for component in range(plan.data.components):
        for epoch in (0, 2):
            found: dict[tuple[int, int], list[int]] = {}
            for at, row in enumerate(plan.epoch(component, epoch)):
                for entry, rank, *_ in row:
                    found.setdefault((entry, rank), []).append(epoch * int(plan.fit.sizes[component]) + at)
            for entry in range(*plan.data.bounds[component : component + 2].tolist()):
                for rank in range(int(plan.data.count[entry])):
                    assert list(plan.fit.places_of(epoch, component, entry, rank)) == found.get((entry, rank), [])


def one_component(tokens: np.ndarray, **options: object) -> Made:
    segments = len(tokens) // 8
    data = Entries(np.zeros(segments, np.int64), np.arange(segments), np.full(segments, 8), np.arange(segments) // 4, 1)
    return made(data, tokens.astype(np.uint32), 32, 1, **options)  # type: ignore[arg-type]


def several(number: int = 512) -> np.ndarray:
    return np.random.default_rng(2).integers(1, 20, number)


def test_with_file_order_rows_stand_where_their_first_document_stands() -> None:
    plan = one_component(several(), variation=Variation(in_file_order=frozenset([0])))
    rows = plan.epoch(0)
    firsts = [row[0][:2] for row in rows]
    assert firsts == sorted(firsts)
    assert all(row == sorted(row) for row in rows)
    assert plan.epoch(0, 1) == rows


def test_epochs_differ_in_the_order_of_windows_of_rows_and_in_what_shares_a_row() -> None:
    plan = one_component(several() % 5 + 6)
    epochs = [plan.epoch(0, epoch) for epoch in range(2)]
    windows = [[rows[0][0] for rows in epoch] for epoch in epochs]
    assert windows[0] != windows[1]
    together = [{tuple(row) for row in epoch} for epoch in epochs]
    assert len(together[0] & together[1]) < len(together[0]) / 2


def test_windows_of_a_group_follow_each_other() -> None:
    plan = one_component(several())
    for epoch in range(3):
        groups = [int(plan.data.group[plan.data.segment[row[0][0]]]) for row in plan.epoch(0, epoch)]
        runs = [group for at, group in enumerate(groups) if at == 0 or groups[at - 1] != group]
        assert len(runs) == len(set(runs)) == 16


def test_other_seeds_give_other_orders() -> None:
    assert one_component(several(), seed=1).epoch(0) != one_component(several(), seed=2).epoch(0)


def test_rows_of_a_cut_document_follow_each_other_and_its_end_is_the_last() -> None:
    tokens = several()
    tokens[100] = 32 * 5 + 9
    rows = one_component(tokens).epoch(0)
    held = [[piece for piece in row if piece[:2] == (12, 4)] for row in rows]
    at = [number for number, pieces in enumerate(held) if pieces]
    assert at == list(range(at[0], at[0] + 6))
    assert [held[number][0][2:] for number in at] == [(32 * n, min(32 * n + 33, 169)) for n in range(6)]


def test_a_document_of_one_token_more_than_a_row_has_two_rows() -> None:
    tokens = np.full(8, 33)
    tokens[3] = 34
    assert sorted(piece[2:] for row in one_component(tokens).epoch(0) for piece in row if piece[1] == 3) == [
        (0, 33),
        (32, 34),
    ]


def test_rows_are_pinned() -> None:
    """The first rows of two epochs: what they are is part of every plan."""
    tokens = (np.arange(64) * 7) % 23 + 1
    plan = one_component(tokens, seed=17)
    found = [[[entry * 8 + rank for entry, rank, *_ in row] for row in plan.epoch(0, epoch)[:4]] for epoch in (0, 1)]
    assert found == [[[14], [8, 10, 12], [11, 13], [9, 15]], [[11, 13], [8, 10, 12], [14], [9, 15]]]
