"""The digest: of everything that decides which sample stands where, and of nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from mixtera.artifact.digest import digest
from mixtera.artifact.model import PlanData
from mixtera.order.timeline import Phase, Timeline
from tests.artifact.tiny import tiny

Change = Callable[[PlanData], PlanData]

GOLDEN_1 = "sha256:c5e1ca440a074a43f828ced76421f0468066087588312195f25614e903682e0f"
GOLDEN = "sha256:83b975d404517390c2e49a5e24b62d45660e0c5d9de7c7d3e219264aa5e0b2fa"


def changed_table(name: str, column: str, row: int, value: object) -> Change:
    def change(data: PlanData) -> PlanData:
        table: pa.Table = getattr(data, name)
        values = table.column(column).to_pylist()
        values[row] = value
        place = table.schema.get_field_index(column)
        changed = pa.array(values, table.schema.field(column).type)
        return replace(data, **{name: table.set_column(place, table.schema.field(column), changed)})

    return change


def changed_component(**fields: object) -> Change:
    return lambda data: replace(data, components=(replace(data.components[0], **fields), *data.components[1:]))


def changed_order(**fields: object) -> Change:
    return lambda data: replace(data, order=replace(data.order, **fields))


def changed_rows(data: PlanData) -> PlanData:
    rows = data.rows.copy()
    rows[3] = 0
    return replace(data, rows=rows)


def changed_source(**fields: object) -> Change:
    return lambda data: replace(data, sources=(replace(data.sources[0], **fields), *data.sources[1:]))


COVERED: dict[str, Change] = {
    "order version": lambda _: tiny(1),
    "seed": changed_order(seed=18),
    "shuffle": changed_order(shuffle="none"),
    "chunk size": changed_order(chunk_size=128),
    "lanes": changed_order(lanes=8),
    "granule": changed_order(granule=64),
    "window": changed_order(window_segments=8),
    "component name": changed_component(name="englisch"),
    "component weight": changed_component(weight=float(np.nextafter(0.1, 1))),
    "places": changed_component(places=3),
    "no places": changed_component(places=None),
    "policy": changed_component(on_exhaust="redistribute"),
    "timeline": lambda data: replace(data, timeline=Timeline(data.timeline.phases, 83)),
    "endless timeline": lambda data: replace(data, timeline=Timeline(data.timeline.phases, None)),
    "phase": lambda data: replace(data, timeline=Timeline((*data.timeline.phases, Phase(9, (1.0, 0.0), (1, 8))), 84)),
    "source name": changed_source(name="wep"),
    "content": changed_source(content=(("text", "body"),)),
    "another content column": changed_source(content=(("text", "body.text"), ("title", "title"))),
    "file's source": changed_table("files", "source", 1, 1),
    "file name": changed_table("files", "name", 0, "b.jsonl"),
    "file id": changed_table("files", "file_id", 0, 8),
    "rows of a file": changed_table("files", "rows", 0, 4),
    "segment's file": changed_table("segments", "file", 1, 2),
    "segment's row": changed_table("segments", "row", 3, 1),
    "segment's rows": changed_table("segments", "rows", 0, 4),
    "segment's group": changed_table("segments", "group", 3, 2),
    "entry's segment": changed_table("entries", "segment", 0, 1),
    "entry's count": changed_table("entries", "count", 0, 3),
    "entries of components": lambda data: replace(data, component_entries=np.array([0, 1, 4])),
    "rows": changed_rows,
}

LEFT_OUT: dict[str, Change] = {
    "name": lambda data: replace(data, name="other"),
    "facts": lambda data: replace(data, facts={}),
    "url": changed_table("files", "url", 0, "s3://elsewhere/a.jsonl"),
    "size": changed_table("files", "size", 0, 31),
    "time": changed_table("files", "modified_ns", 0, 9),
    "etag": changed_table("files", "etag", 0, "x"),
    "content bytes": changed_table("files", "content_bytes", 0, 9),
    "offset": changed_table("segments", "offset", 1, 9),
    "start": changed_table("segments", "start", 1, 9),
    "starts": lambda data: replace(data, starts=data.starts.astype(np.uint64)),
    "chunks of a table": lambda data: replace(data, files=pa.concat_tables([data.files[:1], data.files[1:]])),
}


def test_the_digest_of_every_order_version_stays() -> None:
    assert digest(tiny(1)) == GOLDEN_1
    assert digest(tiny(2)) == GOLDEN


@pytest.mark.parametrize("name", COVERED)
def test_what_decides_is_covered(name: str) -> None:
    assert digest(COVERED[name](tiny())) != GOLDEN


@pytest.mark.parametrize("name", LEFT_OUT)
def test_what_does_not_decide_is_left_out(name: str) -> None:
    assert digest(LEFT_OUT[name](tiny())) == GOLDEN


def test_all_changes_have_digests_of_their_own() -> None:
    assert len({digest(change(tiny())) for change in COVERED.values()}) == len(COVERED)


def test_names_do_not_run_into_each_other() -> None:
    one = replace(tiny(), sources=tuple(replace(s, name=n) for s, n in zip(tiny().sources, ("ab", "c"), strict=True)))
    two = replace(tiny(), sources=tuple(replace(s, name=n) for s, n in zip(tiny().sources, ("a", "bc"), strict=True)))
    assert digest(one) != digest(two)


def test_long_arrays_are_hashed_in_pieces() -> None:
    rows = np.arange((1 << 22) + 5, dtype=np.uint16)
    whole = digest(replace(tiny(), rows=rows))
    rows[-1] += 1
    assert digest(replace(tiny(), rows=rows)) != whole
