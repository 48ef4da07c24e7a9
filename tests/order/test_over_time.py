"""Laws of mixtures over time: random weight trees, schedules, sizes and policies against a plain definition."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixtera.order.ahead import rounded
from mixtera.order.exhaustion import Course, course
from mixtera.order.lanes import Lanes
from mixtera.order.shares import Group, Point, Ramp, fixed, progress, shares, stretches
from tests.order import oracle

RAMPS: tuple[Ramp, ...] = ("linear", "cosine")
BOUND = 4
"""Samples that any prefix may be away from the integral of the shares."""


@st.composite
def points(draw: st.DrawFn, parts: int, changes: int = 4) -> tuple[Point, ...]:
    weights = st.lists(st.sampled_from([0.0, 0.3, 1.0, 2.0, 7.0]), min_size=parts, max_size=parts).filter(any)
    found = [Point(0, tuple(draw(weights)))]
    for _ in range(draw(st.integers(0, changes))):
        at = found[-1].reached + draw(st.integers(1, 120))
        ramp = draw(st.sampled_from([None, *RAMPS]))
        found.append(Point(at, tuple(draw(weights)), ramp, None if ramp is None else at + draw(st.integers(1, 400))))
    return tuple(found)


@st.composite
def trees(draw: st.DrawFn, policies: tuple[str, ...] = ("redistribute",)) -> Group:
    """Two levels of groups, with schedules at both."""
    numbers = iter(range(100))
    parts: list[Group | int] = []
    for _ in range(draw(st.integers(1, 4))):
        inner = draw(st.integers(0, 3))
        if inner == 0:
            parts.append(next(numbers))
        else:
            leaves = tuple(next(numbers) for _ in range(inner))
            parts.append(Group(leaves, draw(points(inner, 1)), draw(st.sampled_from(policies))))
    return Group(tuple(parts), draw(points(len(parts))))


def share_of(group: Group, position: float, left: list[bool]) -> dict[int, float]:
    """The definition: a group's part goes to those of its parts that have something to give, by their weights."""
    weights = list(group.points[0].weights)
    for point in group.points[1:]:
        if point.at <= position:
            done = 1.0 if point.until is None else min(1.0, (position - point.at) / (point.until - point.at))
            if point.ramp == "cosine":
                done = (1 - math.cos(math.pi * done)) / 2
            before, after = sum(weights), sum(point.weights)
            weights = [a / before * (1 - done) + b / after * done for a, b in zip(weights, point.weights, strict=True)]
    inside = [
        {part: float(left[part])} if isinstance(part, int) else share_of(part, position, left) for part in group.parts
    ]
    given = [weight if any(below.values()) else 0.0 for weight, below in zip(weights, inside, strict=True)]
    whole = sum(given) or 1.0
    return {c: w / whole * s for w, below in zip(given, inside, strict=True) for c, s in below.items()}


def sequence(found: Course) -> np.ndarray:
    assert found.timeline.total is not None
    if not found.timeline.total:
        return np.empty(0, np.int64)
    return found.timeline.components(np.array([0]), np.array([found.timeline.total]))


def leavings(found: Course, places: list[int | None]) -> dict[int, list[int]]:
    """The position of each phase from which on components are gone → those gone."""
    gone: dict[int, list[int]] = {}
    for phase in found.timeline.phases:
        gone[phase.first] = [c for c, limit in enumerate(places) if phase.base[c] == limit and not phase.weights[c]]
    return gone


def check_prefixes(mixture: Group, places: list[int | None], found: Course) -> None:
    """Every prefix since a component left is within BOUND of the integral of the shares of those that are left."""
    gone, left = leavings(found, places), [True] * len(places)
    counts, exact = np.zeros(len(places)), np.zeros(len(places))
    for position, component in enumerate(sequence(found).tolist()):
        out = [c not in gone.get(position, [c for c, here in enumerate(left) if not here]) for c in range(len(left))]
        if out != left:
            left, counts, exact = out, np.zeros(len(places)), np.zeros(len(places))
        share = share_of(mixture, position + 0.5, left)
        if not any(share.values()):  # nothing that is left has a weight here: those that come next hold already
            after = (shares(mixture, piece.first + 0.5, left) for piece in stretches(mixture) if piece.first > position)
            ahead = next(found for found in after if any(found))
            share = {c: weight / sum(ahead) for c, weight in enumerate(ahead)}
        assert share[component] > 0, f"{component} has no share at {position}"
        exact += [share[c] for c in range(len(places))]
        counts[component] += 1
        assert np.abs(counts - exact).max() <= BOUND, f"position {position}: {counts} instead of {exact}"


