"""A new Iceberg table with its first snapshot, written without pyiceberg: its import takes 0.3 s.

Every later snapshot is pyiceberg's (`catalog/store.py`), which reads what is written here like any other table.
"""

from __future__ import annotations

import secrets
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from mixtera.catalog.columns import Column
from mixtera.catalog.datafile import DataFacts
from mixtera.catalog.location import Location
from mixtera.catalog.manifest import first_manifest, first_manifest_list

_TYPES: Final[Mapping[str, str]] = {
    "string": "string",
    "int64": "long",
    "float64": "double",
    "bool": "boolean",
    "date": "date",
    "timestamp": "timestamptz",
}
_PROPERTIES: Final = {
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": "10",
}
_LARGEST_SNAPSHOT_ID: Final = 2**63 - 1
_LAST_PARTITION_FIELD: Final = 999
"""What the metadata of a table say that never had a partition field."""


def write_table_metadata(
    location: Location, uri: str, columns: Sequence[Column], files: Sequence[DataFacts], properties: Mapping[str, str]
) -> tuple[int, str]:
    """Write the metadata of a new table that consists of some data files.

    Args:
        location: The catalog.
        uri: The table.
        columns: Its columns with their field ids.
        files: Its data files.
        properties: Written into the snapshot's summary.

    Returns:
        Id of the snapshot, and URI of the metadata; the table exists once a catalog names that.

    Raises:
        OSError: It cannot be written.
    """
    directory = location.path(uri) / "metadata"
    directory.mkdir(parents=True, exist_ok=True)
    snapshot_id = secrets.randbelow(_LARGEST_SNAPSHOT_ID) + 1
    commit = uuid.uuid4()
    schema = _schema(columns)
    manifest = first_manifest(snapshot_id, schema, files)
    manifest_name, list_name = f"{commit}-m0.avro", f"snap-{snapshot_id}-0-{commit}.avro"
    if files:
        _write(directory / manifest_name, manifest)
    manifest_uri = f"{uri}/metadata/{manifest_name}"
    _write(directory / list_name, first_manifest_list(snapshot_id, manifest_uri, len(manifest), files))
    now = time.time_ns() // 1_000_000
    snapshot = {
        "snapshot-id": snapshot_id,
        "sequence-number": 1,
        "timestamp-ms": now,
        "manifest-list": f"{uri}/metadata/{list_name}",
        "summary": _summary(files, properties),
        "schema-id": 0,
    }
    name = f"00000-{uuid.uuid4()}.metadata.json"
    _write(directory / name, msgspec.json.encode(_metadata(uri, schema, columns, snapshot)))
    return snapshot_id, f"{uri}/metadata/{name}"


def _write(path: Path, data: bytes) -> None:
    with path.open("xb") as file:
        file.write(data)


def _metadata(
    uri: str, schema: Mapping[str, object], columns: Sequence[Column], snapshot: Mapping[str, object]
) -> dict[str, object]:
    snapshot_id, now = snapshot["snapshot-id"], snapshot["timestamp-ms"]
    return {
        "format-version": 2,
        "table-uuid": str(uuid.uuid4()),
        "location": uri,
        "last-sequence-number": snapshot["sequence-number"],
        "last-updated-ms": now,
        "last-column-id": max(max(column.field_id, column.element_id) for column in columns),
        "schemas": [schema],
        "current-schema-id": 0,
        "partition-specs": [{"spec-id": 0, "fields": []}],
        "default-spec-id": 0,
        "last-partition-id": _LAST_PARTITION_FIELD,
        "sort-orders": [{"order-id": 0, "fields": []}],
        "default-sort-order-id": 0,
        "properties": _PROPERTIES,
        "current-snapshot-id": snapshot_id,
        "snapshots": [snapshot],
        "snapshot-log": [{"snapshot-id": snapshot_id, "timestamp-ms": now}],
        "metadata-log": [],
        "refs": {"main": {"snapshot-id": snapshot_id, "type": "branch"}},
        "statistics": [],
        "partition-statistics": [],
    }


def _schema(columns: Sequence[Column]) -> dict[str, object]:
    fields = [
        {"id": column.field_id, "name": column.name, "type": _type(column), "required": column.required}
        for column in columns
    ]
    return {"type": "struct", "fields": fields, "schema-id": 0, "identifier-field-ids": []}


def _type(column: Column) -> str | dict[str, object]:
    if not column.type.startswith("list<"):
        return _TYPES[column.type]
    element = _TYPES[column.type[5:-1]]
    return {"type": "list", "element-id": column.element_id, "element": element, "element-required": False}


def _summary(files: Sequence[DataFacts], properties: Mapping[str, str]) -> dict[str, str]:
    size, rows = str(sum(file.size for file in files)), str(sum(file.rows for file in files))
    added = {"added-files-size": size, "added-data-files": str(len(files)), "added-records": rows} if files else {}
    return {
        "operation": "append",
        **added,
        **properties,
        "total-data-files": str(len(files)),
        "total-delete-files": "0",
        "total-records": rows,
        "total-files-size": size,
        "total-position-deletes": "0",
        "total-equality-deletes": "0",
    }
