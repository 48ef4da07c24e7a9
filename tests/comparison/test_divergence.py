"""From which position on two plans differ: the same as looking at every position."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixtera.artifact.model import Beginning, OrderParameters, PlanData
from mixtera.comparison import divergence as module
from mixtera.comparison.divergence import divergence
from mixtera.comparison.files import all_files
from mixtera.comparison.model import Divergence
from mixtera.order.exhaustion import timeline
from mixtera.order.permute import Variation
from mixtera.order.places import Start
from mixtera.order.timeline import Phase, Timeline
from tests.comparison.made import ORDER, delivered, labels_of, plan_of, random_plan
from tests.synthetic import plan_data


def found(before: PlanData, after: PlanData, changed: tuple[str, ...] = (), **more: int) -> Divergence:
    files = all_files(before, after, [("data", name) for name in changed])
    return divergence(plan_of(before), plan_of(after), files, **more)


def looked_at(before: PlanData, after: PlanData) -> int | None:
    one, other = delivered(before), delivered(after)
    shared = min(len(one), len(other))
    differs = [position for position in range(shared) if one[position] != other[position]]
    return differs[0] if differs else None if len(one) == len(other) else shared


orders = st.builds(OrderParameters, st.integers(0, 1), st.just("global"), st.just(64), st.integers(1, 3), st.just(16))
plans = st.builds(
    random_plan, st.integers(0, 1), st.integers(2, 4), st.lists(st.sampled_from([1, 2]), min_size=2, max_size=3), orders
)


@given(before=plans, after=plans, block=st.sampled_from([1, 7, 4096]))
def test_the_first_difference_is_that_of_looking_at_every_position(
    before: PlanData, after: PlanData, block: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "FIRST_BLOCK", block)
        patch.setattr(module, "LARGEST_BLOCK", 4 * block)
        result = found(before, after)
    assert result.position == looked_at(before, after)
    assert result.complete
    assert result.stop == (
        min(len(delivered(before)), len(delivered(after))) if result.position is None else result.position
    )


def two_phases(data: PlanData, at: int, weights: tuple[float, ...]) -> PlanData:
    """The same plan with other weights from a position on, up to position 150."""
    first = data.timeline.phases[0]
    base = tuple(Timeline((first,), None).filled(np.array([at]))[0].tolist())
    return replace(data, timeline=Timeline((first, Phase(at, weights, base)), 150))


def test_a_change_of_weights_shows_where_it_begins() -> None:
    before = random_plan(1, 6, [1, 1, 1], replace(ORDER, chunk_size=16, lanes=1))
    after = two_phases(before, 90, (1.0, 1.0, 7.0))
    result = found(before, after, batch=16)
    assert result.position == looked_at(before, after)
    assert result.position is not None
    assert 80 <= result.position < 100
    assert result.step == result.position // 16
    assert result.before != result.after
    there = delivered(after)[result.position]
    assert result.after is not None
    assert result.after.sample == f"data/{there[0]}#{there[1]}"


def test_the_same_plan_is_not_looked_at() -> None:
    data = random_plan(1, 3, [1, 2])
    result = found(data, data)
    assert (result.position, result.complete, result.stop) == (None, True, data.timeline.total)


def test_other_components_with_the_same_samples_in_the_same_order() -> None:
    before = random_plan(1, 3, [1, 2])
    after = replace(before, components=tuple(replace(c, name=f"x{c.name}") for c in before.components))
    assert plan_of(before).digest != plan_of(after).digest
    result = found(before, after)
    assert (result.position, result.complete, result.stop) == (None, True, before.timeline.total)


def endless(seed: int) -> PlanData:
    labels = labels_of(1, 3, 2)
    return plan_data(labels, [1, 1], order=replace(ORDER, seed=seed), epochs=[None, None], on_exhaust="repeat")


def test_plans_without_end_are_compared_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    before = endless(1)
    same = replace(before, components=tuple(replace(c, name=f"x{c.name}") for c in before.components))
    result = found(before, same, until=10_000)
    assert (result.position, result.complete, result.stop) == (None, False, 10_000)
    monkeypatch.setattr(module, "MOST_POSITIONS", 5_000)
    assert found(before, same).stop == 5_000
    assert found(before, before).complete
    assert found(before, endless(2)).position is not None


def test_one_goes_on_where_the_other_ends() -> None:
    labels = labels_of(1, 3, 2)
    limits = [int(sum((file == c).sum() for file in labels)) for c in range(2)]
    before = plan_data(labels, [1, 1], order=replace(ORDER, chunk_size=16, lanes=1))
    course = timeline([1.0, 1.0], limits, ["stop"] * 2)
    assert course.total is not None
    shorter = replace(before, timeline=Timeline(course.phases, 32))
    result = found(before, shorter)
    assert result.position == looked_at(before, shorter) == 32
    assert result.before is not None
    assert result.after is None


def test_a_file_that_changed_is_said_before_the_first_difference() -> None:
    data = random_plan(1, 3, [1, 2])
    positions = [position for position, (file, _) in enumerate(delivered(data)) if file == "part-2.jsonl"]
    result = found(data, data, ("part-2.jsonl",))
    assert (result.position, result.changed_file) == (None, positions[0])
    other = replace(data, components=tuple(replace(c, name=f"x{c.name}") for c in data.components))
    assert found(data, other, ("part-2.jsonl",)).changed_file == positions[0]
    assert found(data, data, ("part-9.jsonl",)).changed_file is None


def test_a_plan_may_begin_behind_position_0() -> None:
    data = random_plan(1, 6, [1, 1], replace(ORDER, chunk_size=16, lanes=1))
    filled = np.array(data.timeline.filled(np.array([32]))[0])
    start = Start(np.zeros(2, np.int64), filled, np.empty(0, np.int64), np.zeros(2, np.int64))
    assert data.timeline.total is not None
    later = replace(
        data,
        timeline=Timeline((Phase(0, (1.0, 1.0), (0, 0)),), data.timeline.total - 32),
        variation=Variation(start=start),
        begins=Beginning(32, "sha256:beef", "before"),
    )
    result = found(data, later)
    assert (result.first, result.position, result.complete) == (32, None, True)