@given(trees(), st.data())
@settings(max_examples=60, deadline=None)
def test_every_prefix_follows_the_integral_of_the_shares(mixture: Group, data: st.DataObject) -> None:
    size = len(list(mixture.leaves()))
    places = data.draw(st.lists(st.integers(1, 300), min_size=size, max_size=size))
    found = course(mixture, [*places], ["redistribute"] * size, 1500)
    counts = np.bincount(sequence(found), minlength=size)
    assert (counts <= places).all()
    assert found.ended_by is None
    check_prefixes(mixture, [*places], found)
    assert (found.timeline.filled(np.array([found.timeline.total]))[0] == counts).all()
    if found.timeline.total != 1500:  # what is left has no weight any more
        left = [count < limit for count, limit in zip(counts.tolist(), places, strict=True)]
        assert not any(shares(mixture, max(found.timeline.total or 0, stretches(mixture)[-1].first), left))


@given(trees(("redistribute", "stop")), st.data())
@settings(max_examples=60, deadline=None)
def test_it_ends_where_the_first_that_stops_has_nothing_left(mixture: Group, data: st.DataObject) -> None:
    size = len(list(mixture.leaves()))
    places = data.draw(st.lists(st.none() | st.integers(1, 200), min_size=size, max_size=size))
    policies = data.draw(st.lists(st.sampled_from(["stop", "redistribute"]), min_size=size, max_size=size))
    found = course(mixture, places, policies, 1200)
    counts = np.bincount(sequence(found), minlength=size).tolist()
    assert all(limit is None or count <= limit for count, limit in zip(counts, places, strict=True))
    if found.ended_by is not None:
        assert counts[found.ended_by] == places[found.ended_by]
        groups = [group for group in mixture.groups() if group is not mixture and found.ended_by in group.leaves()]
        empty = [g for g in groups if all(counts[leaf] == places[leaf] for leaf in g.leaves())]
        assert policies[found.ended_by] == "stop" or any(group.on_exhaust == "stop" for group in empty)
    check_prefixes(mixture, places, found)


@given(trees(), st.tuples(st.integers(1, 5), st.integers(1, 4), st.integers(1, 50)))
@settings(max_examples=40, deadline=None)
def test_chunks_that_hold_many_phases_are_parts_of_the_whole(mixture: Group, shape: tuple[int, int, int]) -> None:
    size = len(list(mixture.leaves()))
    timeline = course(mixture, [100] * size, ["redistribute"] * size, 900).timeline
    ends = [phase.first for phase in timeline.phases[1:]] + [timeline.total or 0]
    phases = zip(timeline.phases, ends, strict=True)
    plain = np.concatenate([p.components(np.array([p.first]), np.array([end])) for p, end in phases])
    lanes = Lanes(timeline, shape[0] * shape[2], shape[1], shape[2])
    found = lanes.range(0, timeline.total or 0)
    assert found.component.tolist() == plain.tolist()
    assert found.place.tolist() == oracle.places(plain.tolist(), shape[0] * shape[2], shape[1], shape[2])


def test_what_a_part_leaves_goes_to_its_siblings_first() -> None:
    mixture = Group((0, Group((1, 2), (Point(0, (3.0, 1.0)),))), (Point(0, (1.0, 1.0)),))
    timeline = course(mixture, [10_000, 30, 500], ["redistribute"] * 3).timeline
    assert [np.array(phase.weights) / sum(phase.weights) for phase in timeline.phases][1].tolist() == [0.5, 0, 0.5]
    assert [phase.weights for phase in timeline.phases] == [(1.0, 0.75, 0.25), (1.0, 0.0, 1.0), (1.0, 0.0, 0.0)]
    assert timeline.total == 10_530


def test_a_group_whose_parts_are_all_out_ends_the_stream_if_it_says_so() -> None:
    inner = Group((0, 1), (Point(0, (1.0, 1.0)),), "stop")
    mixture = Group((inner, 2), (Point(0, (1.0, 1.0)),))
    found = course(mixture, [10, 20, 1000], ["redistribute"] * 3)
    assert found.ended_by == 1
    assert found.timeline.filled(np.array([found.timeline.total]))[0].tolist()[:2] == [10, 20]


