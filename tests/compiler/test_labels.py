"""Long files, large offsets, and catalogs that contradict themselves, at the border between engine and plan."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from mixtera.compiler import compile
from mixtera.errors import PlanError
from mixtera.plan import Plan
from mixtera.testing.catalog import MadeFile, MadeSource
from mixtera_backends.engines.duckdb import DuckDBEngine
from tests.compiler.made import catalog_of, content, spec_of

BY_DATASET = "mixture: {by: dataset}\n"


class ChangedEngine(DuckDBEngine):
    """Changes the answer before it is taken in."""

    def __init__(self, column: str, values: list[int | None]) -> None:
        super().__init__(threads=1)
        self._column, self._values = column, values

    def batches(self, expression: object) -> Iterator[pa.RecordBatch]:
        for batch in super().batches(expression):
            place = batch.schema.get_field_index(self._column)
            table = pa.Table.from_batches([batch])
            yield from table.set_column(place, self._column, pa.array(self._values, pa.int64())).to_batches()


def made(tmp_path: Path, source: MadeSource, text: str = BY_DATASET) -> Plan:
    return compile(spec_of(tmp_path, text, (source,)), catalog_of(tmp_path, (source,)))


@pytest.mark.parametrize(
    ("column", "values", "what"),
    [
        ("file_id", [1, 1, 5], "rows of a file with id 5"),
        ("row", [0, 1, 3], "has 3 rows, and rows 0 … 3 are named"),
        ("row", [-1, 1, 2], "rows -1 … 2 are named"),
        ("row", [0, 1, 1], "a row is there twice"),
        ("offset", [0, None, 22], "column 'offset' is NULL in 1 rows"),
    ],
)
def test_a_catalog_that_contradicts_itself(tmp_path: Path, column: str, values: list[int | None], what: str) -> None:
    source = MadeSource("web", {}, [MadeFile("a", 1, [{}, {}, {}])])
    spec, catalog = spec_of(tmp_path, BY_DATASET, (source,)), catalog_of(tmp_path, (source,))
    message = rf"the catalog is inconsistent: in source 'web' .*{what}"
    with closing(ChangedEngine(column, values)) as engine, pytest.raises(PlanError, match=message):
        compile(spec, catalog, engine=engine)


def test_a_row_that_comes_in_two_batches_is_there_twice(tmp_path: Path) -> None:
    class TwiceEngine(DuckDBEngine):
        def batches(self, expression: object) -> Iterator[pa.RecordBatch]:
            yield from [*super().batches(expression)] * 2

    source = MadeSource("web", {}, [MadeFile("a", 1, [{}, {}, {}])])
    spec, catalog = spec_of(tmp_path, BY_DATASET, (source,)), catalog_of(tmp_path, (source,))
    with closing(TwiceEngine()) as engine, pytest.raises(PlanError, match="a row is there twice"):
        compile(spec, catalog, engine=engine)


def test_a_segment_of_4_gib_has_wide_starts(tmp_path: Path) -> None:
    lengths = [2**31, 2**31, 2**31, 9]
    plan = made(tmp_path, MadeSource("web", {}, [MadeFile("a", 1, [{}] * 4, lengths)]))
    assert plan.data.starts.dtype == np.uint64
    assert plan.data.starts.tolist() == [0, 2**31 + 1, 2**32 + 2, 3 * 2**31 + 3, 3 * 2**31 + 12]


def test_large_files_have_narrow_starts(tmp_path: Path) -> None:
    lengths = [2**20 - 1] * 5000
    samples = [{"n": int(row % 3 == 0)} for row in range(5000)]
    source = MadeSource("web", {"n": "int64"}, [MadeFile("a", 1, samples, lengths)])
    plan = made(tmp_path, source, "filter: n == 1\n" + BY_DATASET)
    assert plan.data.starts.dtype == np.uint32
    segments = plan.data.segments.to_pylist()
    assert [segment["offset"] for segment in segments] == [(-(-row // 3) * 3) << 20 for row in range(0, 5000, 1024)]
    last = segments[-1]
    assert last["offset"] + int(plan.data.starts[last["start"] + 4998 - 4096]) == 4998 << 20


def test_many_segments_and_components(tmp_path: Path) -> None:
    rows, kinds = 5000, 7
    files = [
        MadeFile(f"f{number}", number, [{"kind": (row * 31 + number) % kinds} for row in range(rows)], groups=groups)
        for number, groups in enumerate([(), (3000, 2000), (1024, 1024, 2952)])
    ]
    plan = made(tmp_path, MadeSource("web", {"kind": "int64"}, files), "mixture: {by: kind}\n")
    segments = plan.data.segments.select(["file", "row", "rows", "group"]).to_pylist()
    assert [segment["rows"] for segment in segments if segment["file"] == 1] == [1024, 1024, 952, 1024, 976]
    groups = [segment["group"] for segment in segments]
    assert groups == [0, 1, 2, 3, 4, 5, 5, 5, 6, 6, 7, 8, 9, 9, 9]
    assert content(plan) == {
        str(kind): [
            ("web", f"f{number}", row)
            for number in range(3)
            for row in range(rows)
            if (row * 31 + number) % kinds == kind
        ]
        for kind in range(kinds)
    }


def test_hundreds_of_groups(tmp_path: Path) -> None:
    samples = [{"n": row % 300, "kind": "ab"[row % 2]} for row in range(1200)]
    source = MadeSource("web", {"n": "int64", "kind": "string"}, [MadeFile("a", 1, samples)])
    plan = made(tmp_path, source, "mixture: {by: [n, kind]}\n")
    names = [component.name for component in plan.data.components]
    assert names == sorted(f"{n},{'ab'[n % 2]}" for n in range(300))
    assert content(plan)["123,b"] == [("web", "a", row) for row in (123, 423, 723, 1023)]


def test_blocks_may_hold_segments_with_and_without_offsets(tmp_path: Path) -> None:
    plain = MadeSource("web", {"n": "int64"}, [MadeFile("a", 1, [{"n": row % 2} for row in range(10)], [4] * 10)])
    columns = MadeSource("code", {"n": "int64"}, [MadeFile("b", 2, [{"n": 1}] * 3)], "parquet")
    other = MadeSource("books", {"n": "int64"}, [MadeFile("c", 3, [{"n": 1}] * 2, [6, 8])])
    sources = (plain, columns, other)
    plan = compile(spec_of(tmp_path, "filter: n == 1\n" + BY_DATASET, sources), catalog_of(tmp_path, sources))
    assert plan.data.segments.select(["offset", "start"]).to_pylist() == [
        {"offset": 5, "start": 0},
        {"offset": -1, "start": -1},
        {"offset": 0, "start": 11},
    ]
    assert plan.data.starts.tolist() == [0, 0, 5, 10, 15, 20, 25, 30, 35, 40, 44, 0, 7, 15]
