"""Samples kept, moved, gained and lost: the same as looking at every sample of both plans."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixtera.artifact.model import PlanData
from mixtera.comparison import samples as module
from mixtera.comparison.files import all_files
from mixtera.comparison.model import Flow, Samples
from mixtera.comparison.samples import samples
from tests.comparison.made import chosen, labels_of, random_plan, renamed
from tests.synthetic import plan_data

plans = st.builds(
    random_plan,
    st.integers(0, 5),
    st.integers(1, 5),
    st.lists(st.floats(0.5, 4), min_size=1, max_size=4),
    segment_rows=st.sampled_from([4, 16, 100]),
)


def found(before: PlanData, after: PlanData) -> Samples:
    return samples(before, after, all_files(before, after, ()))


def looked_at(before: PlanData, after: PlanData) -> dict[str, list[int]]:
    old, new = chosen(before), chosen(after)
    names = dict.fromkeys(component.name for data in (before, after) for component in data.components)
    counts = {name: [0, 0, 0, 0, 0] for name in names}
    for sample in old.keys() | new.keys():
        one, other = old.get(sample), new.get(sample)
        if one is None:
            counts[new[sample]][1] += 1
        elif other is None:
            counts[one][2] += 1
        elif one == other:
            counts[one][0] += 1
        else:
            counts[other][3] += 1
            counts[one][4] += 1
    return counts


def as_counts(flows: tuple[Flow, ...]) -> dict[str, list[int]]:
    return {f.name: [f.kept, f.gained, f.lost, f.moved_in, f.moved_out] for f in flows}


@given(before=plans, after=plans, block=st.sampled_from([8, 50, 1 << 21]), table=st.booleans())
def test_flows_are_those_of_looking_at_every_sample(before: PlanData, after: PlanData, block: int, table: bool) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK_ROWS", block)
        patch.setattr(module, "_FEW_PAIRS", 1 << 22 if table else 0)
        result = found(before, after)
    assert as_counts(result.flows) == looked_at(before, after)
    old, new = chosen(before), chosen(after)
    assert result.gained == len(new.keys() - old.keys())
    assert result.lost == len(old.keys() - new.keys())
    assert result.kept + result.moved == len(old.keys() & new.keys())
    assert result.renamed == ()


@given(before=plans, after=plans)
def test_what_one_way_gains_the_other_way_loses(before: PlanData, after: PlanData) -> None:
    there, back = found(before, after), found(after, before)
    turned = {f.name: Flow(f.name, f.kept, f.lost, f.gained, f.moved_out, f.moved_in) for f in back.flows}
    assert {flow.name: flow for flow in there.flows} == turned


def test_segments_longer_than_a_block_and_at_its_edges(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = labels_of(3, 3, 2)
    before, after = (plan_data(labels, [1, 1], segment_rows=rows) for rows in (1000, 5))
    monkeypatch.setattr(module, "BLOCK_ROWS", 7)
    result = found(before, after)
    assert (result.gained, result.lost, result.moved) == (0, 0, 0)
    assert result.kept == len(before.rows) == len(after.rows)


def test_a_component_with_the_very_same_samples_was_renamed() -> None:
    labels = labels_of(3, 3, 3)
    before = plan_data(labels, [1, 1, 1])
    after = renamed(before, ["c0", "new", "c2"])
    assert found(before, after).renamed == (("c1", "new"),)
    assert [(flow.name, flow.moved_in) for flow in found(before, after).flows] == [("c0", 0), ("new", 0), ("c2", 0)]
    labels[1][np.flatnonzero(labels[1] == 1)[-1]] = 0
    other = renamed(plan_data(labels, [1, 1, 1]), ["c0", "new", "c2"])
    result = found(before, other)
    assert result.renamed == ()
    assert {flow.name for flow in result.flows} == {"c0", "c1", "c2", "new"}


def test_exchanged_names_are_moves_and_no_renaming() -> None:
    before = plan_data(labels_of(3, 3, 2), [1, 1])
    result = found(before, renamed(before, ["c1", "c0"]))
    assert result.renamed == ()
    assert (result.kept, result.moved) == (0, len(before.rows))


def test_samples_of_changed_files_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    before = random_plan(1, 4, [1, 2])
    after = random_plan(2, 4, [1, 2])
    both = chosen(before).keys() & chosen(after).keys()
    monkeypatch.setattr(module, "BLOCK_ROWS", 50)
    files = all_files(before, after, {("data", "part-1.jsonl"), ("data", "part-3.jsonl"), ("data", "elsewhere")})
    expected = sum(file in ("part-1.jsonl", "part-3.jsonl") for file, _ in both)
    assert samples(before, after, files).in_changed_files == expected > 0


def test_a_source_of_another_name_has_other_samples() -> None:
    before = random_plan(1, 2, [1, 2])
    after = replace(before, sources=(replace(before.sources[0], name="other"),))
    result = found(before, after)
    assert (result.kept, result.gained, result.lost) == (0, len(after.rows), len(before.rows))
