"""Everything that a comparison says, and its text."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixtera.artifact.model import Beginning
from mixtera.comparison import Comparison, compare, side_of_lock
from mixtera.comparison.model import Report
from mixtera.lockfile import Lock
from mixtera.order.timeline import Phase, Timeline
from tests.comparison.made import ORDER, labels_of, plan_of, random_plan, renamed, side_of, with_column
from tests.comparison.test_samples import plans
from tests.lockfile.made import bodies
from tests.synthetic import plan_data

BASE = random_plan(1, 3, [1, 1, 2])


def compared(before: object, after: object, **more: Any) -> Comparison:
    return compare(side_of(before, "a"), side_of(after, "b"), **more)  # type: ignore[arg-type]


def test_nothing_changes() -> None:
    found = compared(BASE, BASE)
    assert found.report.same
    assert (
        str(found)
        == f"plan a → plan b\n  nothing changes: both have the same files and plan\n  {plan_of(BASE).digest}\n"
    )


def test_order_parameters_weights_and_the_end() -> None:
    order = replace(ORDER, seed=8, lanes=2, shuffle="none")
    found = compared(BASE, random_plan(1, 3, [1, 2, 2], order))
    settings = {one.name: (one.before, one.after) for one in found.report.settings}
    assert settings["seed"] == (7, 8)
    assert settings["lanes"] == (3, 2)
    assert settings["shuffle"] == ("global", "none")
    assert settings["positions"] == (found.report.before.positions, found.report.after.positions)
    shares = {
        part.name: (part.before.share, part.after.share) for part in found.report.parts if part.before and part.after
    }
    assert shares == {"c0": (0.25, 0.2), "c1": (0.25, 0.4), "c2": (0.5, 0.4)}
    ends = found.report.end
    assert ends.before is not None
    assert ends.before.kind == "exhausted"
    assert ends.before.first_exhausted in ends.before.components
    assert ends.before.exhausted_at is not None
    assert ends.before.exhausted_at <= (ends.before.positions or 0)
    lines = str(found).splitlines()
    assert ["seed", "7", "8"] in [line.split() for line in lines]
    assert any(line.startswith("    c1 ") and "25.00 % → 40.00 %" in line for line in lines)
    assert "From which step" in lines


def test_components_come_go_and_are_renamed_in_a_tree() -> None:
    before = renamed(BASE, ["web/old", "web/new", "code"])
    after = renamed(BASE, ["web/old", "web/fresh", "code"])
    found = compared(before, after)
    names = [part.name for part in found.report.parts]
    assert names == ["web", "web/old", "web/fresh", "code"]
    assert found.report.parts[2].before == found.report.parts[2].after
    assert found.report.samples is not None
    assert found.report.samples.renamed == (("web/new", "web/fresh"),)
    assert "Samples" not in str(found), "none is gained, lost or moved"
    assert found.report.divergence is not None
    assert found.report.divergence.position is None
    assert "The same samples in the same order up to the end" in str(found)
    fewer = random_plan(2, 3, [1, 1])
    gone = compared(BASE, fewer).report.parts
    assert [(part.name, part.after is None) for part in gone] == [("c0", False), ("c1", False), ("c2", True)]
    assert any(line.startswith("  - c2 ") for line in str(compared(BASE, fewer)).splitlines())
    assert any(line.startswith("  + c2 ") for line in str(compared(fewer, BASE)).splitlines())


def test_groups_sum_their_components() -> None:
    data = renamed(BASE, ["web/old", "web/new", "code"])
    parts = {part.name: part.before for part in compared(data, data).report.parts}
    web, old, new = parts["web"], parts["web/old"], parts["web/new"]
    assert web is not None
    assert old is not None
    assert new is not None
    assert web.share == old.share + new.share == 0.5
    assert web.samples == old.samples + new.samples
    assert web.delivered == (old.delivered or 0) + (new.delivered or 0)


def test_files_that_changed_under_the_same_plan() -> None:
    sizes = BASE.files.column("size").to_pylist()
    touched = with_column(BASE, "size", [sizes[0] + 1, *sizes[1:]])
    found = compared(BASE, touched)
    assert not found.report.same
    assert found.report.before.plan == found.report.after.plan
    assert [(s.name, [f.name for f in s.files]) for s in found.report.sources] == [("data", ["part-0.jsonl"])]
    assert found.report.samples is not None
    assert found.report.samples.in_changed_files > 0
    assert "  the plan is the same, over files that are not" in str(found).splitlines()
    assert "of those in both lie in files that changed" in " ".join(str(found).split())
    assert "is the first with a sample of a file that changed" in str(found)


def test_weights_over_time_are_set_side_by_side() -> None:
    first = BASE.timeline.phases[0]
    base = tuple(BASE.timeline.filled(np.array([60]))[0].tolist())
    later = replace(BASE, timeline=Timeline((first, Phase(60, (4.0, 1.0, 1.0), base)), 100))
    later = replace(
        later,
        facts={"stretches": [{"first": 0, "last": 60, "ramp": False}, {"first": 60, "last": None, "ramp": False}]},
    )
    found = compared(BASE, later)
    assert found.report.stages is not None
    assert [stage.first for stage in found.report.stages] == [0, 60]
    assert found.report.stages[1].after is not None
    assert found.report.stages[1].after["c0"] == pytest.approx(4 / 6, abs=0.05)
    assert "Course (shares before → after)" in str(found)
    assert compared(BASE, random_plan(2, 3, [1, 2, 3])).report.stages == ()


def test_a_lock_knows_counts_and_no_samples() -> None:
    lock = side_of_lock("x.lock", Lock.of(BASE, plan_of(BASE).digest))
    same = compare(lock, side_of(BASE))
    assert same.report.same
    assert len(str(same).splitlines()) == 3
    found = compare(lock, side_of(random_plan(2, 4, [1, 2, 3])))
    assert (found.report.samples, found.report.stages, found.report.divergence) == (None, None, None)
    assert "gained and lost a lock does not know" in str(found)
    assert [part.name for part in found.report.parts] == ["c0", "c1", "c2"]
    assert "  source data: 1 added" in str(found).splitlines()


@given(before=plans, after=plans, batch=st.none() | st.integers(1, 64))
def test_the_text_can_be_written_and_the_json_read_back(before: object, after: object, batch: int | None) -> None:
    found = compared(before, after, batch=batch)
    assert msgspec.convert(found.to_json(), Report) == found.report
    assert all(len(line) <= 100 for line in str(found).splitlines())


@given(bodies, bodies)
def test_any_two_locks_can_be_compared(one: Any, other: Any) -> None:
    there, back = (
        compare(side_of_lock("x", Lock(a)), side_of_lock("y", Lock(b))) for a, b in ((one, other), (other, one))
    )
    assert there.report.same is back.report.same
    assert {p.name: (p.before, p.after) for p in there.report.parts} == {
        p.name: (p.after, p.before) for p in back.report.parts
    }
    assert str(there)


def test_a_budget_and_another_first_position_are_settings() -> None:
    weights = BASE.timeline.phases[0].weights
    timeline = Timeline((Phase(0, weights, (0,) * len(weights)),), 8)
    later = replace(BASE, timeline=timeline, begins=Beginning(192, "sha256:beef", "before"), facts={"budget": 8})
    settings = {one.name: (one.before, one.after) for one in compared(BASE, later).report.settings}
    assert settings["budget"] == (None, 200)
    assert settings["first position"] == (0, 192)
    assert ["budget", "none", "200"] in [line.split() for line in str(compared(BASE, later)).splitlines()]


def test_many_components_are_cut_in_the_text_only() -> None:
    labels = labels_of(1, 3, 60)
    before, after = (plan_data(labels, [1.0] * 59 + [last]) for last in (1.0, 2.0))
    found = compared(before, after)
    assert len(found.report.parts) == 60
    assert "… and 20 more; `--format json` has all of them" in str(found)
