"""Order version 1, whose plans can still be read."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixtera.order import webster
from tests.order import oracle

weights = st.lists(
    st.one_of(st.integers(1, 5).map(float), st.floats(0.001, 1000.0, allow_nan=False)), min_size=1, max_size=9
)


@given(weights, st.integers(0, 400))
def test_seats_are_the_first_keys(w: list[float], total: int) -> None:
    assert webster.seats(np.array([total]), np.array(w))[0].tolist() == oracle.webster_seats(total, w)


@given(weights, st.integers(0, 10**12), st.integers(1, 300))
def test_components_between_two_positions_are_the_seats_between_them(w: list[float], start: int, length: int) -> None:
    between = webster.components(np.array([start]), np.array([start + length]), np.array(w))
    low, high = webster.seats(np.array([start, start + length]), np.array(w))
    assert np.bincount(between, minlength=len(w)).tolist() == (high - low).tolist()


@given(weights, st.lists(st.integers(0, 500), min_size=2, max_size=8, unique=True))
def test_ranges_give_what_the_whole_gives(w: list[float], bounds: list[int]) -> None:
    cuts = np.array(sorted(bounds)[: len(bounds) // 2 * 2])
    whole = oracle.webster_sequence(int(cuts[-1]), w)
    expected = [c for a, b in zip(cuts[::2], cuts[1::2], strict=True) for c in whole[a:b]]
    assert webster.components(cuts[::2], cuts[1::2], np.array(w)).tolist() == expected


@given(weights, st.lists(st.integers(0, 10**6), min_size=1, max_size=20))
def test_a_seat_stands_where_it_is_said_to_stand(w: list[float], chosen: list[int]) -> None:
    positions = np.array(sorted(set(chosen)))
    component = webster.components(positions, positions + 1, np.array(w))
    seat = webster.seats(positions, np.array(w))[np.arange(len(positions)), component]
    assert webster.ranks(component, seat, np.array(w)).tolist() == positions.tolist()


def test_a_large_component_waits_for_many_of_one_weight() -> None:
    """Why there is a version 2: see docs/decisions/0012."""
    component = webster.components(np.array([0]), np.array([4000]), np.array([100.0] + [1.0] * 40))
    assert oracle.largest_error(component.tolist(), [100.0] + [1.0] * 40) > 14


@given(weights, st.integers(0, 10**9))
def test_seats_never_shrink(w: list[float], total: int) -> None:
    now, later = webster.seats(np.array([total, total + 1]), np.array(w))
    assert (later >= now).all()
    assert later.sum() == total + 1


def test_natural_weights_deliver_every_sample_once() -> None:
    counts = np.random.default_rng(3).integers(1, 10**10, 50)
    assert (webster.seats(np.array([counts.sum()]), counts.astype(float))[0] == counts).all()


def test_a_thousand_equal_components_take_turns() -> None:
    filled = webster.seats(np.array([499, 1500]), np.ones(1000))
    assert filled[0].tolist() == [1] * 499 + [0] * 501
    assert filled[1].tolist() == [2] * 500 + [1] * 500


def test_many_totals_are_worked_on_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    w = np.array([3.0, 2.0, 1.5])
    totals = np.arange(1000)
    whole = webster.seats(totals, w)
    monkeypatch.setattr(webster, "BLOCK_CELLS", 30)
    assert (webster.seats(totals, w) == whole).all()
