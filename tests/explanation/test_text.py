"""The text and the JSON values."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

import mixtera
from mixtera.artifact.digest import digest
from mixtera.artifact.model import PlanData
from mixtera.explanation import Explanation, explain
from mixtera.explanation.build import report
from mixtera.explanation.model import EXPLANATION_VERSION, Overlap
from mixtera.explanation.numbers import bytes_text, count, listed, multiple, percent, weight_text
from mixtera.explanation.table import clipped, table, wrapped
from mixtera.explanation.text import text
from mixtera.plan import Plan
from tests.explanation.plans import in_row_groups, labels, named, repeating, with_facts
from tests.synthetic import plan_data

DIGEST = "sha256:" + "0" * 64
NAMES = ["web", "code/permissive", "code/a-component-with-a-name-that-is-far-longer-than-any-name-should-be"]
SHARED = plan_data(labels([9000, 700, 40], 3), [70, 20, 10])
OVERLAP = (Overlap(NAMES[1], NAMES[2], 17),)


def plan_of(data: PlanData, tmp_path: object) -> Plan:
    from pathlib import Path

    return Plan(data, Path(str(tmp_path)), digest(data))


@pytest.mark.parametrize(
    "data",
    [
        SHARED,
        named(SHARED, NAMES),
        with_facts(named(SHARED, NAMES), filter=" and ".join(f'language != "language-{n}"' for n in range(12))),
        in_row_groups(SHARED, 4),
        repeating(SHARED, 2),
        plan_data(labels([900, 70, 40], 3), [70, 20, 10], on_exhaust="redistribute"),
    ],
    ids=["flat", "long names", "long filter", "row groups", "repeating", "redistributing"],
)
@pytest.mark.parametrize("readers", [None, 5])
def test_no_line_is_wider_than_100(data: PlanData, readers: int | None) -> None:
    lines = text(report(data, DIGEST, readers, OVERLAP)).splitlines()
    assert [line for line in lines if len(line) > 100] == []
    assert [line for line in lines if line != line.rstrip()] == []


def test_text_has_what_matters() -> None:
    found = text(
        report(with_facts(named(SHARED, NAMES), filter="year > 1", dropped=260, rows=10_000), DIGEST, 5, OVERLAP)
    )
    for words in (
        f"Plan synthetic: 404 positions over 9,740 samples\n  {DIGEST}",
        "filter: year > 1",
        "kept by the filter",
        "9,740",
        "97.40 %",
        "permissive",
        "the next sample would be of\n  code/a-component",
        "5 readers, 3 lanes",
        "5 readers, 5 lanes",
        "To change it: write `order: {lanes: 5}`",
    ):
        assert words in found, found


def test_a_plan_without_facts_says_less_and_nothing_wrong() -> None:
    found = report(SHARED, DIGEST)
    assert (found.selection, found.overlap, found.by) == (None, None, ())
    assert all(part.weight is None for part in found.mixture)
    assert "Selection" not in text(found)
    odd = report(replace(SHARED, facts={"sources": "of another form"}), DIGEST)
    assert odd == found


def test_many_components_are_cut_in_the_text_and_whole_in_json(tmp_path: object) -> None:
    data = plan_data(labels([10] * 60, 3), [1] * 60)
    found = explain(plan_of(data, tmp_path))
    assert "… and 20 more; `--format json` has all of them" in str(found)
    assert len(found.to_json()["mixture"]) == 60


def test_json_values_are_those_of_the_text(tmp_path: object) -> None:
    plan = plan_of(with_facts(SHARED), tmp_path)
    found = mixtera.explain(plan, readers=5)
    assert isinstance(found, Explanation)
    values = json.loads(json.dumps(found.to_json()))
    assert values == found.to_json()
    assert values["mixtera_explanation"] == EXPLANATION_VERSION
    summary = {"name": "synthetic", "digest": plan.digest, "positions": 404, "samples": 9740, "lock": None}
    summary |= {"first": 0, "continues": None}
    assert values["plan"] == summary
    assert values["reading"]["many"]["readers"] == 5
    assert [warning["code"] for warning in values["warnings"]] == ["ends-early", "lanes"]
    for part in values["mixture"]:
        assert f"{part['samples']:,}" in str(found)


def test_the_form_of_the_json_is_fixed(tmp_path: object) -> None:
    """Programs rely on these names; a change needs another `mixtera_explanation`."""
    values = explain(plan_of(with_facts(SHARED), tmp_path)).to_json()
    assert {key: sorted(value) if isinstance(value, dict) else None for key, value in values.items()} == {
        "mixtera_explanation": None,
        "plan": ["continues", "digest", "first", "lock", "name", "positions", "samples"],
        "sources": None,
        "selection": ["chosen", "excluded", "filter", "held_out", "kept", "left_over", "rows", "weightless"],
        "by": None,
        "mixture": None,
        "budget": None,
        "batch": None,
        "course": None,
        "progress": ["positions", "tracks"],
        "events": None,
        "end": ["changes", "components", "kind", "unseen"],
        "limit": ["changes", "components", "kind"],
        "waterfall": None,
        "overlap": None,
        "reading": ["bytes", "delivered_bytes", "files", "groups", "largest_group_bytes", "many", "one", "suggested"],
        "cost": None,
        "memory": ["flight_bytes", "order_bytes", "plan_bytes"],
        "order": [
            *("chunk_size", "curricula", "granule", "in_file_order", "lanes", "round_samples", "seed", "shuffle"),
            "window_samples",
        ],
        "warnings": None,
        "bounded": None,
        "tokens": None,
        "steered": None,
    }
    numbers = "weight share samples delivered epochs max_epochs first_epoch_ends unseen"
    names = f"name full_name {numbers} on_exhaust ends_plan parts"
    assert " ".join(values["mixture"][0]) == names


def test_readers_and_batch_must_be_positive(tmp_path: object) -> None:
    with pytest.raises(mixtera.PlanError, match=r"readers is 0; it must be at least 1"):
        explain(plan_of(SHARED, tmp_path), readers=0)
    with pytest.raises(mixtera.PlanError, match=r"batch is -1; it must be at least 1"):
        explain(plan_of(SHARED, tmp_path), batch=-1)
    for readers, machines in ((4, 3), (4, 0), (None, 2)):
        with pytest.raises(mixtera.PlanError, match=r"readers are not spread evenly over \d machines"):
            explain(plan_of(SHARED, tmp_path), readers=readers, machines=machines)


def test_a_batch_names_steps(tmp_path: object) -> None:
    found = str(explain(plan_of(SHARED, tmp_path), batch=16))
    assert found.startswith("Plan synthetic: 404 positions (25 steps of 16) over")
    assert "step of 16" in found
    assert explain(plan_of(SHARED, tmp_path), batch=16).to_json()["batch"] == 16


def test_numbers_for_people() -> None:
    assert [bytes_text(n) for n in (0, 999, 1000, 1234, 99_600, 1_500_000_000, 2e18)] == [
        "0 B", "999 B", "1.0 kB", "1.2 kB", "100 kB", "1.5 GB", "2,000 PB",
    ]  # fmt: skip
    assert [percent(x) for x in (0, 0.5, 0.0012, 0.00012, 1)] == ["0.00 %", "50.00 %", "0.12 %", "0.012 %", "100.00 %"]
    assert [multiple(x) for x in (1, 1.234, 1234.5)] == ["1.00 ×", "1.23 ×", "1,234 ×"]
    assert [weight_text(x) for x in (None, 70.0, 0.125, 12_345_678.0)] == ["", "70", "0.125", "12,345,678"]
    assert count(1234567) == "1,234,567"
    assert [listed("abcdefg"[:n]) for n in (0, 1, 2, 3, 7)] == [
        "",
        "a",
        "a and b",
        "a, b and c",
        "a, b, c, d, e and 2 more",
    ]


def test_tables_align_and_drop_empty_columns() -> None:
    assert table([("a", "b", "c"), ("x", "", "1"), ("yyy", "", "22")]) == ["a     c", "x     1", "yyy  22"]
    assert clipped("abcdefghij", 5) == "ab…ij"
    assert wrapped("word " * 30 + "end", "- ", "  ")[0].startswith("- word")
    assert all(len(line) <= 100 for line in wrapped("word " * 30 + "end", "- ", "  "))
    assert wrapped("x" * 150, "- ", "  ") == ["- " + "x" * 150]
