"""Weights over sizes, over time and over a budget: from the spec to the timeline."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixtera.compiler import compile
from mixtera.compiler.weights import tempered, unimax
from mixtera.errors import SpecError
from mixtera.plan import Plan
from mixtera.testing.catalog import MadeFile, MadeSource
from tests.compiler.made import catalog_of, spec_of

SIZES = {"en": 700, "de": 200, "fr": 60, "mt": 9}
WEB = MadeSource(
    "web",
    {"language": "string", "year": "int64"},
    [MadeFile("a.jsonl", 3, [{"language": name, "year": n % 2} for name, size in SIZES.items() for n in range(size)])],
)


def made(tmp_path: Path, text: str, sources: Sequence[MadeSource] = (WEB,)) -> Plan:
    return compile(spec_of(tmp_path, text, sources), catalog_of(tmp_path, sources))


def delivered(plan: Plan, stop: int | None = None) -> dict[str, int]:
    filled = plan.data.timeline.filled(np.array([len(plan) if stop is None else stop]))[0].tolist()
    return dict(zip((component.name for component in plan.data.components), filled, strict=True))


def refusal(tmp_path: Path, text: str) -> str:
    with pytest.raises(SpecError) as caught:
        made(tmp_path, text)
    return str(caught.value)


TWO = """
mixture:
  components:
    - {name: english, where: 'language == "en"'}
    - {name: other}
"""


def test_temperature_lies_between_natural_and_uniform(tmp_path: Path) -> None:
    plan = made(tmp_path, "mixture: {by: language, weights: {temperature: 2}}\n")
    weights = {component.name: component.weight for component in plan.data.components}
    assert weights == {name: pytest.approx(math.sqrt(size)) for name, size in SIZES.items()}


@given(st.integers(1, 10**12))
def test_temperature_1_is_natural_and_a_large_one_uniform(size: int) -> None:
    assert tempered(size, 1.0) == size
    assert tempered(size, 1e9) == pytest.approx(1, abs=1e-7)
    assert tempered(size, 2.0) == pytest.approx(math.sqrt(size), rel=1e-15)


def test_unimax_gives_small_groups_their_epochs_and_the_others_equal_shares(tmp_path: Path) -> None:
    text = "mixture: {by: language, weights: {unimax: {max_epochs: 3}}, budget: {samples: 600}}\n"
    plan = made(tmp_path, text)
    assert len(plan) == 600
    # mt: 3 × 9; fr: 573 / 3 = 191, at most 3 × 60; then 393 for two
    assert delivered(plan) == {"mt": 27, "fr": 180, "de": 196, "en": 197}
    assert {component.name: component.places for component in plan.data.components}["mt"] == 27


@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=30), st.floats(0.1, 9), st.integers(1, 10**7))
def test_unimax_is_as_even_as_the_epochs_allow(sizes: list[int], epochs: float, budget: int) -> None:
    given_ = unimax(sizes, epochs, budget)
    most = [math.floor(size * Fraction(repr(epochs))) for size in sizes]  # in decimals, as written
    assert all(n <= limit for n, limit in zip(given_, most, strict=True))
    assert sum(given_) == min(budget, sum(given_) if given_ == most else budget)
    free = [n for n, limit in zip(given_, most, strict=True) if n < limit]
    capped = [n for n, limit in zip(given_, most, strict=True) if n == limit]
    assert not free or max(free) - min(free) <= 1
    assert not free or not capped or max(capped) <= max(free) + 1


def test_unimax_inside_a_component_spreads_its_part_of_the_budget(tmp_path: Path) -> None:
    text = """
mixture:
  budget: {steps: 10, batch: 40}
  components:
    - {name: english, where: 'language == "en"', weight: 3}
    - {name: other, weight: 1, by: language, weights: {unimax: {max_epochs: 2}}}
"""
    assert delivered(made(tmp_path, text)) == {"english": 300, "other/de": 41, "other/fr": 41, "other/mt": 18}


def test_a_schedule_may_use_steps_and_parts_of_the_budget(tmp_path: Path) -> None:
    text = (
        TWO
        + """
  budget: {steps: 50, batch: 8}
  schedule:
    - {at: 0, weights: {english: 1, other: 0}}
    - {step: 10, weights: {english: 1, other: 1}}
    - {at: 50%, weights: {english: 0, other: 1}, ramp: linear, until: 75%}
