"""The laws over random mixture trees: nested components, groups, bounds, schedules, policies and budgets at once."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import mixtera
from mixtera.spec.model import Spec
from mixtera.testing.mixture import assert_follows
from mixtera.testing.order import assert_any_topology, assert_delivered_as_planned, assert_resumable
from mixtera.testing.reference import leaf_of
from mixtera.testing.trees import mixture_sections

CELLS = {cell: 5 + 37 * cell * cell % 113 for cell in range(12)}
SAMPLES = sum(CELLS.values())
ENDLESS = 1500
"""Positions that are looked at where there is no end."""


class Corpus:
    """Files whose records have a cell, indexed once."""

    def __init__(self, root: Path) -> None:
        self.root = root
        cells = [cell for cell, size in CELLS.items() for _ in range(size)]
        order = np.random.default_rng(5).permutation(len(cells)).tolist()
        for part in range(3):
            lines = [json.dumps({"text": f"{i}", "cell": cells[i]}) for i in order[part::3]]
            (root / f"part-{part}.jsonl").write_text("\n".join(lines) + "\n")
        self.catalog = mixtera.Catalog.open(str(root / "catalog"))
        self.catalog.index(self.spec({"by": "cell"}), workers=1)

    def spec(self, mixture: Mapping[str, Any], **order: int) -> Spec:
        """The spec of a mixture, written to a file and read again, as users write it."""
        source = {"path": f"{self.root}/*.jsonl", "content": "text", "properties": {"cell": "cell"}}
        text = {"version": 1, "sources": {"data": source}, "mixture": mixture, "order": {"seed": 3, **order}}
        path = self.root / "spec.yaml"
        path.write_text(json.dumps(text, indent=1))
        return mixtera.load(str(path))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return Corpus(tmp_path_factory.mktemp("random"))


MIXTURES = mixture_sections("cell", sorted(CELLS), SAMPLES)
SHAPES = st.tuples(st.integers(1, 20), st.integers(1, 5), st.sampled_from([1, 2, 4]))
TOPOLOGIES = st.tuples(st.integers(1, 4), st.integers(1, 40))
EXAMPLES = 30 if settings().max_examples <= 100 else settings().max_examples  # more with `make soak`
UNLUCKY = ("unimax: ", "groups with the ceiling")
"""Refusals of what cannot be known before the sizes are."""


def compiled(corpus: Corpus, mixture: dict[str, Any], shape: tuple[int, int, int]) -> tuple[Spec, mixtera.Plan]:
    """The plan of a mixture; where its budget cannot be had, that of the budget that the refusal names."""
    order = {"chunk_size": shape[0] * shape[2], "lanes": shape[1], "granule": shape[2]}
    spec = corpus.spec(mixture, **order)
    try:
        return spec, mixtera.compile(spec, corpus.catalog)
    except mixtera.SpecError as error:
        refused = str(error)
    allowed = re.search(r"so the stream would end after ([\d,]+)", refused)
    assume(not any(words in refused for words in UNLUCKY))
    assert allowed, refused
    assume("unimax" not in refused + json.dumps(mixture) and "%" not in json.dumps(mixture))
    fewer = int(allowed[1].replace(",", ""))
    assume(fewer)
    spec = corpus.spec(mixture | {"budget": {"samples": fewer}}, **order)
    plan = mixtera.compile(spec, corpus.catalog)
    assert len(plan) == fewer, "the budget that the refusal allows is another"
    return spec, plan


def sizes_of(spec: Spec) -> dict[str, int]:
    """Samples of every component that takes some, by the plain meaning of the spec."""
    found: dict[str, int] = {}
    for cell, size in CELLS.items():
        path = leaf_of(spec.mixture.parts, {"cell": cell, "dataset": "data"})
        if path is not None:
            found["/".join(path)] = found.get("/".join(path), 0) + size
    return dict(sorted(found.items()))


@given(MIXTURES, SHAPES, st.data())
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_law_holds(
    corpus: Corpus, mixture: dict[str, Any], shape: tuple[int, int, int], data: st.DataObject
) -> None:
    spec, plan = compiled(corpus, mixture, shape)
    sizes = sizes_of(spec)
    components = plan.data.components
    assert {component.name: component.samples for component in components}.items() <= sizes.items()
    end = plan.data.timeline.total
    stop = ENDLESS if end is None else end
    assert end is None or spec.mixture.budget is None or end <= spec.mixture.budget.samples
    assert_follows(plan, spec.mixture, sizes, stop)  # law 3
    found = plan.samples(0, stop)
    if end is not None:
        assert_delivered_as_planned(plan)  # law 2
        before, after = data.draw(TOPOLOGIES), data.draw(TOPOLOGIES)
        assert_any_topology(plan, [before])
        assert_resumable(plan, [data.draw(st.integers(0, end // (before[0] * before[1])))], before, after)
    else:
        assert_any_topology(plan, [data.draw(TOPOLOGIES)], stop)
    samples = found.column("sample").to_numpy()
    for position in data.draw(st.lists(st.integers(0, stop - 1), max_size=8)) if stop else []:  # law 5
        located = plan.locate(int(samples[position]), stop)
        assert located == np.flatnonzero(samples == samples[position]).tolist()
        assert plan.samples(position, position + 1).to_pylist() == found.slice(position, 1).to_pylist()