def test_many_short_steps_do_not_add_up_their_rounding() -> None:
    pointed = tuple(Point(100 * n, (996.0 + n % 2, 4.0 - n % 2)) for n in range(1000))
    found = course(Group((0, 1), pointed), [None, None], ["repeat"] * 2, 100_000)
    counts = found.timeline.filled(np.arange(0, 100_001, 100))[:, 1]
    asked = np.concatenate([[0], np.cumsum([0.4 if n % 2 == 0 else 0.3 for n in range(1000)])])
    assert np.abs(counts - asked).max() <= 1


@pytest.mark.parametrize("ramp", RAMPS)
@pytest.mark.parametrize("length", [1, 7, 1000, 10**6, 10**8])
def test_a_ramp_of_any_length_follows_its_integral(ramp: Ramp, length: int) -> None:
    mixture = Group((0, 1), (Point(0, (1.0, 0.0)), Point(50, (0.0, 3.0), ramp, 50 + length)))
    found = course(mixture, [None, None], ["repeat"] * 2)
    assert found.timeline.total is None
    assert len(found.timeline.phases) <= 2 + (1 << 14)
    at = np.unique(np.random.default_rng(0).integers(0, length + 1, 500))
    done = at / length
    primitive = done**2 / 2 if ramp == "linear" else done / 2 - np.sin(np.pi * done) / (2 * np.pi)
    got = found.timeline.filled(50 + at)[:, 1]
    assert np.abs(got - primitive * length).max() <= 3
    assert found.timeline.filled(np.array([50]))[0].tolist() == [50, 0]
    assert found.timeline.phases[-1].weights == (0.0, 3.0)


@given(st.floats(0, 1))
def test_the_cosine_is_one(done: float) -> None:
    assert progress("cosine", done) == pytest.approx((1 - math.cos(math.pi * done)) / 2, abs=1e-14)


def test_a_step_keeps_the_weights_as_they_were_written() -> None:
    mixture = Group((0, 1), (Point(0, (90.0, 10.0)), Point(700, (20.0, 80.0))))
    found = course(mixture, [5000, 5000], ["stop"] * 2)
    assert [(phase.first, phase.weights) for phase in found.timeline.phases] == [(0, (90.0, 10.0)), (700, (20.0, 80.0))]
    assert sequence(found)[:700].tolist() == oracle.sequence(700, [90.0, 10.0])


def test_where_nothing_left_has_a_weight_the_next_weights_hold_already() -> None:
    mixture = Group((0, 1), (Point(0, (1.0, 0.0)), Point(1000, (0.0, 1.0))))
    found = course(mixture, [300, 400], ["redistribute"] * 2)
    assert found.timeline.total == 700
    assert sequence(found).tolist() == [0] * 300 + [1] * 400


def test_it_ends_where_nothing_left_has_a_weight_any_more() -> None:
    mixture = Group((0, 1), (Point(0, (1.0, 1.0)), Point(100, (1.0, 0.0))))
    found = course(mixture, [200, 400], ["redistribute"] * 2)
    assert found.timeline.total == 250
    assert found.ended_by is None


def test_a_limit_ends_it() -> None:
    found = course(fixed([3.0, 1.0]), [100, 100], ["stop"] * 2, 80)
    assert (found.timeline.total, found.ended_by) == (80, None)
    assert [phase.weights for phase in found.timeline.phases] == [(3.0, 1.0)]
    assert course(fixed([3.0, 1.0]), [100, 100], ["stop"] * 2, 5000).ended_by == 0


@given(
    st.lists(st.tuples(st.floats(-3, 30), st.booleans()), min_size=1, max_size=8).filter(
        lambda d: any(a for _, a in d)
    ),
    st.integers(0, 100),
)
def test_rounding_gives_the_sum_to_those_that_may_get_it(owed: list[tuple[float, bool]], total: int) -> None:
    active = np.array([a for _, a in owed])
    given_ = rounded(np.array([o for o, _ in owed]), active, total)
    assert int(given_.sum()) == total
    assert (given_ >= 0).all()
    assert not given_[~active].any()


