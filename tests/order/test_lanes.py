from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixtera.order.lanes import Lanes, occurrence
from mixtera.order.timeline import Phase, Timeline
from tests.order import oracle


def static(weights: list[float], total: int | None) -> Timeline:
    return Timeline((Phase(0, tuple(weights), (0,) * len(weights)),), total)


shapes = st.tuples(st.integers(1, 6), st.integers(1, 5), st.integers(1, 8)).map(lambda s: (s[0] * s[2], s[1], s[2]))


@given(st.lists(st.floats(0.1, 9), min_size=1, max_size=5), shapes, st.integers(1, 400))
@settings(deadline=None)
def test_places_are_those_of_the_definition(weights: list[float], shape: tuple[int, int, int], total: int) -> None:
    chunk, lanes, granule = shape
    component = oracle.sequence(total, weights)
    got = Lanes(static(weights, total), chunk, lanes, granule).range(0, total)
    assert got.component.tolist() == component
    assert got.place.tolist() == oracle.places(component, chunk, lanes, granule)


@given(shapes, st.integers(1, 300), st.data())
@settings(deadline=None)
def test_any_range_and_any_chunk_is_a_part_of_the_whole(
    shape: tuple[int, int, int], total: int, data: st.DataObject
) -> None:
    lanes = Lanes(static([3.0, 1.0, 2.0], total), *shape)
    whole = lanes.range(0, total)
    start = data.draw(st.integers(0, total))
    stop = data.draw(st.integers(start, total + 50))
    part = lanes.range(start, stop)
    assert part.position.tolist() == list(range(start, min(stop, total)))
    assert part.place.tolist() == whole.place[start:stop].tolist()
    round_, lane = data.draw(st.integers(0, total // lanes.round_size)), data.draw(st.integers(0, lanes.lanes - 1))
    chunk = lanes.chunk(round_, lane)
    assert (chunk.position // lanes.granule % lanes.lanes == lane).all()
    assert chunk.place.tolist() == whole.place[chunk.position].tolist()


def test_a_chunk_reads_consecutive_places_of_each_component() -> None:
    chunk = Lanes(static([5.0, 2.0, 3.0], None), 256, 12, 32).chunk(3, 7)
    assert len(chunk.position) == 256
    for c in range(3):
        places = chunk.place[chunk.component == c]
        assert places.tolist() == list(range(places[0], places[0] + len(places)))


def test_the_position_of_a_place_is_where_it_is_delivered() -> None:
    lanes = Lanes(static([5.0, 2.0, 3.0], 5000), 128, 3, 32)
    whole = lanes.range(0, 5000)
    for position in np.random.default_rng(1).integers(0, 5000, 60).tolist():
        assert lanes.position_of(int(whole.component[position]), int(whole.place[position])) == position
    assert lanes.position_of(0, 2500) is None
    assert lanes.position_of(0, 10**12) is None


def test_long_rounds_are_counted_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    from mixtera.order import lanes as module

    whole = Lanes(static([5.0, 2.0], 4000), 512, 4, 32).range(0, 4000)
    monkeypatch.setattr(module, "BLOCK_POSITIONS", 100)
    again = Lanes(static([5.0, 2.0], 4000), 512, 4, 32).range(0, 4000)
    assert (again.place == whole.place).all()


def test_two_phases_keep_their_own_shares_and_go_on_where_they_were() -> None:
    timeline = Timeline((Phase(0, (3.0, 1.0), (0, 0)), Phase(101, (1.0, 4.0), (76, 25))), 301)
    assert timeline.filled(np.array([101])).tolist() == [[76, 25]]
    lanes = Lanes(timeline, 64, 2, 16)
    component = oracle.sequence(101, [3.0, 1.0]) + oracle.sequence(200, [1.0, 4.0])
    got = lanes.range(0, 301)
    assert got.component.tolist() == component
    assert got.place.tolist() == oracle.places(component, 64, 2, 16)


def test_a_far_position_costs_no_more_memory_or_state() -> None:
    lanes = Lanes(static([5.0, 2.0, 3.0], None), 256, 12, 32)
    far = 10**15 // lanes.round_size * lanes.round_size
    got = lanes.range(far, far + 10)
    assert np.bincount(got.component, minlength=3).tolist() == [5, 2, 3]
    assert got.place.min() > 10**14


def test_lanes_travel_to_another_process() -> None:
    lanes = Lanes(static([1.0, 2.0], 1000), 128, 2, 32)
    again = pickle.loads(pickle.dumps(lanes))
    assert (again.range(0, 1000).place == lanes.range(0, 1000).place).all()


@given(st.lists(st.integers(0, 5)))
def test_occurrence_counts_equal_values_before(values: list[int]) -> None:
    expected = [values[:i].count(v) for i, v in enumerate(values)]
    assert occurrence(np.array(values, np.int64)).tolist() == expected
