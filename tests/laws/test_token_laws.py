"""The laws of DESIGN 2.7 for plans of tokens, over a corpus of texts and of tokens."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import mixtera
import mixtera.testing.sequences
from mixtera.compiler import Stop
from mixtera.testing.sequences import (
    assert_any_readers,
    assert_rows_are_documents,
    assert_shares_of_tokens,
    assert_tokens_once_an_epoch,
    rows_of,
)
from tests.paged import assert_pages_change_nothing

EOS, BOS = 256, 257
SPEC = """
version: 1
name: tokens
sources:
  web: {{path: {root}/*.jsonl, content: {{text: text}}, properties: {{language: lang}}}}
  ready: {{path: {root}/*.u16, format: {{name: tokens, separator: 7}}, content: {{text: tokens}}}}
tokens: {{tokenizer: bytes, sequence_length: 24, {tokens}}}
order: {{seed: 3, chunk_size: 48, lanes: 3, granule: 8}}
mixture:
{mixture}
"""
WEIGHTED = """
  on_exhaust: redistribute
  components:
    - {name: en, where: 'language == "en"', weight: 50}
    - {name: de, where: 'language == "de"', weight: 30, max_epochs: 2.5, on_exhaust: repeat}
    - {name: rest, weight: 20}
"""
KINDS = {
    "plain": ("bos: false", WEIGHTED),
    "both": ("bos: true, overlap: 5, max_document_tokens: 40", WEIGHTED),
    "without": ("eos: false, label_shift: false", WEIGHTED),
    "natural": ("eos: true", "  by: dataset\n"),
    "few": ("eos: true", "  by: language\n  weights: uniform\n  on_exhaust: repeat\n  max_epochs: 40\n"),
}


CONTINUED = {
    "heavier": ("bos: false", WEIGHTED.replace("weight: 20", "weight: 80")),
    "other": ("bos: false", WEIGHTED.replace('language == "en"', 'language != "de"').replace("2.5", "3.25")),
}


def text_of(file: int, row: int) -> str:
    return "" if row % 11 == 3 else f"{file}.{row} " + "é word " * (row * 7 % 13)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("tokens")
    for file in range(3):
        records = [{"text": text_of(file, row), "lang": ("en", "de", "fr")[row * row % 3]} for row in range(150)]
        (root / f"part-{file}.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    random = np.random.default_rng(1)
    for file in range(2):
        tokens = random.integers(8, 250, 3000).astype(np.uint16)
        tokens[random.random(3000) < 0.05] = 7
        tokens[-1] = 7
        tokens.tofile(root / f"ready-{file}.u16")
    return root


@pytest.fixture(scope="module", params=KINDS)
def plan(request: pytest.FixtureRequest, root: Path) -> mixtera.Plan:
    return compiled(root, request.param)


@pytest.fixture(scope="module")
def plain(root: Path) -> mixtera.Plan:
    return compiled(root, "plain")


def compiled(root: Path, kind: str, stop: Stop | None = None) -> mixtera.Plan:
    tokens, mixture = (KINDS | CONTINUED)[kind]
    path = root / f"{kind}.yaml"
    path.write_text(SPEC.format(root=root, tokens=tokens, mixture=mixture))
    spec = mixtera.load(str(path))
    catalog = mixtera.Catalog.open(str(root / "catalog"))
    catalog.index(spec)
    return mixtera.compile(spec, catalog, continue_from=stop)


def documents(plan: mixtera.Plan, root: Path) -> mixtera.testing.sequences.Document:
    assert plan.data.tokens is not None
    parameters = plan.data.tokens.parameters
    ready = {}
    for file in root.glob("*.u16"):
        tokens = np.fromfile(file, np.uint16)
        ready[file.name] = np.split(tokens, np.flatnonzero(tokens == 7) + 1)

    def document(source: str, file: str, row: int) -> list[int]:
        if source == "ready":
            return ready[file][row].tolist()[: parameters.max_document_tokens]
        own = list(text_of(int(file[5]), row).encode())
        bos, eos = ([token] if token is not None else [] for token in (parameters.bos, parameters.eos))
        return (bos + own + eos)[: parameters.max_document_tokens] if own else []

    return document


def test_rows_are_the_documents_that_the_plan_names(plan: mixtera.Plan, root: Path) -> None:
    assert_rows_are_documents(plan, documents(plan, root), len(plan) - len(plan) % 4)


def test_each_token_as_often_as_planned(root: Path) -> None:
    plan = compiled(root, "without")
    assert plan.data.tokens is not None
    bounds, sums = plan.data.component_entries, np.cumsum([0, *plan.data.tokens.entry_counts])
    names = [component.name for component in plan.data.components]
    held = dict(zip(names, np.diff(sums[bounds]).tolist(), strict=True))
    assert_tokens_once_an_epoch(plan, held.__getitem__)


def test_any_topology_reads_the_same_rows(plan: mixtera.Plan) -> None:
    assert_any_readers(plan, [(1, 16), (2, 8), (3, 5), (5, 1)], 240)


def test_arrays_that_come_in_pages_change_nothing(root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert_pages_change_nothing(compiled(root, "both"), monkeypatch, tmp_path, [(3, 8)])


def test_shares_hold_in_tokens(root: Path) -> None:
    assert_shares_of_tokens(compiled(root, "natural"), 100)


SOME = settings(
    max_examples=10,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
)


@SOME
@given(data=st.data())
def test_stop_anywhere_and_go_on_with_any_topology(plain: mixtera.Plan, data: st.DataObject) -> None:
    whole = rows_of(plain.stream(batch_size=1))
    ranks, size = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 9))
    steps = data.draw(st.integers(0, len(whole) // (ranks * size)))
    first = plain.stream(batch_size=size, rank=ranks - 1, world_size=ranks)
    for _ in islice(first, steps):
        pass
    state = json.loads(json.dumps(first.state_dict()))
    others, fewer = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 6))
    streams: list[Iterator[object]] = []
    for rank in range(others):
        stream = plain.stream(batch_size=fewer, rank=rank, world_size=others)
        stream.load_state_dict(state)
        streams.append(iter(stream))
    position = steps * ranks * size
    left = (len(whole) - position) // (others * fewer)
    found = [row for _ in range(min(left, 6)) for stream in streams for row in rows_of(islice(stream, 1))]  # type: ignore[arg-type]
    assert found == whole[position : position + len(found)]


def test_places_of_a_document_are_those_that_name_it(plain: mixtera.Plan) -> None:
    table = plain.samples(0, len(plain)).to_pylist()
    for part in (table[0], table[len(table) // 2], table[-1]):
        held = sorted({other["position"] for other in table if other["sample"] == part["sample"]})
        assert plain.locate(part["sample"]) == held


def test_the_digest_depends_on_what_decides_rows_and_on_nothing_else(root: Path, tmp_path: Path) -> None:
    one, again, other = compiled(root, "plain"), compiled(root, "plain"), compiled(root, "both")
    assert one.digest == again.digest != other.digest
    one.save(str(tmp_path / "plan"))
    opened = mixtera.Plan.open(str(tmp_path / "plan"))
    assert opened.digest == one.digest
    assert rows_of(opened.stream(batch_size=8)) == rows_of(one.stream(batch_size=8))


@pytest.mark.parametrize("second", ["plain", "heavier", "other", "both", "without", "natural", "few"])
@pytest.mark.parametrize("position", [1, 333])
def test_plans_that_take_over_keep_the_laws(
    plain: mixtera.Plan, root: Path, second: str, position: int, tmp_path: Path
) -> None:
    state = json.loads(json.dumps(plain.stream(batch_size=1, start=position).state_dict()))
    new = compiled(root, second, Stop.of(plain, state))
    assert new.start == position
    assert_rows_are_documents(new, documents(new, root), len(new) - len(new) % 4)
    assert_any_readers(new, [(1, 16), (2, 8), (3, 5)], 120)
    new.save(str(tmp_path / "plan"))
    again = mixtera.Plan.open(str(tmp_path / "plan"))
    assert again.digest == new.digest
    stream = again.stream(batch_size=4)
    stream.load_state_dict(state)
    assert rows_of(islice(stream, 8)) == rows_of(islice(new.stream(batch_size=1), 32))
    stream.load_state_dict(json.loads(json.dumps(stream.state_dict())))
    assert rows_of(islice(stream, 2)) == rows_of(islice(new.stream(batch_size=1, start=position + 32), 8))


def by_component(plan: mixtera.Plan, stop: int | None = None) -> Counter[tuple[str, tuple[int, ...]]]:
    batches = islice(plan.stream(batch_size=1), None if stop is None else stop - plan.start)
    return Counter((row["component"], tuple(row["tokens"])) for batch in batches for row in batch.to_pylist())


@SOME
@given(data=st.data())
def test_stops_anywhere_do_not_change_what_is_delivered(plain: mixtera.Plan, root: Path, data: st.DataObject) -> None:
    """Of components that go on, whatever becomes of their weights, and however often."""
    first, second = sorted(data.draw(st.lists(st.integers(0, len(plain) - 1), min_size=2, max_size=2)))
    heavier = compiled(root, "heavier", Stop(plain, first))
    again = compiled(root, "plain", Stop(heavier, second))
    found = by_component(plain, first) + by_component(heavier, second) + by_component(again)
    assert found == by_component(plain)
    fates = {one["fate"] for plan in (heavier, again) for one in plan.data.facts["continues"]["components"]}
    assert fates == {"goes on"}
