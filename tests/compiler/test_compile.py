"""A spec and a catalog become a plan: which samples, in which component, with which weight."""

from __future__ import annotations

from pathlib import Path

import pytest

from mixtera.compiler import compile
from mixtera.plan import Plan
from tests.compiler.made import catalog_of, content, spec_of

LISTED = """
filter: year >= 2000 or year is None
mixture:
  components:
    - {name: english, where: 'language == "en"', weight: 3}
    - name: code
      where: {dataset: code}
      weight: 6
      components:
        - {name: starred, where: stars >= 4, weight: 1}
        - {name: middle, where: 'stars in (2, 3)', weight: 3}
    - {name: rest, weight: 1}
"""


def made(tmp_path: Path, text: str) -> Plan:
    return compile(spec_of(tmp_path, text), catalog_of(tmp_path))


def test_the_first_match_takes_a_sample_and_null_is_left_over(tmp_path: Path) -> None:
    assert content(made(tmp_path, LISTED)) == {
        "english": [("web", "a.jsonl", 1), ("web", "b.jsonl", 0), ("web", "b.jsonl", 3)],
        "code/starred": [("code", "x.parquet", 4), ("code", "x.parquet", 5)],
        "code/middle": [("code", "x.parquet", 2), ("code", "x.parquet", 3)],
        "rest": [("web", "b.jsonl", 1), ("web", "b.jsonl", 4)],
    }


def test_weights_are_multiplied_down_the_tree(tmp_path: Path) -> None:
    components = made(tmp_path, LISTED).data.components
    assert [(c.name, c.weight) for c in components] == [
        ("english", 3.0),
        ("code/starred", 1.5),
        ("code/middle", 4.5),
        ("rest", 1.0),
    ]


def test_facts_count_what_became_of_every_row(tmp_path: Path) -> None:
    facts = made(tmp_path, LISTED).data.facts
    keys = ("name", "rows", "dropped", "unassigned", "weightless", "selected")
    assert [tuple(source[key] for key in keys) for source in facts["sources"]] == [
        ("web", 6, 1, 0, 0, 5),
        ("code", 6, 0, 2, 0, 4),
    ]
    assert facts["engine"] == "duckdb"
    assert facts["definition"]["filter"] == "year >= 2000 or year is None"


def test_groups_are_named_by_their_values_in_code_point_order(tmp_path: Path) -> None:
    plan = made(tmp_path, "mixture: {by: [clean, year]}\n")
    assert {name: len(samples) for name, samples in content(plan).items()} == {
        "false,null": 1,
        "null,1999": 1,
        "null,2015": 1,
        "null,2020": 1,
        "null,null": 6,
        "true,2001": 1,
        "true,2016": 1,
    }
    assert [c.weight for c in plan.data.components] == [1, 1, 1, 1, 6, 1, 1]


def test_groups_of_the_dataset_need_no_column(tmp_path: Path) -> None:
    plan = made(tmp_path, "mixture: {by: dataset, weights: uniform}\n")
    assert [(c.name, c.samples, c.weight) for c in plan.data.components] == [("code", 6, 1.0), ("web", 6, 1.0)]


def test_groups_inside_a_component_share_its_weight(tmp_path: Path) -> None:
    text = """
mixture:
  components:
    - {name: web, where: {dataset: web}, weight: 3, by: language}
    - {name: code, weight: 1}
"""
    plan = made(tmp_path, text)
    assert [(c.name, c.weight) for c in plan.data.components] == [
        ("web/de", 0.5),
        ("web/en", 1.5),
        ("web/fr", 0.5),
        ("web/null", 0.5),
        ("code", 1.0),
    ]


def test_values_have_their_weights_and_the_others_share_the_rest_by_size(tmp_path: Path) -> None:
    text = "mixture: {by: language, weights: {values: {en: 7, python: 1, rest: 9}}}\n"
    weights = {c.name: c.weight for c in made(tmp_path, text).data.components}
    assert weights == {"de": 3.0, "en": 7.0, "fr": 3.0, "null": 3.0, "python": 1.0}


def test_values_that_are_not_named_are_left_out_where_there_is_no_rest(tmp_path: Path) -> None:
    plan = made(tmp_path, "mixture: {by: language, weights: {values: {en: 7, python: 1}}}\n")
    assert [c.name for c in plan.data.components] == ["en", "python"]
    assert plan.data.facts["left_out"] == [
        {"name": "de", "samples": 1},
        {"name": "fr", "samples": 1},
        {"name": "null", "samples": 1},
    ]


