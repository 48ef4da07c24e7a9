"""That other clients of Iceberg can open what the catalog writes."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.conversions import from_bytes
from pyiceberg.io.pyarrow import parquet_files_to_data_files
from pyiceberg.types import LongType, StringType

from mixtera.catalog import Catalog
from mixtera.catalog.database import Database
from mixtera.catalog.tables import data_files
from mixtera.errors import StorageError
from tests.catalog.corpus import source, spec, touch_later, write_lines


def sql_catalog(path: Path) -> SqlCatalog:
    return SqlCatalog("mixtera", uri=f"sqlite:///{path / 'catalog.db'}", warehouse=f"file://{path}/warehouse")


def test_the_sql_catalog_of_pyiceberg_opens_a_catalog(catalog: Catalog, data: Path) -> None:
    catalog.index(spec(source(data / "*.jsonl")))
    touch_later(write_lines(data / "part-0.jsonl", range(7)))
    catalog.index(spec(source(data / "*.jsonl")))
    other = sql_catalog(catalog.path)
    assert other.list_namespaces() == [("web",)]
    assert sorted(other.list_tables("web")) == [("web", "files"), ("web", "samples")]
    samples = other.load_table(("web", "samples"))
    assert len(samples.snapshots()) == 2
    assert len(samples.metadata.metadata_log) == 1
    assert len(samples.scan().to_arrow()) == 126 - 30 + 7


def test_a_database_that_pyiceberg_has_made_is_used(tmp_path: Path) -> None:
    other = sql_catalog(tmp_path)
    other.create_namespace("web")
    database = Database(tmp_path / "catalog.db")
    assert database.namespaces() == ["web"]
    assert database.move("web", "files", None, "a.json")
    assert database.location("web", "files") == "a.json"
    assert other.list_tables("web") == [("web", "files")]


def test_a_pointer_moves_only_from_where_it_is(tmp_path: Path) -> None:
    database = Database(tmp_path / "catalog.db")
    assert not database.move("web", "files", "a", "b")
    assert database.move("web", "files", None, "a")
    assert not database.move("web", "files", None, "b")
    assert not database.move("web", "files", "b", "c")
    assert database.location("web", "files") == "a"
    assert database.move("web", "files", "a", "b")
    assert (database.location("web", "files"), database.location("web", "samples")) == ("b", None)
    database.forget("web")
    assert database.location("web", "files") is None
    assert database.namespaces() == []


def move_and_fail(database: Database) -> None:
    with database.together():
        assert database.move("web", "samples", "a", "b")
        raise StorageError("a failure between two tables")


def test_pointers_move_together_or_not_at_all(tmp_path: Path) -> None:
    database, other = Database(tmp_path / "catalog.db"), Database(tmp_path / "catalog.db")
    with database.together():
        assert database.move("web", "samples", None, "a")
        assert database.move("web", "files", None, "a")
        assert database.location("web", "samples") == "a"
        assert other.location("web", "samples") is None
    with pytest.raises(StorageError):
        move_and_fail(database)
    assert [other.location("web", name) for name in ("samples", "files")] == ["a", "a"]


def test_something_else_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "catalog.db").write_text("something else, and long enough not to be taken for an empty database\n" * 9)
    with pytest.raises(sqlite3.DatabaseError):
        Database(tmp_path / "catalog.db")


def test_manifests_say_of_data_files_what_pyiceberg_would(catalog: Catalog, data: Path) -> None:
    catalog.index(spec(source(data / "*.jsonl")))
    table = catalog._tables.load("web", "samples")
    assert table is not None
    for ours in data_files(table, table.current_snapshot()):
        (theirs,) = parquet_files_to_data_files(table.io, table.metadata, iter([ours.file_path]))
        for fact in ("record_count", "file_size_in_bytes", "column_sizes", "value_counts", "null_value_counts"):
            assert getattr(ours, fact) == getattr(theirs, fact)
        assert ours.lower_bounds == theirs.lower_bounds
        assert ours.upper_bounds == theirs.upper_bounds


def test_bounds_are_those_of_the_rows(catalog: Catalog, data: Path) -> None:
    catalog.index(spec(source(data / "*.jsonl")))
    table = catalog._tables.load("web", "samples")
    assert table is not None
    (found,) = data_files(table, table.current_snapshot())
    rows = pq.read_table(catalog.data_files("web")[0])
    for name, type_ in (("file_id", LongType()), ("row", LongType()), ("year", LongType()), ("language", StringType())):
        field_id = table.schema().find_field(name).field_id
        values = sorted(rows[name].to_pylist())
        assert from_bytes(type_, found.lower_bounds[field_id]) == values[0]
        assert from_bytes(type_, found.upper_bounds[field_id]) == values[-1]
