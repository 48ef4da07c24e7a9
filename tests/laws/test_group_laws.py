"""The laws of DESIGN 2.7 for plans of tokens beside images: texts, tokens and tars in one plan."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import mixtera
from mixtera.errors import PlanError
from mixtera.plan import Plan
from mixtera.testing.groups import (
    assert_kinds_hold_their_shares,
    assert_one_kind_a_batch,
    assert_samples_once_an_epoch,
    values_of,
)
from tests.paged import assert_pages_change_nothing

SPEC = """
version: 1
name: both
sources:
  text: {{path: {root}/*.jsonl, content: text, properties: {{language: lang}}}}
  ready: {{path: {root}/*.u16, format: {{name: tokens, separator: 7}}, content: tokens}}
  pictures: {{path: {root}/*.tar, content: {{image: jpg, caption: txt}}, properties: {{width: json.width}}}}
tokens: {{tokenizer: bytes, sequence_length: 32, {packing}}}
stream: {{group: 24}}
order: {{seed: 3, chunk_size: 48, lanes: 3, granule: 8}}
mixture:
  on_exhaust: {on_exhaust}
  components:
    - {{name: english, where: {{language: en}}, weight: 30}}
    - {{name: ready, where: {{dataset: ready}}, weight: 10}}
    - {{name: wide, where: width >= 30, weight: 20, deliver: [image, caption]}}
    - name: narrow
      where: {{dataset: pictures}}
      weight: 10
      deliver: [image, caption]
      on_exhaust: repeat
      max_epochs: 2
    - {{name: raw, weight: 12, deliver: text}}
"""
KINDS = {
    "concat": ("packing: concat", "redistribute"),
    "best_fit": ("packing: best_fit", "redistribute"),
    "alone": ("packing: none", "redistribute"),
    "stops": ("packing: concat", "stop"),
}
SIZES = (1, 2, 3, 4, 6, 8, 12, 24)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("both")
    for file in range(2):
        records = [
            {"text": f"{file}.{row} " + "word " * (row * 7 % 23), "lang": ("en", "de")[row % 3 == 0]}
            for row in range(200)
        ]
        (root / f"part-{file}.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
        with tarfile.open(root / f"{file}.tar", "w") as tar:
            for number in range(120):
                about = json.dumps({"width": 10 + number % 40}).encode()
                image = bytes([file, number]) * (5 + number % 9)
                for extension, data in {"jpg": image, "txt": f"picture {number}".encode(), "json": about}.items():
                    info = tarfile.TarInfo(f"{file}-{number:04d}.{extension}")
                    info.size = len(data)
                    tar.addfile(info, io.BytesIO(data))
    random = np.random.default_rng(1)
    tokens = random.integers(8, 250, 4000).astype(np.uint16)
    tokens[random.random(4000) < 0.05] = 7
    tokens[-1] = 7
    tokens.tofile(root / "ready.u16")
    return root


@pytest.fixture(scope="module", params=KINDS)
def plan(request: pytest.FixtureRequest, root: Path) -> Plan:
    packing, on_exhaust = KINDS[request.param]
    path = root / f"{request.param}.yaml"
    path.write_text(SPEC.format(root=root, packing=packing, on_exhaust=on_exhaust))
    spec, catalog = mixtera.load(path), mixtera.Catalog.open(str(root / request.param))
    catalog.index(spec)
    saved = str(root / f"plan-{request.param}")
    mixtera.compile(spec, catalog).save(saved)
    return Plan.open(saved)


def test_the_kinds_are_those_of_the_spec(plan: Plan) -> None:
    assert plan.data.columns == ((), (), ("image", "caption"), ("image", "caption"), ("text",))
    assert plan.data.blocks is not None
    assert plan.data.blocks.kinds == (0, 0, 1, 1, 2)
    assert {len(plan) > 300, plan.components[0]} == {True, "english"}


def test_law_2_a_batch_is_of_one_kind_and_the_order_is_that_of_any_readers(plan: Plan) -> None:
    assert_one_kind_a_batch(plan, [(1, 24), (2, 12), (3, 8), (5, 4), (7, 1), (4, 6)])


def test_law_2_arrays_that_come_in_pages_change_nothing(
    plan: Plan, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert_pages_change_nothing(plan, monkeypatch, tmp_path, [(2, 12)])


def test_law_2_every_sample_comes_once_an_epoch(plan: Plan) -> None:
    assert_samples_once_an_epoch(plan)


def test_law_3_kinds_and_components_hold_their_shares(plan: Plan) -> None:
    assert_kinds_hold_their_shares(plan)


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
@given(st.data())
def test_law_4_it_goes_on_with_any_readers_where_batches_can_begin(plan: Plan, data: st.DataObject) -> None:
    ranks, size = data.draw(st.integers(1, 4)), data.draw(st.sampled_from(SIZES))
    steps = data.draw(st.integers(0, len(plan) // (ranks * size)))
    position = steps * ranks * size
    again, other = data.draw(st.integers(1, 4)), data.draw(st.sampled_from(SIZES))
    state = json.loads(json.dumps(plan.state_at(position)))
    streams = [plan.stream(batch_size=other, rank=rank, world_size=again) for rank in range(again)]
    if position % other:
        with pytest.raises(PlanError, match=rf"batches of {other} from position {position} .* would mix"):
            streams[0].load_state_dict(state)
        return
    for stream in streams:
        stream.load_state_dict(state)
    found = [row for batches in zip(*streams, strict=True) for batch in batches for row in values_of(batch)]
    rest = [row for batch in plan.stream(batch_size=1, start=position) for row in values_of(batch)]
    assert found == rest[: len(found)]
    assert len(rest) - len(found) < again * other


def test_law_5_samples_locate_and_the_stream_agree(plan: Plan) -> None:
    parts = plan.samples(0, len(plan)).to_pylist()
    at = iter(range(len(plan)))
    for part in parts:
        if "position" not in part:
            part["position"] = next(at)
    wanted = [part["sample"] for part in parts if part["component"] in ("wide", "narrow")]
    found = [
        sample
        for batch in plan.stream(batch_size=1)
        if "image" in batch.schema.names
        for sample in batch.column("sample").to_pylist()
    ]
    assert found == wanted
    places: dict[int, set[int]] = {}
    for part in parts:
        places.setdefault(part["sample"], set()).add(part["position"])
    for sample in list(places)[::17]:
        assert plan.locate(sample) == sorted(places[sample])


def test_what_is_delivered_is_what_the_files_hold(plan: Plan, root: Path) -> None:
    held: dict[tuple[str, int], tuple[bytes, str]] = {}
    for path in root.glob("*.tar"):
        with tarfile.open(path) as tar:
            members = {member.name: tar.extractfile(member) for member in tar}
            contents = {name: file.read() for name, file in members.items() if file is not None}
        for row, name in enumerate(name for name in contents if name.endswith(".jpg")):
            held[path.name, row] = contents[name], contents[name.replace(".jpg", ".txt")].decode()
    parts = plan.samples(0, len(plan)).to_pylist()
    files = iter((part["file"].rpartition("/")[2], part["row"]) for part in parts if part["source"] == "pictures")
    for batch in plan.stream(batch_size=1):
        if "image" in batch.schema.names:
            (row,) = batch.to_pylist()
            assert (row["image"], row["caption"]) == held[next(files)]
