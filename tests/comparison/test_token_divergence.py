"""From which position on two plans of tokens differ: the same as looking at all parts of every sequence."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from mixtera.artifact.digest import digest
from mixtera.artifact.model import PlanData
from mixtera.comparison import divergence as module
from mixtera.comparison.divergence import divergence
from mixtera.comparison.files import all_files
from mixtera.comparison.model import Divergence
from mixtera.plan import Plan
from tests.compiler.token_plans import FIRST, SHIFTED, TOKENS, Row, counted_samples, made, rows_of

SPECS = (
    (FIRST, TOKENS),
    (FIRST, TOKENS.replace("24", "25")),
    (FIRST, TOKENS.replace("label_shift", "overlap: 2, label_shift")),
    (FIRST.replace("weight: 2", "weight: 3"), TOKENS),
    (FIRST.replace("lanes: 3", "lanes: 2"), TOKENS),
    (FIRST, SHIFTED),
)


@pytest.fixture(scope="module")
def plans(tmp_path_factory: pytest.TempPathFactory) -> list[Plan]:
    return [made(tmp_path_factory.mktemp("plans"), text, tokens=tokens) for text, tokens in SPECS]


def found(before: Plan, after: Plan, changed: tuple[str, ...] = ()) -> Divergence:
    files = all_files(before.data, after.data, [("web", name) for name in changed])
    return divergence(before, after, files)


def looked_at(before: Plan, after: Plan) -> int | None:
    one, other = rows_of(before), rows_of(after)
    shared = min(len(one), len(other))
    differs = [position for position in range(shared) if one[position] != other[position]]
    return differs[0] if differs else None if len(one) == len(other) else shared


def recounted(plan: Plan, document: int, more: int) -> Plan:
    """The same plan, one of whose documents has more tokens."""
    layout = plan.data.tokens
    assert layout is not None
    counts, sums = layout.counts.copy(), layout.entry_counts.copy()
    counts[document] += more
    edges = np.cumsum(plan.data.entries.column("count").to_numpy())
    sums[np.searchsorted(edges, document, side="right")] += more
    return written(replace(plan.data, tokens=replace(layout, counts=counts, entry_counts=sums)))


def written(data: PlanData) -> Plan:
    return Plan(data, Path("nowhere"), digest(data))


SOME = settings(max_examples=25, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))


@SOME
@given(data=st.data())
def test_the_first_difference_is_that_of_all_parts(plans: list[Plan], data: st.DataObject) -> None:
    before = data.draw(st.sampled_from(plans))
    after = data.draw(st.sampled_from(plans))
    if data.draw(st.booleans()):
        assert before.data.tokens is not None
        after = recounted(before, data.draw(st.integers(0, len(before.data.tokens.counts) - 1)), 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "FIRST_BLOCK", data.draw(st.sampled_from([1, 50, 4096])))
        result = found(before, after)
    expected = looked_at(before, after)
    if rows_are_alike(before, after):
        assert result.position == expected
    else:
        assert result.position == 0  # other rows, or other ids around documents, from the first on
    assert result.complete


def rows_are_alike(before: Plan, after: Plan) -> bool:
    assert before.data.tokens is not None
    assert after.data.tokens is not None
    one, other = before.data.tokens.parameters, after.data.tokens.parameters
    return (one.row_tokens, one.bos) == (other.row_tokens, other.bos)


def test_only_the_cut_differs(plans: list[Plan]) -> None:
    """The first sequence of a component begins with the same document on both sides, and so does the second."""
    before = plans[0]
    row: Row = next(row for row in rows_of(before) if len(row) > 2)
    sample = row[1][0]  # in the middle: neither the first document nor the first token changes
    number = next(
        n
        for n, (_, held, count) in enumerate(counted_samples(before.data))
        if held == sample and count == row[1][2] - row[1][1]
    )
    after = recounted(before, number, 1)
    result = found(before, after)
    assert result.position == looked_at(before, after)
    assert result.before is not None
    assert result.after is not None
    assert result.before.sample == result.after.sample
    assert result.before.first_token == result.after.first_token


def test_a_changed_file_is_named_wherever_it_stands_in_a_sequence(plans: list[Plan]) -> None:
    before = plans[0]
    name = "part-1.jsonl"
    table = before.samples(0, len(before)).to_pylist()
    first = min(part["position"] for part in table if (part["source"], part["file"]) == ("web", name))
    assert found(before, before, (name,)).changed_file == first
