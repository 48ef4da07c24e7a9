"""The course of a mixture: where shares change, and what they are between."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mixtera.artifact.model import PlanData
from mixtera.explanation.build import report
from mixtera.explanation.text import text
from mixtera.order.exhaustion import course
from mixtera.order.shares import Group, Point, stretches
from tests.explanation.plans import labels, named, with_facts
from tests.synthetic import plan_data

DIGEST = "sha256:" + "0" * 64


def scheduled(budget: int | None = None, on_exhaust: str = "redistribute") -> PlanData:
    points = (Point(0, (3.0, 1.0)), Point(100, (0.0, 1.0), "linear", 180), Point(300, (1.0, 1.0)))
    mixture = Group((0, 1), points)
    data = named(plan_data(labels([300, 300], 2), [1, 1], on_exhaust=on_exhaust), ["web", "code"])
    found = course(mixture, [300, 300], [on_exhaust] * 2, budget)
    data = with_facts(replace(data, timeline=found.timeline))
    spans = [{"first": s.first, "last": s.last, "ramp": s.ramp} for s in stretches(mixture)]
    return replace(data, facts=data.facts | {"stretches": spans, "budget": budget})


def test_spans_are_bounded_by_weights_ramps_and_leavings() -> None:
    found = report(scheduled(), DIGEST)
    assert [(span.first, span.begins, span.leaving) for span in found.course] == [
        (0, "start", ()),
        (100, "ramp", ()),
        (120, "ramp", ()),
        (140, "ramp", ()),
        (160, "ramp", ()),
        (180, "weights", ()),
        (300, "weights", ()),
        (511, "leaves", ("code",)),
    ]
    assert found.course[-1].last == 600
    assert found.course[-1].shares == {"web": 1.0, "code": 0.0}
    assert found.end.changes == (511,)


def test_shares_are_those_that_are_delivered() -> None:
    data = scheduled()
    filled = data.timeline.filled
    for span in report(data, DIGEST).course:
        counts = filled(np.array([span.last]))[0] - filled(np.array([span.first]))[0]
        assert list(span.shares.values()) == (counts / ((span.last or 0) - span.first)).tolist()


def test_the_text_has_a_line_for_each() -> None:
    lines = text(report(scheduled(), DIGEST)).split("Course\n")[1].split("\n\n")[0].splitlines()
    assert [line.split()[0] for line in lines] == ["what", "start", *["ramp"] * 4, "weights", "weights", "code"]
    assert lines[1].split()[1:] == ["0", "75.00", "%", "25.00", "%"]


def test_a_mixture_that_never_changes_has_no_course() -> None:
    assert "Course" not in text(report(plan_data(labels([300, 100], 2), [300, 100]), DIGEST))


def test_the_budget_ends_it() -> None:
    found = report(scheduled(250), DIGEST)
    assert (found.end.kind, found.end.unseen, found.budget) == ("budget", 350, 250)
    assert "ends at position 250, where the budget ends." in text(found)
    assert found.course[-1].first == 180


def test_many_parts_are_cut_to_those_that_change_most() -> None:
    data = plan_data(labels([5 * n for n in range(1, 13)], 2), [1.0] * 12, on_exhaust="redistribute")
    lines = text(report(data, DIGEST)).split("Course\n")[1].splitlines()
    assert lines[0].split()[-1] == "others"
    assert len(lines[0].split("c")) < 12