def test_a_component_of_weight_0_takes_its_samples_and_delivers_none(tmp_path: Path) -> None:
    text = """
mixture:
  components:
    - {name: english, where: 'language == "en"', weight: 0}
    - {name: web, where: {dataset: web}, weight: 1}
"""
    plan = made(tmp_path, text)
    assert content(plan) == {"web": [("web", "a.jsonl", 0), ("web", "b.jsonl", 1), ("web", "b.jsonl", 4)]}
    assert plan.data.facts["left_out"] == [{"name": "english", "samples": 3}]


@pytest.mark.parametrize(
    ("policy", "places"),
    [
        ("on_exhaust: stop", 6),
        ("on_exhaust: redistribute", 6),
        ("on_exhaust: repeat", None),
        ("on_exhaust: repeat, max_epochs: 2.5", 15),
        ("on_exhaust: stop, max_epochs: 0.5", 3),
    ],
)
def test_places_are_samples_times_epochs(tmp_path: Path, policy: str, places: int | None) -> None:
    text = f"""
mixture:
  components:
    - {{name: code, where: {{dataset: code}}, weight: 1, {policy}}}
    - {{name: rest, weight: 1}}
"""
    assert made(tmp_path, text).data.components[0].places == places


def test_epochs_are_exact_in_decimals(tmp_path: Path) -> None:
    from mixtera.compiler.components import Member
    from mixtera.compiler.leaves import Leaf
    from mixtera.spec.model import Place

    leaf = Leaf(0, ("a",), None, "repeat", "stop", 0.57, Place("spec.yaml", 1, 1))
    assert Member(leaf, "a", 0, 100, 1.0, True).places == 57  # 0.57 * 100 is 56.99999999999999


def test_epochs_and_policy_are_inherited(tmp_path: Path) -> None:
    text = """
mixture:
  components:
    - name: code
      weight: 1
      where: {dataset: code}
      on_exhaust: repeat
      max_epochs: 3
      components:
        - {name: starred, where: stars >= 4, weight: 1}
        - {name: other, max_epochs: 1, on_exhaust: redistribute, weight: 1}
    - {name: rest, weight: 1}
  on_exhaust: error
"""
    components = made(tmp_path, text).data.components
    assert [(c.places, c.on_exhaust) for c in components] == [(6, "error"), (4, "redistribute"), (6, "error")]


def test_a_capped_repeat_ends_as_the_mixture_around_it_says(tmp_path: Path) -> None:
    text = """
mixture:
  components:
    - {name: code, where: {dataset: code}, weight: 1, on_exhaust: repeat, max_epochs: 2}
    - {name: english, where: language == "en", weight: 1, on_exhaust: repeat}
    - {name: rest, weight: 1}
  on_exhaust: redistribute
"""
    components = made(tmp_path, text).data.components
    assert [(c.places, c.on_exhaust) for c in components] == [
        (12, "redistribute"),
        (None, "repeat"),
        (3, "redistribute"),
    ]


def test_a_capped_repeat_stops_where_nothing_else_is_said(tmp_path: Path) -> None:
    plan = made(tmp_path, "mixture: {by: dataset, on_exhaust: repeat, max_epochs: 2}\n")
    assert [(c.places, c.on_exhaust) for c in plan.data.components] == [(12, "stop"), (12, "stop")]
    assert len(plan) == 24


def test_segments_do_not_cross_row_groups(tmp_path: Path) -> None:
    segments = made(tmp_path, "mixture: {by: dataset}\n").data.segments
    found = segments.select(["file", "row", "rows", "group"]).to_pylist()
    assert [tuple(row.values()) for row in found] == [(0, 0, 2, 0), (1, 0, 5, 1), (2, 0, 4, 2), (2, 4, 2, 3)]


def test_a_plan_outlives_a_save(tmp_path: Path) -> None:
    plan = made(tmp_path, LISTED)
    plan.save(str(tmp_path / "plan"))
    opened = Plan.open(str(tmp_path / "plan"))
    assert opened.digest == plan.digest
    assert content(opened) == content(plan)
    assert opened.samples(0, 5).equals(plan.samples(0, 5))


def test_a_temporary_plan_leaves_nothing_behind(tmp_path: Path) -> None:
    plan = made(tmp_path, LISTED)
    directory = plan.path
    assert directory.exists()
    del plan
    assert not directory.exists()