def test_two_hundred_components_run_out_one_by_one_during_a_ramp() -> None:
    size = 200
    start, stop = tuple(float(1 + n % 7) for n in range(size)), tuple(float(1 + n % 5) for n in range(size))
    groups = tuple(Group(tuple(range(n, n + 10)), (Point(0, start[n : n + 10]),)) for n in range(0, size, 10))
    mixture = Group(groups, (Point(0, (1.0,) * 20), Point(1_000_000, stop[:20], "linear", 8_000_000)))
    places = [1000 * (1 + n * n % 97) for n in range(size)]
    found = course(mixture, [*places], ["redistribute"] * size)
    assert found.timeline.total == sum(places)
    assert found.timeline.filled(np.array([sum(places)]))[0].tolist() == places


@pytest.mark.parametrize("size", [3, 300])
def test_many_ranges_over_some_phases_are_parts_of_the_whole(size: int) -> None:
    weights = [tuple(float(1 + (n * step) % 7) for n in range(size)) for step in (1, 3, 5)]
    mixture = Group(tuple(range(size)), tuple(Point(700 * n, weights[n]) for n in range(3)))
    timeline = course(mixture, [None] * size, ["repeat"] * size, 2100).timeline
    whole = timeline.components(np.array([0]), np.array([2100]))
    starts = np.arange(5, 2090, 11)
    found = timeline.components(starts, starts + 4)
    assert found.tolist() == np.concatenate([whole[a : a + 4] for a in starts.tolist()]).tolist()


def changing(size: int, ramp: Ramp, kind: str) -> Group:
    """Ramps and sudden changes between weights that many components make hard."""
    draws = np.random.default_rng(size)
    near = draws.uniform(0.5, 1.5, size).tolist()
    before, after = {
        "one after the other": ([1.0] + [0.0] * (size - 1), [0.0] + [1.0] * (size - 1)),
        "a large one that becomes small": ([5.0 * size] + [1.0] * (size - 1), near),
        "random": (draws.lognormal(0, 2, size).tolist(), draws.lognormal(0, 2, size).tolist()),
        "a large one that stays": ([5.0 * size, *near[1:]], [5.0 * size, *draws.uniform(0.5, 1.5, size - 1).tolist()]),
    }[kind]
    one, other = tuple(before), tuple(after)
    points = [Point(0, one), Point(100, other, ramp, 2100), Point(2200, one), Point(2300, other)]
    points += [Point(2310, one, ramp, 2320), Point(2330, other)]
    return Group(tuple(range(size)), (*points, *(Point(at, one if at % 20 else other) for at in range(2400, 2900, 10))))


@pytest.mark.parametrize(
    "kind", ["one after the other", "a large one that becomes small", "random", "a large one that stays"]
)
@pytest.mark.parametrize(("size", "ramp"), [(2, "cosine"), (41, "linear"), (64, "cosine"), (200, "linear")])
def test_many_components_follow_changes_and_ramps(size: int, ramp: Ramp, kind: str) -> None:
    mixture, end = changing(size, ramp, kind), 3000
    chosen = sequence(course(mixture, [None] * size, ["repeat"] * size, end))
    asked = np.array([shares(mixture, position + 0.5, [True] * size) for position in range(end)])
    exact = np.cumsum(asked / asked.sum(axis=1, keepdims=True), axis=0)
    counts = np.cumsum(np.eye(size)[chosen], axis=0)
    assert np.abs(counts - exact).max() <= BOUND


def test_a_longer_budget_begins_like_a_shorter_one() -> None:
    mixture = fixed([70.0, 20.0, 9.0, 1.0])
    short, long = (course(mixture, [None] * 4, ["repeat"] * 4, budget) for budget in (1000, 1777))
    assert sequence(long)[:1000].tolist() == sequence(short).tolist()


def test_what_would_run_out_when_nobody_lives_any_more_never_does() -> None:
    found = course(fixed([1.0, 1e-300]), [None, 1], ["repeat", "stop"])
    assert (found.timeline.total, found.ended_by) == (None, None)


def test_a_thousand_that_run_out_together_are_done_at_once() -> None:
    sizes = np.random.default_rng(4).integers(1, 10**6, 1000).tolist()
    found = course(fixed(list(map(float, sizes))), sizes, ["redistribute"] * 1000)
    assert (found.timeline.total, len(found.timeline.phases), found.ended_by) == (sum(sizes), 1, None)
