"""The laws of DESIGN 2.7 on plans over a real corpus in every format."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import mixtera
from mixtera.artifact.digest import digest
from mixtera.order.timeline import Phase, Timeline
from mixtera.testing.order import (
    assert_any_topology,
    assert_delivered_as_planned,
    assert_resumable,
    assert_shares_hold,
)
from tests.laws.conftest import MIXTURES, build, record
from tests.paged import assert_pages_change_nothing
from tests.synthetic import plan_data

TEXTS = 10 * 271 + 900


@pytest.mark.parametrize("mixture", MIXTURES)
def test_law_1_the_same_spec_and_data_give_the_same_digest(
    mixture: str, root: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    first, second = (build(root, mixture, tmp_path_factory) for _ in range(2))
    assert first.digest == second.digest


def test_law_1_the_digest_does_not_depend_on_the_catalog_or_its_workers(
    root: Path, weighted: mixtera.Plan, tmp_path: Path
) -> None:
    path = tmp_path / "weighted.yaml"
    from tests.laws.conftest import SOURCES

    path.write_text(SOURCES.format(root=root) + MIXTURES["weighted"])
    spec = mixtera.load(str(path))
    catalog = mixtera.Catalog.open(str(tmp_path / "catalog"))
    catalog.index(spec, workers=2)
    assert mixtera.compile(spec, catalog).digest == weighted.digest


def test_law_2_any_topology_reads_the_same_order(plan: mixtera.Plan) -> None:
    assert_any_topology(plan, [(1, 32), (2, 16), (3, 5), (5, 7), (4, 64)])


def test_law_2_arrays_that_come_in_pages_change_nothing(
    weighted: mixtera.Plan, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert_pages_change_nothing(weighted, monkeypatch, tmp_path)


def test_law_2_each_sample_as_often_as_planned(plan: mixtera.Plan) -> None:
    assert_delivered_as_planned(plan)


@given(st.data())
@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_law_2_stop_anywhere_and_go_on_with_any_topology(weighted: mixtera.Plan, data: st.DataObject) -> None:
    topology = st.tuples(st.integers(1, 4), st.integers(1, 40))
    before, after = data.draw(topology), data.draw(topology)
    stop = data.draw(st.integers(0, len(weighted) // (before[0] * before[1])))
    assert_resumable(weighted, [stop], before, after)


def test_law_3_shares_hold_over_every_prefix(plan: mixtera.Plan) -> None:
    phases = plan.data.timeline.phases
    ends = [phase.first for phase in phases[1:]] + [len(plan)]
    for phase, end in zip(phases, ends, strict=True):
        assert_shares_hold(plan, phase.first, end)


def crowded(order_version: int) -> mixtera.Plan:
    """A large component beside forty small ones of one weight."""
    weights = (100.0, *[1.0] * 40)
    data = plan_data([np.arange(4100) % 41], weights, epochs=[None] * 41, on_exhaust="repeat")
    phase = Phase(0, weights, (0,) * 41, order_version)
    data = replace(data, timeline=Timeline((phase,), 20_000))
    return mixtera.Plan(data, Path("nowhere"), digest(data))


def test_law_3_shares_hold_for_a_large_component_beside_many_small_ones() -> None:
    assert_shares_hold(crowded(2), 0, 20_000)
    with pytest.raises(AssertionError, match="samples off its share"):
        assert_shares_hold(crowded(1), 0, 20_000)


def test_law_4_state_does_not_grow_and_a_far_position_is_reached_at_once(weighted: mixtera.Plan) -> None:
    far = int(len(weighted) * 0.9) // 8 * 8
    sizes = []
    for position in (0, far):
        with weighted.stream(batch_size=8) as stream:
            stream.load_state_dict(stream.state_dict() | {"position": position})
            sizes.append(len(json.dumps(stream.state_dict())))
            got = next(iter(stream)).column("sample").to_pylist()
        assert got == weighted.samples(position, position + 8).column("sample").to_pylist()
    assert abs(sizes[0] - sizes[1]) < 20


def test_law_5_samples_stream_and_locate_agree(plan: mixtera.Plan) -> None:
    table = plan.samples(0, len(plan))
    with plan.stream(batch_size=1) as stream:
        for position, batch in zip(range(200), stream, strict=False):
            assert batch.column("sample")[0].as_py() == table.column("sample")[position].as_py()
            assert batch.column("component")[0].as_py() == table.column("component")[position].as_py()
    for position in np.random.default_rng(0).integers(0, len(plan), 25).tolist():
        assert position in plan.locate(table.column("sample")[position].as_py())


def test_law_5_the_text_is_that_of_the_row_it_is_said_to_be(plan: mixtera.Plan) -> None:
    first_of_file = {}
    for index, name in enumerate(f"part-{part}.{suffix}" for suffix in SUFFIXES for part in range(2)):
        first_of_file["web", name] = index * 271
    for part in range(3):
        first_of_file["code", f"part-{part}.parquet"] = 2710 + part * 300
    table = plan.samples(0, len(plan)).to_pylist()
    with plan.stream(batch_size=10) as stream:
        texts = [text for batch in stream for text in batch.column("text").to_pylist()]
    for text, row in zip(texts, table, strict=False):
        number = first_of_file[row["source"], row["file"]] + row["row"]
        expected = record(number)["text"] if row["source"] == "web" else f"doc-{number:06d} code"
        assert text == expected


SUFFIXES = ("jsonl", "jsonl.gz", "jsonl.zst", "jsonl.bz2", "jsonl.xz")


def test_without_shuffle_the_samples_come_in_the_order_of_the_files(
    root: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    table = build(root, "unshuffled", tmp_path_factory).samples(0, TEXTS)
    places = [(r["file"], r["row"]) for r in table.to_pylist() if r["source"] == "code"]
    assert places == [(f"part-{part}.parquet", row) for part in range(3) for row in range(300)]