"""
    )
    plan = made(tmp_path, text)
    assert len(plan) == 400
    assert delivered(plan, 80) == {"english": 80, "other": 0}
    assert delivered(plan, 200) == {"english": 140, "other": 60}
    assert delivered(plan, 300) == {"english": 165, "other": 135}
    assert delivered(plan) == {"english": 165, "other": 235}


def test_the_weights_of_the_components_hold_before_the_schedule(tmp_path: Path) -> None:
    text = TWO.replace("}\n", ", weight: 1}\n") + "  schedule: [{at: 100, weights: {english: 0, other: 5}}]\n"
    plan = made(tmp_path, text)
    assert delivered(plan, 100) == {"english": 50, "other": 50}
    assert delivered(plan, 150) == {"english": 50, "other": 100}


def test_a_component_of_weight_0_at_first_is_chosen_and_one_of_weight_0_always_is_not(tmp_path: Path) -> None:
    text = """
mixture:
  components:
    - {name: english, where: 'language == "en"'}
    - {name: german, where: 'language == "de"'}
    - {name: other}
  schedule:
    - {at: 0, weights: {english: 1, german: 0, other: 0}}
    - {at: 50, weights: {english: 1, german: 1, other: 0}}
"""
    plan = made(tmp_path, text)
    assert [component.name for component in plan.data.components] == ["english", "german"]
    assert plan.data.facts["left_out"] == [{"name": "other", "samples": 69}]


def test_a_schedule_inside_a_component(tmp_path: Path) -> None:
    text = """
mixture:
  components:
    - {name: english, where: 'language == "en"', weight: 1}
    - name: other
      weight: 1
      components:
        - {name: german, where: 'language == "de"'}
        - {name: small}
      schedule:
        - {at: 0, weights: {german: 1, small: 0}}
        - {at: 40, weights: {german: 0, small: 1}}
"""
    plan = made(tmp_path, text)
    assert delivered(plan, 40) == {"english": 20, "other/german": 20, "other/small": 0}
    assert delivered(plan, 80) == {"english": 40, "other/german": 20, "other/small": 20}


def test_what_runs_out_leaves_its_share_to_its_siblings_and_then_to_the_parent_s(tmp_path: Path) -> None:
    text = """
mixture:
  components:
    - {name: english, where: 'language == "en"', weight: 1}
    - name: other
      weight: 1
      components:
        - {name: small, where: 'language == "mt"', weight: 1}
        - {name: rest, weight: 1}
  on_exhaust: redistribute
"""
    plan = made(tmp_path, text)
    assert len(plan) == sum(SIZES.values())
    assert [phase.weights for phase in plan.data.timeline.phases] == [(1, 0.5, 0.5), (1, 0, 1), (1, 0, 0)]


def test_a_component_whose_parts_are_all_out_ends_as_it_says_itself(tmp_path: Path) -> None:
    text = """
mixture:
  components:
    - {name: english, where: 'language == "en"', weight: 1}
    - name: other
      weight: 1
      components:
        - {name: small, where: 'language == "mt"', weight: 1, on_exhaust: redistribute}
        - {name: rest, weight: 1, on_exhaust: redistribute}
  on_exhaust: stop
"""
    assert delivered(made(tmp_path, text)) == {"english": 271, "other/small": 9, "other/rest": 260}


def test_a_budget_ends_the_plan(tmp_path: Path) -> None:
    assert len(made(tmp_path, "mixture: {by: language, on_exhaust: repeat, budget: {samples: 5000}}\n")) == 5000
    assert len(made(tmp_path, "mixture: {by: language, budget: {samples: 969}}\n")) == 969
    assert len(made(tmp_path, "mixture: {by: language, on_exhaust: redistribute, budget: {samples: 9999}}\n")) == 969


@pytest.mark.parametrize("policy", ["stop", "error"])
def test_a_budget_that_cannot_be_had_is_refused(policy: str, tmp_path: Path) -> None:
    text = f"mixture: {{by: language, weights: uniform, on_exhaust: {policy}, budget: {{steps: 10, batch: 32}}}}\n"
    assert refusal(tmp_path, text).endswith(
        "budget: 320 samples cannot be had: they ask for 80 of 'mt', which may give 9 (1 × its 9), so the stream "
        "would end after 39 (1 whole step); fr would be short as well. Lower the budget to that, or give 'mt' "
        "`max_epochs: 8.889`, a smaller weight, or `on_exhaust: redistribute`"
    )


def test_the_change_that_is_named_helps(tmp_path: Path) -> None:
    text = "mixture: {by: language, weights: uniform, max_epochs: 8.889, budget: {steps: 10, batch: 32}}\n"
    assert len(made(tmp_path, text)) == 320


def test_error_without_a_budget_is_stop(tmp_path: Path) -> None:
    assert len(made(tmp_path, "mixture: {by: language, weights: uniform, on_exhaust: error}\n")) == 39


def test_the_digest_covers_the_schedule(tmp_path: Path) -> None:
    text = TWO + "  schedule: [{at: 0, weights: {english: 1, other: 1}}, {at: 100, weights: {english: 1, other: 2}}]\n"
    first, second, third = (made(tmp_path, t) for t in (text, text, text.replace("at: 100", "at: 101")))
    assert first.digest == second.digest != third.digest
