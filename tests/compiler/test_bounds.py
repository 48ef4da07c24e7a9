"""Floors and ceilings, from the spec to the shares of the plan."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mixtera.explanation import explain
from mixtera.plan import Plan
from tests.compiler.test_over_time import SIZES, delivered, made, refusal


def shares(plan: Plan, phase: int = 0) -> dict[str, float]:
    weights = np.array(plan.data.timeline.phases[phase].weights)
    names = [component.name for component in plan.data.components]
    return dict(zip(names, (weights / weights.sum()).tolist(), strict=True))


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ("{floor: 0.1}", {"en": 0.8 * 700 / 900, "de": 0.8 * 200 / 900, "fr": 0.1, "mt": 0.1}),
        ("{temperature: 1, ceiling: 0.4}", {"en": 0.4, "de": 0.4, "fr": 0.2 * 60 / 69, "mt": 0.2 * 9 / 69}),
        ("{values: {en: 8, de: 1, fr: 1}, ceiling: 0.5}", {"de": 0.25, "en": 0.5, "fr": 0.25}),
        ("{values: {en: 6, rest: 2}, floor: 0.02}", {"en": 0.98 * 6 / (6 + 2 * 260 / 269), "mt": 0.02}),
    ],
)
def test_bounds_of_groups(weights: str, expected: dict[str, float], tmp_path: Path) -> None:
    found = shares(made(tmp_path, f"mixture: {{by: language, weights: {weights}}}\n"))
    assert {name: found[name] for name in expected} == pytest.approx(expected)
    assert sum(found.values()) == pytest.approx(1)


def test_bounds_of_groups_of_weight_0_stay_out(tmp_path: Path) -> None:
    plan = made(tmp_path, "mixture: {by: language, weights: {values: {en: 9, mt: 1}, floor: 0.5}}\n")
    assert shares(plan) == {"en": 0.5, "mt": 0.5}


def test_bounds_that_change_nothing_make_the_same_plan(tmp_path: Path) -> None:
    plain = made(tmp_path, "mixture: {by: language}\n")
    bound = made(tmp_path, "mixture: {by: language, weights: {floor: 0.001, ceiling: 0.9}}\n")
    assert plain.digest == bound.digest
    assert explain(bound).report.bounded == ()
    assert "Bounds" not in str(explain(bound))


NESTED = """
mixture:
  budget: {samples: 400}
  on_exhaust: repeat
  components:
    - {name: english, where: 'language == "en"', weight: 99, ceiling: 0.75}
    - {name: other, weight: 1, by: language, weights: {unimax: {max_epochs: 2}}}
"""


def test_unimax_spreads_the_bounded_part_of_the_budget(tmp_path: Path) -> None:
    assert delivered(made(tmp_path, NESTED)) == {"english": 300, "other/de": 41, "other/fr": 41, "other/mt": 18}


def test_explain_shows_what_was_asked(tmp_path: Path) -> None:
    explanation = explain(made(tmp_path, NESTED))
    assert [(b.name, b.first, b.asked, b.share) for b in explanation.report.bounded] == [
        ("english", 0, 0.99, 0.75),
        ("other", 0, 0.01, 0.25),
    ]
    assert (
        "Bounds (shares among siblings that floors and ceilings change)\n"
        "  component    asked    share\n"
        "  english    99.00 %  75.00 %\n"
        "  other       1.00 %  25.00 %\n"
    ) in str(explanation)
    assert explanation.to_json()["bounded"][0] == {"name": "english", "first": 0, "asked": 0.99, "share": 0.75}


SCHEDULED = """
mixture:
  budget: {samples: 400}
  on_exhaust: repeat
  components:
    - name: western
      where: 'language in ("en", "fr")'
      floor: 0.25
      components:
        - {name: english, where: 'language == "en"', weight: 9}
        - {name: french, weight: 1, floor: 0.5}
    - {name: other, ceiling: 0.6}
  schedule:
    - {at: 0, weights: {western: 1, other: 9}}
    - {at: 100, weights: {western: 1, other: 1}, ramp: linear, until: 300}
"""


def test_every_point_of_a_schedule_keeps_the_bounds(tmp_path: Path) -> None:
    plan = made(tmp_path, SCHEDULED)
    assert delivered(plan, 100) == {"western/english": 20, "western/french": 20, "other": 60}
    ramp = delivered(plan, 300)["other"] - 60
    assert ramp == 110  # from 0.6 to 0.5 over 200 positions
    assert delivered(plan)["other"] == 60 + 110 + 50
    assert [(b.name, b.first, b.asked, b.share) for b in explain(plan).report.bounded] == [
        ("western", 0, 0.1, 0.4),
        ("other", 0, 0.9, 0.6),
        ("western/english", 0, 0.9, 0.5),
        ("western/french", 0, 0.1, 0.5),
    ]


def test_what_a_component_leaves_goes_to_the_others_without_bounds(tmp_path: Path) -> None:
    text = """
mixture:
  on_exhaust: redistribute
  components:
    - {name: english, where: 'language == "en"', weight: 1, ceiling: 0.25}
    - {name: other, weight: 1}
"""
    plan = made(tmp_path, text)
    assert len(plan) == sum(SIZES.values())
    assert [shares(plan, phase) for phase in (0, 1)] == [
        {"english": 0.25, "other": 0.75},
        {"english": 1.0, "other": 0.0},
    ]


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ("{floor: 0.3}", "11:11: by: 4 groups with the floor 0.3 each come to more than 1; it can be 0.25 at most"),
        (
            "{values: {en: 1, de: 1, fr: 1}, ceiling: 0.3}",
            "11:11: by: 3 groups with the ceiling 0.3 each come to less than 1: nobody may have the rest; it must be "
            "0.3334 at least",
        ),
    ],
)
def test_bounds_that_the_groups_cannot_keep(weights: str, message: str, tmp_path: Path) -> None:
    assert refusal(tmp_path, f"mixture: {{by: language, weights: {weights}}}\n").endswith(message)
