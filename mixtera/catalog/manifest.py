"""The manifest and the manifest list of a table's first snapshot: they lead from its metadata to its data files.

Version 2 of the format, unpartitioned. Fields and their ids are those of the specification; tests compare what is
written with what pyiceberg writes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from mixtera.catalog.avro import AvroSchema, container
from mixtera.catalog.datafile import DataFacts

_ADDED: Final = 1
_FIRST_SEQUENCE_NUMBER: Final = 1


def _field(name: str, field_id: int, type_: AvroSchema) -> dict[str, Any]:
    return {"name": name, "field-id": field_id, "type": type_}


def _optional(name: str, field_id: int, type_: AvroSchema) -> dict[str, Any]:
    return {**_field(name, field_id, ["null", type_]), "default": None}


def _by_column(name: str, field_id: int, key_id: int, value_id: int, value: str) -> dict[str, Any]:
    """A map from column ids, as Iceberg writes it."""
    fields = [_field("key", key_id, "int"), _field("value", value_id, value)]
    items = {"type": "record", "name": f"k{key_id}_v{value_id}", "fields": fields}
    return _optional(name, field_id, {"type": "array", "items": items, "logicalType": "map"})


def _record(name: str, *fields: dict[str, Any]) -> dict[str, Any]:
    return {"type": "record", "fields": list(fields), "name": name}


def _list(element_id: int, items: AvroSchema) -> dict[str, Any]:
    return {"type": "array", "element-id": element_id, "items": items}


_DATA_FILE: Final = _record(
    "r2",
    _field("content", 134, "int"),
    _field("file_path", 100, "string"),
    _field("file_format", 101, "string"),
    _field("partition", 102, _record("r102")),
    _field("record_count", 103, "long"),
    _field("file_size_in_bytes", 104, "long"),
    _by_column("column_sizes", 108, 117, 118, "long"),
    _by_column("value_counts", 109, 119, 120, "long"),
    _by_column("null_value_counts", 110, 121, 122, "long"),
    _by_column("nan_value_counts", 137, 138, 139, "long"),
    _by_column("lower_bounds", 125, 126, 127, "bytes"),
    _by_column("upper_bounds", 128, 129, 130, "bytes"),
    _optional("key_metadata", 131, "bytes"),
    _optional("split_offsets", 132, _list(133, "long")),
    _optional("equality_ids", 135, _list(136, "long")),
    _optional("sort_order_id", 140, "int"),
)

ENTRY: Final = _record(
    "manifest_entry",
    _field("status", 0, "int"),
    _optional("snapshot_id", 1, "long"),
    _optional("sequence_number", 3, "long"),
    _optional("file_sequence_number", 4, "long"),
    _field("data_file", 2, _DATA_FILE),
)
"""Schema of a manifest: a line per data file."""

_PARTITION_SUMMARY: Final = _record(
    "r508",
    _field("contains_null", 509, "boolean"),
    _optional("contains_nan", 518, "boolean"),
    _optional("lower_bound", 510, "bytes"),
    _optional("upper_bound", 511, "bytes"),
)

MANIFEST: Final = _record(
    "manifest_file",
    _field("manifest_path", 500, "string"),
    _field("manifest_length", 501, "long"),
    _field("partition_spec_id", 502, "int"),
    _field("content", 517, "int"),
    _field("sequence_number", 515, "long"),
    _field("min_sequence_number", 516, "long"),
    _field("added_snapshot_id", 503, "long"),
    _field("added_files_count", 504, "int"),
    _field("existing_files_count", 505, "int"),
    _field("deleted_files_count", 506, "int"),
    _field("added_rows_count", 512, "long"),
    _field("existing_rows_count", 513, "long"),
    _field("deleted_rows_count", 514, "long"),
    _optional("partitions", 507, _list(508, _PARTITION_SUMMARY)),
    _optional("key_metadata", 519, "bytes"),
)
"""Schema of a manifest list: a line per manifest."""


def first_manifest(snapshot_id: int, schema: Mapping[str, object], files: Sequence[DataFacts]) -> bytes:
    """The manifest of a snapshot that adds all its files."""
    metadata = {
        "schema": msgspec.json.encode(schema).decode(),
        "partition-spec": "[]",
        "partition-spec-id": "0",
        "format-version": "2",
        "content": "data",
    }
    return container(ENTRY, metadata, [_entry(snapshot_id, file) for file in files])


def _entry(snapshot_id: int, file: DataFacts) -> dict[str, object]:
    described = {
        "content": 0,
        "file_path": file.uri,
        "file_format": "PARQUET",
        "partition": {},
        "record_count": file.rows,
        "file_size_in_bytes": file.size,
        "column_sizes": file.column_sizes,
        "value_counts": file.value_counts,
        "null_value_counts": file.null_counts,
        "nan_value_counts": {},
        "lower_bounds": file.lower_bounds,
        "upper_bounds": file.upper_bounds,
        "key_metadata": None,
        "split_offsets": None,
        "equality_ids": None,
        "sort_order_id": None,
    }
    inherited = {"sequence_number": None, "file_sequence_number": None}
    return {"status": _ADDED, "snapshot_id": snapshot_id, **inherited, "data_file": described}


def first_manifest_list(snapshot_id: int, uri: str, length: int, files: Sequence[DataFacts]) -> bytes:
    """The manifest list of the first snapshot of a table.

    Args:
        snapshot_id: The snapshot.
        uri: Of its only manifest.
        length: Of that manifest, in bytes.
        files: What the manifest lists; without any, there is no manifest.
    """
    metadata = {
        "snapshot-id": str(snapshot_id),
        "parent-snapshot-id": "null",
        "sequence-number": str(_FIRST_SEQUENCE_NUMBER),
        "format-version": "2",
    }
    manifest = {
        "manifest_path": uri,
        "manifest_length": length,
        "partition_spec_id": 0,
        "content": 0,
        "sequence_number": _FIRST_SEQUENCE_NUMBER,
        "min_sequence_number": _FIRST_SEQUENCE_NUMBER,
        "added_snapshot_id": snapshot_id,
        "added_files_count": len(files),
        "existing_files_count": 0,
        "deleted_files_count": 0,
        "added_rows_count": sum(file.rows for file in files),
        "existing_rows_count": 0,
        "deleted_rows_count": 0,
        "partitions": [],
        "key_metadata": None,
    }
    return container(MANIFEST, metadata, [manifest] if files else [])
