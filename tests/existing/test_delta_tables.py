"""A Delta table of a team as the catalog of a source."""

from __future__ import annotations

import json
import struct
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from mixtera.catalog import Catalog
from mixtera.compiler import compile
from mixtera.errors import CatalogError, PluginError
from tests.existing.made import ROWS, Corpus, tabled

deltalake = pytest.importorskip("deltalake")

ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"


def deleted(first: int, second: int) -> str:
    """A deletion vector of two rows as a log has it: a Roaring bitmap, in Z85."""
    container = struct.pack("<IIHHIHH", 12346, 1, 0, 1, 16, first, second)
    data = struct.pack("<IQI", 1681511377, 1, 0) + container
    words = struct.unpack(f">{len(data) // 4}I", data)
    return "".join(ALPHABET[word // 85**power % 85] for word in words for power in range(4, -1, -1))


@pytest.fixture
def lake(corpus: Corpus, tmp_path: Path) -> Path:
    for first in range(0, 2 * ROWS, ROWS):
        deltalake.write_deltalake(tmp_path / "lake", corpus.table.slice(first, ROWS), mode="append")
    return tmp_path / "lake"


@pytest.mark.parametrize("engine", ["duckdb", "polars", "datafusion"])
def test_the_plan_is_that_of_the_indexed_files(
    engine: str, corpus: Corpus, lake: Path, catalog: Catalog, tmp_path: Path
) -> None:
    spec = tabled(corpus, lake, tmp_path, "delta")
    assert catalog.index(spec).samples == 2 * ROWS
    assert compile(spec, catalog, engine=engine).digest == corpus.digest


def test_a_version_is_pinned_and_stays_readable(corpus: Corpus, lake: Path, catalog: Catalog, tmp_path: Path) -> None:
    spec = tabled(corpus, lake, tmp_path, "delta")
    catalog.index(spec)
    pinned = catalog.state("web").definition.table
    assert pinned is not None
    assert pinned.version == "1"
    deltalake.DeltaTable(lake).delete("language = 'de'")  # writes files anew, and leaves those of the version before
    assert compile(spec, catalog).digest == corpus.digest
    kept = pc.sum(pc.invert(pc.fill_null(pc.equal(corpus.table["language"], "de"), False))).as_py()
    assert catalog.index(spec).samples == kept
    assert {table.version for table in (catalog.state("web").definition.table,) if table} == {"2"}


def test_a_version_that_was_vacuumed_is_refused(corpus: Corpus, lake: Path, catalog: Catalog, tmp_path: Path) -> None:
    spec = tabled(corpus, lake, tmp_path, "delta")
    catalog.index(spec)
    table = deltalake.DeltaTable(lake)
    table.delete("language = 'de'")
    table.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
    with pytest.raises(CatalogError, match=r"of the delta table .* \(version 1\) cannot be read any more: no file"):
        compile(spec, catalog)


def test_deletion_vectors_are_refused(corpus: Corpus, lake: Path, catalog: Catalog, tmp_path: Path) -> None:
    log = lake / "_delta_log"
    actions = [json.loads(line) for line in (log / f"{0:020}.json").read_text().splitlines()]
    add = next(action["add"] for action in actions if "add" in action)
    protocol = next(action["protocol"] for action in actions if "protocol" in action)
    for kind in ("readerFeatures", "writerFeatures"):
        protocol[kind] = [*(protocol.get(kind) or ()), "deletionVectors"]
    protocol |= {"minReaderVersion": 3, "minWriterVersion": 7}
    vector = {"storageType": "i", "pathOrInlineDv": deleted(3, 5), "sizeInBytes": 36, "cardinality": 2}
    removed = {"path": add["path"], "deletionTimestamp": 1, "dataChange": True}
    fresh = [{"protocol": protocol}, {"remove": removed}, {"add": {**add, "deletionVector": vector}}]
    (log / f"{2:020}.json").write_text("\n".join(map(json.dumps, fresh)))
    with pytest.raises(CatalogError, match=r"version 2 deletes rows by deletion vectors, .*: purge them"):
        catalog.index(tabled(corpus, lake, tmp_path, "delta"))


def test_partitions_are_not_in_the_files(corpus: Corpus, catalog: Catalog, tmp_path: Path) -> None:
    deltalake.write_deltalake(tmp_path / "parts", corpus.table.slice(0, 90), partition_by=["language"])
    with pytest.raises(CatalogError, match=r"the column 'language' is a partition: it is in the names of its folders"):
        catalog.index(tabled(corpus, tmp_path / "parts", tmp_path, "delta"))


def test_columns_of_other_names_are_refused(corpus: Corpus, catalog: Catalog, tmp_path: Path) -> None:
    rows = corpus.table.select(["in_file", "in_row"]).slice(0, 9)
    deltalake.write_deltalake(tmp_path / "lake", rows, configuration={"delta.columnMapping.mode": "name"})
    with pytest.raises(CatalogError, match=r"have other names in its Parquet files|cannot be read as a Delta table"):
        catalog.index(tabled(corpus, tmp_path / "lake", tmp_path, "delta"))


def test_what_is_no_table_is_said_so(corpus: Corpus, catalog: Catalog, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for place in ("empty", "none"):
        with pytest.raises(CatalogError, match=r"delta table .* cannot be read as a Delta table: "):
            catalog.index(tabled(corpus, tmp_path / place, tmp_path, "delta"))
    empty = pa.table({"in_file": pa.array([], pa.string()), "in_row": pa.array([], pa.int64())})
    deltalake.write_deltalake(tmp_path / "rows", empty)
    with pytest.raises(CatalogError, match=r"has no rows: there is nothing to mix|no column"):
        catalog.index(tabled(corpus, tmp_path / "rows", tmp_path, "delta"))


def test_without_the_library_the_extra_is_named(
    corpus: Corpus, lake: Path, catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "deltalake", None)
    with pytest.raises(PluginError, match=r"a table of the format delta needs deltalake: pip install '.*\[delta\]'"):
        catalog.index(tabled(corpus, lake, tmp_path, "delta"))
