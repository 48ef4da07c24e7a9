from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixtera.order.blocks import BlockedSeats, Blocks, aligned, shared
from mixtera.order.exhaustion import course
from mixtera.order.shares import Group, Point, fixed
from mixtera.order.timeline import Timeline

Part = tuple[float, int, int | None, str]
WEIGHTS = st.sampled_from([0.1, 1.0, 2.5, 7.0, 33.0])
PARTS = st.lists(
    st.tuples(
        WEIGHTS,
        st.integers(0, 2),
        st.one_of(st.none(), st.integers(1, 300)),
        st.sampled_from(["redistribute", "redistribute", "stop"]),
    ),
    min_size=1,
    max_size=6,
)
SIZES = st.sampled_from([1, 2, 3, 8, 16])


def kinds_of(parts: list[Part]) -> tuple[int, ...]:
    known = list(dict.fromkeys(kind for _, kind, _, _ in parts))
    return tuple(known.index(kind) for _, kind, _, _ in parts)


def positions_of(line: Timeline, limit: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    total = limit if line.total is None else min(limit, line.total)
    return line.components(np.array([0]), np.array([total])) if total else np.empty(0, np.int64)


@given(PARTS, SIZES, st.one_of(st.none(), st.integers(1, 1500)))
def test_blocks_are_of_one_kind_and_nobody_gets_more_than_it_has(
    parts: list[Part], size: int, limit: int | None
) -> None:
    kinds = kinds_of(parts)
    places = [places for _, _, places, _ in parts]
    policies = ["repeat" if places is None else policy for _, _, places, policy in parts]
    found = course(fixed([weight for weight, *_ in parts]), places, policies, limit, blocks=Blocks(size, kinds))
    component = positions_of(found.timeline, 2000)
    kind = np.array(kinds)[component]
    assert all(len(set(kind[at : at + size].tolist())) == 1 for at in range(0, len(kind), size))
    filled = found.timeline.filled(np.arange(len(component) + 1))
    counted = (component[:, None] == np.arange(len(parts))).cumsum(axis=0)
    assert (filled[1:] == counted).all()
    assert all(most is None or filled[-1][n] <= most for n, most in enumerate(places))
    assert all(phase.first % size == 0 for phase in found.timeline.phases)
    if limit is None and policies == ["redistribute"] * len(parts):
        for one in set(kinds):
            left = sum((places[n] or 0) - int(filled[-1][n]) for n in range(len(parts)) if kinds[n] == one)
            assert 0 <= left < size, "more than a part of a block of a kind is not delivered"


@given(st.lists(st.tuples(WEIGHTS, st.integers(0, 2)), min_size=1, max_size=6), SIZES, st.integers(0, 3000))
def test_any_position_is_found_alone_and_back(parts: list[tuple[float, int]], size: int, position: int) -> None:
    known = list(dict.fromkeys(kind for _, kind in parts))
    weights = np.array([weight for weight, _ in parts])
    seats = BlockedSeats(Blocks(size, tuple(known.index(kind) for _, kind in parts)), weights)
    before, after = seats.seats(np.array([position, position + 1]))
    (component,) = seats.components(np.array([position]), np.array([position + 1])).tolist()
    assert np.flatnonzero(after - before).tolist() == [component]
    assert seats.position(component, int(before[component])) == position
    off = np.abs(before - position * weights / weights.sum()).max()
    assert off <= 2 * size + 2


def test_one_kind_in_blocks_is_the_order_without() -> None:
    weights = [5.0, 3.0, 2.0]
    plain = course(fixed(weights), [None] * 3, ["repeat"] * 3).timeline
    blocked = course(fixed(weights), [None] * 3, ["repeat"] * 3, blocks=Blocks(16, (0, 0, 0))).timeline
    assert positions_of(plain, 500).tolist() == positions_of(blocked, 500).tolist()


@pytest.mark.parametrize("ramp", [None, "linear", "cosine"])
def test_weights_change_where_blocks_begin_and_shares_follow(ramp: str | None) -> None:
    points = (Point(0, (9.0, 1.0)), Point(1000, (1.0, 1.0), ramp, None if ramp is None else 5000))  # type: ignore[arg-type]
    mixture = aligned(Group((0, 1), points), 48)
    assert mixture.points[1].at == 1008
    found = course(mixture, [None, None], ["repeat"] * 2, 8000, blocks=Blocks(48, (0, 1)))
    component = positions_of(found.timeline, 8000)
    assert all(len(set(component[at : at + 48].tolist())) == 1 for at in range(0, 8000, 48))
    exact = np.cumsum([mixture.weights(t + 0.5)[1] / sum(mixture.weights(t + 0.5)) for t in range(8000)])
    assert np.abs(np.cumsum(component == 1) - exact).max() <= 3 * 48


@given(st.lists(st.tuples(st.floats(0, 9), st.integers(0, 30)), min_size=1, max_size=6), st.integers(0, 200))
def test_what_is_shared_is_shared_whole(parts: list[tuple[float, int]], total: int) -> None:
    weights, room = np.array([weight for weight, _ in parts]), np.array([most for _, most in parts], np.int64)
    total = min(total, int(room.sum()))
    given_ = shared(weights, room, total)
    assert int(given_.sum()) == total
    assert (given_ <= room).all()
    assert (given_ >= 0).all()
