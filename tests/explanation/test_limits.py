"""What limits the run, and what would move its end: against plans in which just that is changed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mixtera.artifact.model import PlanData
from mixtera.explanation.build import report
from mixtera.explanation.forecast import Change
from mixtera.explanation.text import text
from mixtera.order.exhaustion import timeline
from tests.explanation.plans import labels, named, repeating, with_facts
from tests.synthetic import plan_data

pytestmark = pytest.mark.usefixtures("short_simulation")
DIGEST = "sha256:" + "0" * 64
COUNTS, WEIGHTS = [900, 100, 400], [50.0, 30.0, 20.0]


def stopping() -> PlanData:
    return with_facts(named(plan_data(labels(COUNTS, 2), WEIGHTS), ["web", "code", "math"]))


def changes(data: PlanData) -> dict[str, Change]:
    return {change.kind: change for change in report(data, DIGEST).limit.changes}


def length_and_unseen(weights: list[float], epochs: list[float], on_exhaust: list[str]) -> tuple[int | None, int]:
    places = [int(count * n) for count, n in zip(COUNTS, epochs, strict=True)]
    found = timeline(weights, places, on_exhaust)
    assert found.total is not None
    import numpy as np

    held = found.filled(np.array([found.total]))[0].tolist()
    return found.total, sum(max(0, count - seats) for count, seats in zip(COUNTS, held, strict=True))


def test_the_limiting_component_and_what_another_epoch_brings() -> None:
    found = report(stopping(), DIGEST)
    assert (found.limit.kind, found.limit.components) == ("component", ("code",))
    more = changes(stopping())["max_epochs"]
    assert (more.component, more.value) == ("code", 2)
    assert (more.positions, more.unseen) == length_and_unseen(WEIGHTS, [1, 2, 1], ["stop"] * 3)
    assert more.positions > found.plan.positions


def test_what_leaving_brings() -> None:
    found = changes(stopping())["redistribute"]
    assert (found.positions, found.unseen) == length_and_unseen(WEIGHTS, [1, 1, 1], ["stop", "redistribute", "stop"])


def test_with_the_smaller_weight_it_lasts_as_long_as_the_others() -> None:
    found = changes(stopping())["weight"]
    assert found.value is not None
    assert 0 < found.value < 0.3
    alone = timeline([50.0, 20.0], [900, 400], ["stop"] * 2).total
    assert found.positions == pytest.approx(alone + 100, abs=3)  # what the others give, and all of its own
    weights = [50.0, 70 * found.value / (1 - found.value), 20.0]
    assert (found.positions, found.unseen) == length_and_unseen(weights, [1, 1, 1], ["stop"] * 3)


def test_the_text_lists_them() -> None:
    lines = text(report(stopping(), DIGEST)).split("What would move the end\n")[1].split("\n\n")[0].splitlines()
    assert [line.split("  ")[1] for line in lines] == [
        "change",
        "`max_epochs: 2` for code",
        f"a share of {100 * (changes(stopping())['weight'].value or 0):.2f} % for code",
        "`on_exhaust: redistribute` for code",
    ]


def test_lengths_that_depend_on_more_than_weights_are_left_open() -> None:
    data = named(stopping(), ["a/web", "a/code", "math"])
    assert changes(data)["redistribute"].positions is None  # what leaves goes to its siblings first
    assert changes(data)["max_epochs"].positions is not None
    scheduled = replace(data, facts=data.facts | {"stretches": [{"first": 0, "last": 9, "ramp": True}] * 2})
    assert all(change.positions is None for change in changes(scheduled).values())
    assert changes(scheduled).keys() == {"max_epochs", "redistribute"}


def test_one_component_has_no_others() -> None:
    found = report(plan_data(labels([100], 1), [1.0], epochs=[1.5]), DIGEST)
    assert (found.limit.kind, found.limit.changes) == ("supply", ())


def test_what_ends_otherwise_is_not_limited_by_a_component() -> None:
    endless = repeating(repeating(plan_data(labels([300, 100], 2), [1, 1]), 0), 1)
    assert report(endless, DIGEST).limit.kind == "none"
    assert report(plan_data(labels([300, 100], 2), [3, 1]), DIGEST).limit.kind == "supply"
    data = stopping()
    budgeted = replace(data, facts=data.facts | {"budget": data.timeline.total})
    assert report(budgeted, DIGEST).limit.kind == "budget"
