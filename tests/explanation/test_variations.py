"""What explanations say of plans that take over from another, splits, exclusions and curricula."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from mixtera.compiler import Stop
from mixtera.explanation import explain
from mixtera.plan import Plan
from tests.compiler.test_continuation import FIRST, made


@pytest.fixture
def plans(tmp_path: Path) -> tuple[Plan, Plan]:
    old = made(tmp_path, FIRST)
    text = FIRST.replace("weight: 5", "weight: 1").replace("name: other,", "name: rest,")
    return old, made(tmp_path, text.replace("redistribute", "stop"), stop=Stop(old, 1000))


def test_positions_are_those_of_the_run(plans: tuple[Plan, Plan]) -> None:
    old, new = plans
    report = explain(new, batch=100).report
    assert report.plan.first == report.course[0].first == report.progress.positions[0] == 1000
    assert report.plan.end == report.progress.positions[-1] == report.events[-1].position == new.end
    assert report.events[-1].step == (new.end or 0) // 100
    assert f"The stream ends at position {new.end:,}" in str(explain(new))
    last = new.samples((new.end or 0) - 1, new.end or 0)["component"][0].as_py()
    parts = {part.full_name: part for part in report.mixture}
    assert last in parts
    delivered = old.samples(0, 1000)["component"].to_pylist().count("books")
    assert parts["books"].unseen == 1800 - delivered - (parts["books"].delivered or 0)


def test_it_says_what_becomes_of_the_components(plans: tuple[Plan, Plan]) -> None:
    old, new = plans
    found = explain(new)
    lines = str(found).splitlines()
    assert lines[0].endswith("positions from position 1,000 on over 4,500 samples")
    assert "Continues made from position 1,000" in lines
    assert f"  {old.digest}" in lines
    assert any(
        line.split() == ["english", "goes", "on", "where", "it", "stood", "(500", "samples", "of", "its", "epoch)"]
        for line in lines
    )
    assert any(line.split()[:2] == ["rest", "new:"] for line in lines)
    assert "  no more: other" in lines
    values = found.to_json()["plan"]
    assert (values["first"], values["continues"]["gone"]) == (1000, ["other"])
    page = found.to_html()
    assert "goes on where it stood" in page
    assert old.digest in page


def test_splits_exclusions_and_curricula_are_counted(tmp_path: Path) -> None:
    whole = made(tmp_path, FIRST)
    path = tmp_path / "gone.parquet"
    pq.write_table(whole.samples(0, 300).select(["sample"]), path)
    text = FIRST.replace("name: books, weight: 2", "name: books, weight: 2, order: {by: score}")
    plan = made(tmp_path, text + f"holdout: {{fraction: 0.3}}\nexclude: {path}\n")
    found = explain(plan)
    selection = found.report.selection
    assert selection is not None
    excluded = set(whole.samples(0, 300)["sample"].to_pylist())
    delivered = set(plan.samples(0, len(plan))["sample"].to_pylist())
    assert selection.held_out + selection.excluded + selection.chosen == selection.kept == 4500
    assert selection.chosen == len(delivered) == found.report.plan.samples == len(plan)
    assert not excluded & delivered
    assert found.report.order.curricula == ("books",)
    assert found.report.waterfall[-1].seen == len(plan)
    text = str(found)
    assert "on the other side of the split" in text
    assert "sorted: books" in text
    assert ["excluded", f"{selection.excluded:,}"] in [line.split()[:2] for line in text.splitlines()]
    assert "on the other side of the split" in found.to_mermaid()
    assert "are excluded." in found.to_html()
