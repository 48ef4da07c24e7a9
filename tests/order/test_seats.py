"""Seats of order version 2 against their definition in exact arithmetic, and what they promise."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixtera.order import seats
from mixtera.order.seats import WITHIN, Splits
from tests.order import oracle

one_weight = st.one_of(
    st.integers(1, 5).map(float),
    st.floats(0.001, 1000.0),
    st.sampled_from([1e-300, 5e-324, 1e-20, 0.1, 1.0, 2.0, 1e9, 1e300]),
)
weights = st.lists(one_weight, min_size=1, max_size=9)
FAR = [10**9, 10**12, 10**15]


def of(w: list[float]) -> Splits:
    return Splits.of(np.array(w))


def whole(w: list[float], total: int) -> np.ndarray:
    return of(w).components(np.array([0]), np.array([total]))


@given(weights, st.integers(0, 400))
def test_seats_are_those_of_the_definition(w: list[float], total: int) -> None:
    assert of(w).seats(np.array([total]))[0].tolist() == oracle.seats(total, w)


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=9), st.sampled_from(FAR), st.integers(0, 10**6))
def test_for_whole_weights_the_definition_is_exact_far_away_too(w: list[int], far: int, more: int) -> None:
    parts = list(map(float, w))
    assert of(parts).seats(np.array([far + more]))[0].tolist() == oracle.seats(far + more, parts, digits=None)


@given(weights, st.sampled_from([*FAR, 2**60]), st.integers(0, 10**6))
def test_seats_far_away_are_those_of_the_definition(w: list[float], far: int, more: int) -> None:
    assert of(w).seats(np.array([far + more]))[0].tolist() == oracle.seats(far + more, w)


@given(st.lists(one_weight | st.just(0.0), min_size=1, max_size=9).filter(any), st.integers(0, 60))
def test_positions_hold_what_the_definition_says(w: list[float], total: int) -> None:
    assert whole(w, total).tolist() == oracle.sequence(total, w)


@given(weights, st.sampled_from([0, *FAR, 2**52, 2**60]), st.integers(0, 10**6), st.integers(1, 300))
def test_components_between_two_positions_are_the_seats_between_them(
    w: list[float], far: int, more: int, length: int
) -> None:
    start = far + more
    between = of(w).components(np.array([start]), np.array([start + length]))
    low, high = of(w).seats(np.array([start, start + length]))
    assert (low.sum(), high.sum()) == (start, start + length)
    assert np.bincount(between, minlength=len(w)).tolist() == (high - low).tolist()


@given(weights, st.lists(st.integers(0, 500), min_size=2, max_size=8, unique=True))
def test_ranges_give_what_the_whole_gives(w: list[float], bounds: list[int]) -> None:
    cuts = np.array(sorted(bounds)[: len(bounds) // 2 * 2])
    found = whole(w, 500).tolist()
    expected = [c for a, b in zip(cuts[::2], cuts[1::2], strict=True) for c in found[a:b]]
    assert of(w).components(cuts[::2], cuts[1::2]).tolist() == expected


@given(weights, st.sampled_from([0, *FAR, 2**52]), st.integers(0, 10**6))
def test_a_seat_stands_where_it_is_said_to_stand(w: list[float], far: int, more: int) -> None:
    position, splits = far + more, of(w)
    component = int(splits.components(np.array([position]), np.array([position + 1]))[0])
    seat = int(splits.seats(np.array([position]))[0, component])
    assert splits.position(component, seat) == position


@given(weights, st.integers(0, 2**60))
def test_seats_never_shrink(w: list[float], total: int) -> None:
    now, later = of(w).seats(np.array([total, total + 1]))
    assert (later >= now).all()
    assert later.sum() == total + 1


@given(weights)
def test_every_prefix_is_within_two_samples_of_the_exact_share(w: list[float]) -> None:
    assert oracle.largest_error(whole(w, 2000).tolist(), w) <= WITHIN


fibonacci = [1.0, 1.0]
while len(fibonacci) < 40:
    fibonacci.append(fibonacci[-1] + fibonacci[-2])
draws = np.random.default_rng(12)
ADVERSARIAL = {
    **{f"a large one beside {n} of one weight": [100.0] + [1.0] * n for n in (2, 20, 40, 64, 199, 2000)},
    **{f"1,000 beside {n} that are nearly equal": [1e3, *draws.uniform(0.5, 1.5, n)] for n in (20, 39, 199)},
    "a majority of equal ones": [40.0] + [1.0] * 39,
    "forty equal ones": [1.0] * 40,
    "two thousand random ones": draws.lognormal(sigma=2, size=2000).tolist(),
    "halves": [2.0**-n for n in range(40)],
    "tenths": [10.0**-n for n in range(20)],
    "Fibonacci numbers": fibonacci,
    "nearly Fibonacci numbers": [1000 * n + 1 for n in fibonacci[:20]],
    "two classes": [1.0] * 20 + [1.001] * 19 + [500.0],
    "one that is hardly there": [1.0, 1e-9, 1.0, 1e-9, 3.0],
}


@pytest.mark.parametrize("name", ADVERSARIAL)
@pytest.mark.parametrize("start", [0, *FAR])
def test_adversarial_weights_stay_within_two_samples(name: str, start: int) -> None:
    w = ADVERSARIAL[name]
    totals = np.arange(start, start + 1_000_000 // len(w))
    everything = sum(map(Fraction, w), Fraction())
    exact = [Fraction(weight) / everything for weight in w]
    seen = of(w).seats(totals) - np.array([int(start * share) for share in exact])
    rest = np.array([float(start * share - int(start * share)) for share in exact])
    away = np.abs(seen - rest - (totals - start)[:, None] * np.array(list(map(float, exact))))
    assert away.max() <= WITHIN


def test_natural_weights_deliver_every_sample_once() -> None:
    draw = np.random.default_rng(3)
    for size, most in ((2, 10), (50, 10**10), (3000, 10**9), (7, 10**14)):
        counts = draw.integers(1, most, size)
        splits = Splits.of(counts.astype(float))
        assert (splits.seats(np.array([counts.sum()]))[0] == counts).all()
        assert (splits.seats(np.array([counts.sum() - 1]))[0] <= counts).all()


def test_a_thousand_equal_components_take_turns() -> None:
    filled = Splits.of(np.ones(1000)).seats(np.arange(0, 4001, 1000))
    assert (filled == np.arange(5)[:, None]).all()


def test_of_equal_components_the_first_comes_first() -> None:
    assert whole([1.0, 1.0], 4).tolist() == [0, 1, 0, 1]
    assert whole([1.0] * 4, 4).tolist() == [0, 2, 1, 3]


def test_sixty_five_thousand_components_are_split_at_once() -> None:
    w = np.random.default_rng(8).lognormal(sigma=2, size=65_535)
    splits = Splits.of(w)
    assert splits.seats(np.array([10**9]))[0].sum() == 10**9
    assert np.abs(splits.seats(np.array([10**9]))[0] - 10**9 * (w / w.sum())).max() <= WITHIN


def test_a_weight_that_is_almost_nothing_never_comes() -> None:
    splits = Splits.of(np.array([1.0, 5e-324]))
    assert splits.seats(np.array([2**62]))[0].tolist() == [2**62, 0]
    assert splits.position(1, 0) >= 2**62


def test_many_totals_are_worked_on_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    splits, totals = Splits.of(np.array([3.0, 2.0, 1.5])), np.arange(1000)
    found = splits.seats(totals)
    monkeypatch.setattr(seats, "BLOCK_CELLS", 30)
    assert (splits.seats(totals) == found).all()
    assert splits.seats(totals[:0]).shape == (0, 3)
