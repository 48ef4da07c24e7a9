"""When a component has had a number of seats: the closed form against the timeline itself."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mixtera.explanation.when import first_positions
from mixtera.order.exhaustion import timeline
from mixtera.order.timeline import Phase, Timeline

WEIGHTS = st.lists(st.one_of(st.integers(1, 50), st.floats(0.01, 100)), min_size=1, max_size=6)


@given(WEIGHTS, st.data())
def test_it_is_the_first_position_with_so_many_seats(weights: list[float], data: st.DataObject) -> None:
    found = Timeline((Phase(0, tuple(map(float, weights)), (0,) * len(weights)),), None)
    seats = np.array([data.draw(st.integers(1, 200)) for _ in weights])
    for component, position in enumerate(first_positions(found, seats)):
        assert position is not None
        before, at = found.filled(np.array([position - 1, position]))[:, component].tolist()
        assert (before, at) == (seats[component] - 1, seats[component])


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 60)), min_size=1, max_size=5))
def test_it_goes_through_phases_in_which_components_leave(parts: list[tuple[int, int]]) -> None:
    weights, places = [float(weight) for weight, _ in parts], [count for _, count in parts]
    found = timeline(weights, places, ["redistribute"] * len(parts))
    assert found.total == sum(places)
    filled = found.filled(np.arange(found.total + 1))
    expected = [int(np.flatnonzero(filled[:, c] >= n)[0]) for c, n in enumerate(places)]
    assert first_positions(found, np.array(places)) == expected


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 60)), min_size=2, max_size=5))
def test_what_the_end_comes_before_is_none(parts: list[tuple[int, int]]) -> None:
    weights, places = [float(weight) for weight, _ in parts], [count for _, count in parts]
    found = timeline(weights, places, ["stop"] * len(parts))
    assert found.total is not None
    seats = found.filled(np.array([found.total]))[0]
    positions = first_positions(found, np.array(places))
    assert [position is None for position in positions] == (seats < places).tolist()


def test_very_many_seats_are_found_at_once() -> None:
    found = Timeline((Phase(0, (3.0, 1.0, 1e-9), (0, 0, 0)),), None)
    positions = first_positions(found, np.array([3 * 10**12, 10**12, 1000]))
    for component, (seats, position) in enumerate(zip((3 * 10**12, 10**12, 1000), positions, strict=True)):
        assert position is not None
        assert found.filled(np.array([position - 1, position]))[:, component].tolist() == [seats - 1, seats]
