"""The simulation against the real thing: row groups that a stream decodes, counted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import mixtera

GROUP_ROWS = 250
SPEC = """
version: 1
name: truth
sources: {a: {path: data/*.parquet, content: {text: body}, properties: {part: part}}}
mixture:
  components:
    - {name: fast, where: part == 0, weight: 60}
    - {name: slow, where: part == 1, weight: 30}
    - {name: rare, weight: 10}
order: {seed: 1, chunk_size: 256, lanes: 6}
"""


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> mixtera.Plan:
    """Three files of 10 MB, more than a reader keeps, whose components are mixed at random."""
    root, random = tmp_path_factory.mktemp("truth"), np.random.default_rng(0)
    (root / "data").mkdir()
    for number in range(3):
        body = [random.bytes(1250).hex() for _ in range(4000)]
        table = pa.table({"body": body, "part": random.integers(0, 3, len(body))})
        pq.write_table(table, root / "data" / f"{number}.parquet", row_group_size=GROUP_ROWS)
    (root / "truth.yaml").write_text(SPEC, encoding="utf-8")
    spec, catalog = mixtera.load(str(root / "truth.yaml")), mixtera.Catalog.open(str(root / "catalog"))
    catalog.index(spec, workers=1)
    return mixtera.compile(spec, catalog)


@pytest.mark.parametrize("readers", [1, 4])
def test_row_groups_are_decoded_as_often_as_explain_says(
    readers: int, plan: mixtera.Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[int] = []
    read_row_group, iter_batches = pq.ParquetFile.read_row_group, pq.ParquetFile.iter_batches

    def counted(file: pq.ParquetFile, group: int, *rest: Any, **more: Any) -> pa.Table:
        decoded.append(group)
        return read_row_group(file, group, *rest, **more)

    def counted_pieces(
        file: pq.ParquetFile, *rest: Any, row_groups: list[int], **more: Any
    ) -> Iterator[pa.RecordBatch]:
        decoded.extend(row_groups)
        return iter_batches(file, *rest, row_groups=row_groups, **more)

    monkeypatch.setattr(pq.ParquetFile, "read_row_group", counted)
    monkeypatch.setattr(pq.ParquetFile, "iter_batches", counted_pieces)
    rows = 0
    for rank in range(readers):
        with plan.stream(32, rank=rank, world_size=readers) as stream:
            rows += sum(batch.num_rows for batch in stream)
    reading = mixtera.explain(plan, readers=readers).report.reading
    assert reading.many is not None
    assert reading.many.positions == rows
    assert reading.many.amplification > 1.2 * readers
    assert len(decoded) * GROUP_ROWS / rows == pytest.approx(reading.many.amplification, rel=0.1)
