"""What a catalog says, in a form that two catalogs can be compared by."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq

from mixtera.catalog import Catalog
from mixtera.spec.model import Source


def rows(catalog: Catalog, source: Source) -> list[dict[str, object]]:
    """Every sample by (file name, row), with its properties."""
    indexed = catalog.source(source)
    names = dict(zip(indexed.files["file_id"].to_pylist(), indexed.files["name"].to_pylist(), strict=True))
    found = [row for path in indexed.data_files for row in pq.read_table(path).to_pylist()]
    for row in found:
        row["file"] = names[row.pop("file_id")]
    return sorted(found, key=lambda row: (row["file"], row["row"]))


def in_order(path: str) -> bool:
    """Whether the rows of a Parquet file lie by (file id, row)."""
    table = pq.read_table(path).select(["file_id", "row"])
    return bool(table.equals(table.sort_by([("file_id", "ascending"), ("row", "ascending")])))


def iceberg_rows(catalog: Catalog, name: str, snapshot_id: int) -> pa.Table:
    """The samples of a snapshot as pyiceberg's own reader sees them, found by field id."""
    table = catalog._tables.load(name, "samples")
    assert table is not None
    return table.scan(snapshot_id=snapshot_id).to_arrow()
