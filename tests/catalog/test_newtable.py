"""That the first snapshot of a table, which is written without pyiceberg, is the one pyiceberg would write."""

from __future__ import annotations

import datetime
import io
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyiceberg.avro.decoder import new_decoder
from pyiceberg.avro.encoder import BinaryEncoder
from pyiceberg.avro.file import META_SCHEMA, AvroFileHeader, construct_reader
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.conversions import to_bytes
from pyiceberg.manifest import ManifestEntry
from pyiceberg.schema import Schema
from pyiceberg.table import Table
from pyiceberg.types import DateType, DoubleType, LongType, StringType, TimestamptzType

from mixtera.catalog import Catalog
from mixtera.catalog.avro import encoded
from mixtera.catalog.columns import Column, numbered, plain_schema
from mixtera.catalog.datafile import data_facts, lower_bound, upper_bound
from mixtera.catalog.location import Location
from mixtera.catalog.newtable import write_table_metadata
from mixtera.catalog.store import data_file
from mixtera.catalog.writing import write_table
from mixtera.errors import StorageError
from tests.catalog.corpus import source, spec

COLUMNS = numbered(
    [
        Column("id", "int64", required=True),
        Column("word", "string"),
        Column("score", "float64"),
        Column("good", "bool"),
        Column("day", "date"),
        Column("time", "timestamp"),
        Column("words", "list<string>"),
        Column("numbers", "list<int64>"),
    ]
)
DAY, TIME = datetime.date(1969, 7, 20), datetime.datetime(2026, 11, 25, 12, 30, 0, 250, tzinfo=datetime.UTC)
ROWS = [
    {"id": 3, "word": "a" * 15 + "zz", "score": -1.5, "good": True, "day": DAY, "time": TIME, "words": ["b"]},
    {"id": -7, "word": None, "score": None, "good": None, "day": None, "time": None, "words": []},
    {"id": 2**62, "word": "ä", "score": 2.25, "good": False, "day": DAY, "time": TIME, "numbers": [1, 2]},
]
CHANGING = {"table-uuid", "last-updated-ms", "current-snapshot-id", "location", "refs", "snapshot-log", "properties"}


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Two Parquet files of all types, one of them without any value that is not null but the id."""
    schema = plain_schema(COLUMNS)
    parts = {"0": ROWS, "1": ROWS[1:2]}
    paths = [tmp_path / "warehouse" / "web" / "data" / f"{name}.parquet" for name in parts]
    paths[0].parent.mkdir(parents=True)
    for path, rows in zip(paths, parts.values(), strict=True):
        complete = [{"words": [], "numbers": [], **row} for row in rows]
        write_table(path, COLUMNS, pa.Table.from_pylist(complete, schema=schema))
    return paths


def sql_catalog(path: Path) -> SqlCatalog:
    return SqlCatalog("mixtera", uri=f"sqlite:///{path / 'catalog.db'}", warehouse=f"file://{path}/warehouse")


def ours(root: Path, files: list[Path]) -> Table:
    location = Location(f"file://{root}", root)
    facts = [data_facts(path, location.uri(path), COLUMNS) for path in files]
    uri = f"file://{root}/warehouse/web/ours"
    _, metadata = write_table_metadata(location, uri, COLUMNS, facts, {"said": "so"})
    other = sql_catalog(root)
    other.create_namespace_if_not_exists("web")
    return other.register_table(("web", "ours"), metadata)


def theirs(root: Path, files: list[Path], schema: Schema) -> Table:
    """The same files in a table that pyiceberg makes from the beginning."""
    other = sql_catalog(root)
    other.create_namespace_if_not_exists("web")
    with (
        other.create_table_transaction(("web", "theirs"), schema) as transaction,
        transaction.update_snapshot(snapshot_properties={"said": "so"}).overwrite() as producer,
    ):
        for path in files:
            producer.append_data_file(data_file(data_facts(path, f"file://{path}", COLUMNS)))
    return other.load_table(("web", "theirs"))


def metadata_of(table: Table) -> dict[str, Any]:
    whole = json.loads(Path(table.metadata_location.removeprefix("file://")).read_text())
    (snapshot,) = whole.pop("snapshots")
    assert whole["refs"] == {"main": {"snapshot-id": whole["current-snapshot-id"], "type": "branch"}}
    assert [entry["snapshot-id"] for entry in whole["snapshot-log"]] == [whole["current-snapshot-id"]]
    fixed = {key: value for key, value in whole.items() if key not in CHANGING}
    kept = ("sequence-number", "schema-id", "summary")
    return {**fixed, "snapshot": {key: snapshot[key] for key in kept}}


def entries_of(table: Table) -> list[tuple[object, ...]]:
    snapshot = table.current_snapshot()
    assert snapshot is not None
    found = [entry for manifest in snapshot.manifests(table.io) for entry in manifest.fetch_manifest_entry(table.io)]
    return [_facts(entry) for entry in found]


def _facts(entry: ManifestEntry) -> tuple[object, ...]:
    file = entry.data_file
    numbers = (entry.sequence_number, entry.file_sequence_number, file.record_count, file.file_size_in_bytes)
    bounds = (file.lower_bounds, file.upper_bounds)
    counts = (file.column_sizes, file.value_counts, file.null_value_counts, file.nan_value_counts)
    return (entry.status, file.file_path, file.file_format, *numbers, *counts, *bounds)


def header_of(path: Path) -> Mapping[str, str]:
    header = construct_reader(META_SCHEMA, {-1: AvroFileHeader}).read(new_decoder(path.read_bytes()))
    return dict(header.meta)


def headers_of(table: Table) -> list[dict[str, Any]]:
    """Headers of the manifest list and the manifest, without the ids of snapshots; schemas without their comments."""
    snapshot = table.current_snapshot()
    assert snapshot is not None
    paths = [snapshot.manifest_list, *(manifest.manifest_path for manifest in snapshot.manifests(table.io))]
    found = [{**header_of(Path(path.removeprefix("file://")))} for path in paths]
    return [{key: _plain(key, value) for key, value in header.items() if key != "snapshot-id"} for header in found]


def _plain(key: str, value: str) -> Any:
    return _without_comments(json.loads(value)) if key in ("schema", "avro.schema") else value


def _without_comments(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_comments(item) for key, item in value.items() if key != "doc"}
    return [_without_comments(item) for item in value] if isinstance(value, list) else value


def test_the_first_snapshot_is_the_one_pyiceberg_would_write(tmp_path: Path, files: list[Path]) -> None:
    made = ours(tmp_path, files)
    other = theirs(tmp_path, files, made.schema())
    assert metadata_of(made) == metadata_of(other)
    assert entries_of(made) == entries_of(other)
    assert headers_of(made) == headers_of(other)
    assert len(made.scan().to_arrow()) == 4
    assert made.scan(row_filter="id > 5").to_arrow()["word"].to_pylist() == ["ä"]
    assert made.scan().to_arrow().sort_by("id") == other.scan().to_arrow().sort_by("id")


def test_a_table_without_files_is_empty(tmp_path: Path) -> None:
    made = ours(tmp_path, [])
    other = theirs(tmp_path, [], made.schema())
    assert metadata_of(made) == metadata_of(other)
    assert len(made.scan().to_arrow()) == len(other.scan().to_arrow()) == 0


def test_a_first_index_imports_no_pyiceberg(catalog: Catalog, data: Path, tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(
        f"version: 1\nname: test\nsources: {{web: {{path: '{data}/*.jsonl', content: text, "
        "properties: {language: meta.language}}}\nmixture: {by: [language], weights: natural}\n"
    )
    code = (
        "import sys, mixtera\n"
        f"mixtera.Catalog.open({str(catalog.path)!r}).index(mixtera.load({str(tmp_path / 'spec.yaml')!r}))\n"
        "print(sorted({name.split('.')[0] for name in sys.modules} & {'pyiceberg', 'pydantic', 'pandas', 'duckdb'}))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "[]\n", "")


def test_a_catalog_whose_pointer_was_taken_is_left_alone(catalog: Catalog, data: Path) -> None:
    catalog.index(spec(source(data / "*.jsonl")))
    tables = catalog._tables
    before = tables.summary("web", "samples")
    with pytest.raises(StorageError, match="was made by another program meanwhile; run the command again"):
        tables.create("web", "samples", COLUMNS, [], {})
    assert tables.summary("web", "samples") == before


@given(st.integers(-(2**63), 2**63 - 1))
def test_numbers_are_encoded_as_pyiceberg_does(number: int) -> None:
    out = io.BytesIO()
    BinaryEncoder(out).write_int(number)
    assert encoded("long", number) == out.getvalue()


@given(st.text(max_size=40), st.text(max_size=40))
def test_bounds_of_strings_enclose_them(one: str, other: str) -> None:
    smallest, largest = sorted(text.encode() for text in (one, other))
    lower, upper = lower_bound("string", smallest), upper_bound("string", largest)
    assert lower <= smallest
    assert len(lower.decode()) <= 16
    if upper is None:
        assert largest.decode().startswith("\U0010ffff" * 16)
    else:
        assert upper >= largest
        assert len(upper.decode()) <= 16


def test_bounds_of_strings_at_the_edges_of_unicode() -> None:
    assert upper_bound("string", b"z" * 16) == b"z" * 16
    assert upper_bound("string", b"z" * 17) == b"z" * 15 + b"{"
    assert upper_bound("string", ("a" * 15 + "\ud7ff!").encode()) == ("a" * 15 + "\ue000").encode()
    assert upper_bound("string", ("a" + "\U0010ffff" * 16).encode()) == b"b"
    assert upper_bound("string", ("\U0010ffff" * 17).encode()) is None


@pytest.mark.parametrize(
    ("type_", "kept", "iceberg"),
    [
        ("int64", -3, to_bytes(LongType(), -3)),
        ("float64", -0.5, to_bytes(DoubleType(), -0.5)),
        ("date", -165, to_bytes(DateType(), DAY)),
        ("timestamp", 1795609800000250, to_bytes(TimestamptzType(), TIME)),
        ("string", "ä".encode(), to_bytes(StringType(), "ä")),
    ],
)
def test_bounds_are_the_bytes_of_pyiceberg(type_: str, kept: Any, iceberg: bytes) -> None:
    assert lower_bound(type_, kept) == upper_bound(type_, kept) == iceberg
