from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixtera.order.exhaustion import timeline
from tests.order import oracle

parts = st.lists(st.tuples(st.floats(0.1, 9), st.integers(1, 60)), min_size=1, max_size=5)


@given(parts)
def test_stop_ends_before_the_first_seat_that_cannot_be_filled(parts: list[tuple[float, int]]) -> None:
    weights, places = [w for w, _ in parts], [n for _, n in parts]
    line = timeline(weights, places, ["stop"] * len(parts))
    assert line.total is not None
    filled = oracle.seats(line.total, weights)
    assert all(n <= limit for n, limit in zip(filled, places, strict=True))
    assert any(n > limit for n, limit in zip(oracle.seats(line.total + 1, weights), places, strict=True))


@given(parts)
def test_redistribute_delivers_every_place_once(parts: list[tuple[float, int]]) -> None:
    weights, places = [w for w, _ in parts], [n for _, n in parts]
    line = timeline(weights, places, ["redistribute"] * len(parts))
    assert line.total == sum(places)
    assert line.filled(np.array([line.total]))[0].tolist() == places


def test_natural_weights_end_with_everything_delivered() -> None:
    line = timeline([2005.0, 1500.0], [2005, 1500], ["stop"] * 2)
    assert line.total == 3505
    assert len(line.phases) == 1


def test_no_limit_means_no_end() -> None:
    assert timeline([1.0, 2.0], [None, None], ["repeat"] * 2).total is None


def test_a_limit_that_is_redistributed_leaves_the_endless_ones() -> None:
    line = timeline([1.0, 1.0], [10, None], ["redistribute", "repeat"])
    assert line.total is None
    assert [phase.weights for phase in line.phases] == [(1.0, 1.0), (0.0, 1.0)]
    # the eleventh seat of the first, which cannot be filled, would stand at position 20
    assert line.phases[1].first == 20


def test_one_that_stops_ends_the_stream_though_others_would_redistribute() -> None:
    line = timeline([1.0, 1.0, 1.0], [5, 50, 100], ["redistribute", "stop", "redistribute"])
    assert line.total is not None
    assert line.filled(np.array([line.total]))[0].tolist()[:2] == [5, 50]


@pytest.mark.parametrize("size", [1, 10**12])
def test_sizes_do_not_matter_for_the_time_it_takes(size: int) -> None:
    assert timeline([3.0, 1.0], [3 * size, size], ["stop", "stop"]).total == 4 * size
