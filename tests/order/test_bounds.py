"""Bounded shares against their definition: min(ceiling, max(floor, c · asked)) with one c for all, and the sum 1."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixtera.order.bounds import bounded


@st.composite
def asked(draw: st.DrawFn) -> tuple[list[float], list[float | None], list[float | None]]:
    """Weights and bounds in hundredths that can be kept."""
    weights = draw(st.lists(st.sampled_from([0.0, 0.1, 1.0, 3.0, 20.0, 1e6]), min_size=1, max_size=8).filter(any))
    weighted = sum(map(bool, weights))
    floors: list[int] = []
    for weight in weights:
        room = 100 - sum(floors) if weight else 0
        floors.append(draw(st.integers(0, min(room, 40))))
    least = -(-100 // weighted)
    ceilings = [draw(st.integers(max(floor, least), 100)) for floor in floors]
    return (
        weights,
        [floor / 100 if floor or draw(st.booleans()) else None for floor in floors],
        [ceiling / 100 if ceiling < 100 or draw(st.booleans()) else None for ceiling in ceilings],
    )


@given(asked())
def test_shares_are_as_defined(given_: tuple[list[float], list[float | None], list[float | None]]) -> None:
    weights, floors, ceilings = given_
    found = bounded(weights, floors, ceilings)
    total = math.fsum(found)
    shares = [weight / total for weight in found]
    assert found == tuple(weights) or total == pytest.approx(1, abs=1e-12)
    scales = []
    for weight, share, floor, ceiling in zip(weights, shares, floors, ceilings, strict=True):
        low, high = floor or 0.0, 1.0 if ceiling is None else ceiling
        if not weight:
            assert share == 0
            continue
        assert low - 1e-12 <= share <= high + 1e-12
        scale = share / weight
        # The common scale lies at that of a free share, at or above that of one at its ceiling, at or below a floor's.
        if share > low + 1e-12 and share < high - 1e-12:
            scales.append((scale, scale))
        elif abs(share - low) <= 1e-12 and abs(share - high) > 1e-12:
            scales.append((0.0, scale))
        elif abs(share - low) > 1e-12:
            scales.append((scale, math.inf))
    if scales:
        assert max(low for low, _ in scales) <= min(high for _, high in scales) * (1 + 1e-9)


@given(asked())
def test_bounds_that_hold_already_change_nothing(
    given_: tuple[list[float], list[float | None], list[float | None]],
) -> None:
    weights, floors, ceilings = given_
    once = bounded(weights, floors, ceilings)
    total = sum(map(Fraction, weights))
    inside = all(
        (floor or 0) <= Fraction(weight) / total <= (1 if ceiling is None else ceiling)
        for weight, floor, ceiling in zip(weights, floors, ceilings, strict=True)
        if weight
    )
    assert not inside or once == tuple(weights)
    assert once == bounded([weight * 4 for weight in weights], floors, ceilings) or once == tuple(weights)


def test_a_ceiling_gives_to_the_others_in_proportion() -> None:
    assert bounded([90.0, 6.0, 4.0], [None] * 3, [0.5, None, None]) == (0.5, 0.3, 0.2)


def test_a_floor_takes_from_the_others_in_proportion() -> None:
    assert bounded([60.0, 30.0, 10.0], [None, None, 0.4], [None] * 3) == (0.4, 0.2, 0.4)


def test_what_a_bound_pushes_beyond_another_is_set_to_that() -> None:
    assert bounded([90.0, 9.0, 1.0], [None, 0.0, 0.05], [0.5, 0.4, None]) == (0.5, 0.4, 0.1)


def test_floors_and_ceilings_that_leave_no_choice() -> None:
    assert bounded([9.0, 1.0], [0.5, 0.5], [None, None]) == (0.5, 0.5)
    assert bounded([9.0, 1.0, 0.0], [None] * 3, [0.25, 0.75, None]) == (0.25, 0.75, 0.0)


def test_sixty_thousand_groups_take_little_time() -> None:
    weights = [float(10**9 // (n + 1)) for n in range(60_000)]
    found = bounded(weights, [4e-6] * len(weights), [0.01] * len(weights))
    assert max(found) == 0.01
    assert min(found) == 4e-6
    assert all(a >= b for a, b in pairwise(found))
