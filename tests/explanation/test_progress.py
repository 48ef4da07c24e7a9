"""The run at sampled positions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixtera.artifact.model import Beginning, OrderParameters, PlanData
from mixtera.explanation.build import report
from mixtera.explanation.model import Report
from mixtera.explanation.progress import FEW, LEAST_SAMPLES, WINDOWS, sampled
from mixtera.order.exhaustion import course
from mixtera.order.permute import Variation
from mixtera.order.places import Start
from mixtera.order.shares import Group, Point, stretches
from mixtera.order.timeline import Timeline
from tests.explanation.plans import labels, named, repeating, with_facts
from tests.synthetic import plan_data

pytestmark = pytest.mark.usefixtures("short_simulation")
DIGEST = "sha256:" + "0" * 64


def ramp(budget: int = 200_000) -> PlanData:
    """Two components that repeat for ever, with a cosine ramp of nearly two hundred phases between."""
    mixture = Group((0, 1), (Point(0, (3.0, 1.0)), Point(budget // 10, (1.0, 3.0), "cosine", 9 * budget // 10)))
    order = OrderParameters(7, "global", 1024, 8, 64)
    rows = labels([30_000, 10_000], 2)
    data = plan_data(rows, [1, 1], epochs=[None] * 2, on_exhaust="repeat", order=order, segment_rows=1024)
    data = named(data, ["web", "code"])
    data = with_facts(replace(data, timeline=course(mixture, [None] * 2, ["repeat"] * 2, budget).timeline))
    spans = [{"first": s.first, "last": s.last, "ramp": s.ramp} for s in stretches(mixture)]
    return replace(data, facts=data.facts | {"stretches": spans, "budget": budget})


def later(data: PlanData, first: int) -> PlanData:
    """The same plan, taken over at a later position."""
    at = int(np.searchsorted([phase.first for phase in data.timeline.phases], first, side="right")) - 1
    base = data.timeline.filled(np.array([first]))[0]
    zeros = np.zeros(len(base), np.int64)
    rest = [
        replace(phase, first=phase.first - first, base=tuple((np.array(phase.base) - base).tolist()))
        for phase in data.timeline.phases[at + 1 :]
    ]
    begun = replace(data.timeline.phases[at], first=0, base=tuple(zeros.tolist()))
    spans = [
        {
            "first": max(0, s["first"] - first),
            "last": None if s["last"] is None else s["last"] - first,
            "ramp": s["ramp"],
        }
        for s in data.facts["stretches"]
        if s["last"] is None or s["last"] > first
    ]
    return replace(
        data,
        timeline=Timeline((begun, *rest), (data.timeline.total or 0) - first),
        variation=Variation(start=Start(zeros, base, np.empty(0, np.int64), zeros)),
        begins=Beginning(first, DIGEST, "before"),
        facts=data.facts | {"stretches": spans, "budget": data.facts["budget"] - first},
    )


def check_exact(data: PlanData, found: Report) -> None:
    """Every value is that of the timeline."""
    positions = np.array(found.progress.positions)
    held = data.timeline.filled(positions - data.first)
    for number, (track, component) in enumerate(zip(found.progress.tracks, data.components, strict=True)):
        assert track.full_name == component.name
        assert list(track.held) == held[:, number].tolist()
        assert track.epochs == pytest.approx(held[:, number] / component.samples, abs=1e-6)
        assert track.shares == pytest.approx(np.diff(held[:, number]) / np.diff(positions), abs=1e-6)
    assert np.sum([track.shares for track in found.progress.tracks], axis=0) == pytest.approx(1.0)


def test_a_ramp_of_many_phases_is_some_positions() -> None:
    data = ramp()
    assert len(data.timeline.phases) > 150
    found = report(data, DIGEST)
    positions = found.progress.positions
    assert (positions[0], positions[-1]) == (0, 200_000)
    assert {20_000, 180_000} <= set(positions)
    assert 80 < len(positions) <= 200
    check_exact(data, found)
    web = found.progress.tracks[0].shares
    assert (web[0], web[-1]) == (0.75, 0.25)
    assert (np.diff(web) < 0.001).all()  # it falls, but for a sample of rounding in a window of 1,600


def test_spans_say_how_many_phases_they_have() -> None:
    data = ramp()
    found = report(data, DIGEST).course
    assert [span.phases for span in (found[0], found[-1])] == [1, 1]
    inside = sum(span.phases for span in found)
    # a phase that reaches over the bound of two spans counts in both
    assert len(data.timeline.phases) <= inside <= len(data.timeline.phases) + len(found)


def test_where_weights_stay_few_positions_are_enough() -> None:
    data = plan_data(labels([30_000, 10_000], 2), [3, 1])
    found = report(data, DIGEST)
    assert 20 <= len(found.progress.positions) <= 30
    check_exact(data, found)


@pytest.mark.parametrize("first", [1, 15_000, 70_000, 190_000])
def test_a_plan_that_begins_later_is_shown_from_there(first: int) -> None:
    data = later(ramp(), first)
    found = report(data, DIGEST, batch=100)
    assert found.progress.positions[0] == found.course[0].first == first
    assert found.course[0].begins == "start"
    assert [span.first for span in found.course] == sorted({span.first for span in found.course})
    check_exact(data, found)


def test_an_endless_stream_is_shown_beyond_its_last_change() -> None:
    data = repeating(plan_data(labels([300, 200], 2), [3, 1]), 0)
    data = repeating(data, 1)
    found = report(data, DIGEST)
    assert found.plan.positions is None
    assert found.progress.positions[-1] > 800  # the first epoch of 200 samples at a share of a quarter
    check_exact(data, found)


def test_a_plan_without_positions_has_no_windows_to_divide_by() -> None:
    data = plan_data(labels([300, 1], 2), [1, 1000])
    data = replace(data, timeline=Timeline(data.timeline.phases, 0))
    found = report(data, DIGEST)
    assert set(found.progress.positions) == {0}


@given(
    first=st.integers(0, 1 << 40),
    length=st.integers(0, 1 << 40),
    bounds=st.dictionaries(st.floats(0, 1), st.booleans(), max_size=400),
)
def test_positions_ascend_and_are_few(first: int, length: int, bounds: dict[float, bool]) -> None:
    last = first + length
    changes = {first + int(length * at): moving for at, moving in bounds.items()}
    found = sampled(first, last, changes, WINDOWS)
    assert (found[0], found[-1]) == (first, last)
    assert found == sorted(found)
    assert len(found) <= 200 + 2
    if len(changes) <= FEW:
        assert {at for at in changes if first < at < last} <= set(found)
    elif length >= 2 * LEAST_SAMPLES:
        assert np.diff(found).min() >= LEAST_SAMPLES // 2
