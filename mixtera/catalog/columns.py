"""Columns of the catalog's tables, as Arrow and as Parquet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import pyarrow as pa

from mixtera.contracts.properties import PropertyType
from mixtera.formats.arrays import property_array
from mixtera.formats.values import ARROW_TYPES

ROW_GROUP_ROWS: Final = 131_072
"""Rows of a Parquet row group of the catalog."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a catalog table with its Iceberg field ids; `element_id` is −1 for what is no list."""

    name: str
    type: PropertyType
    required: bool = False
    field_id: int = 0
    element_id: int = -1


def _numbers(*names: str) -> tuple[Column, ...]:
    return tuple(Column(name, "int64") for name in names)


def _strings(*names: str) -> tuple[Column, ...]:
    return tuple(Column(name, "string") for name in names)


def numbered(columns: Sequence[Column]) -> tuple[Column, ...]:
    """The same columns with the field ids of a new Iceberg table: first the columns, then the elements of lists."""
    lists = [column.name for column in columns if column.type.startswith("list<")]
    elements = {name: len(columns) + position for position, name in enumerate(lists, 1)}
    return tuple(
        replace(column, field_id=position, element_id=elements.get(column.name, -1))
        for position, column in enumerate(columns, 1)
    )


SAMPLE_COLUMNS: Final = (Column("file_id", "int64", required=True), *_numbers("row", "offset", "length"))
"""The samples table begins with these; the properties follow."""

FILE_COLUMNS: Final = numbered(
    [
        *_strings("name", "url"),
        *_numbers("file_id", "rows", "samples", "skipped", "quarantined", "size", "modified_ns"),
        *_strings("etag"),
        Column("group_rows", "list<int64>"),
        *_numbers("content_bytes"),
        *_strings("data_file"),
        Column("frames", "list<int64>"),
        *_strings("beside"),
    ]
)
"""The files table: one row per file; `data_file` says which Parquet file of the catalog holds its samples, `frames`
where a compressed file can be entered, and `beside` what its samples were found by (see `FileInfo`); the last two are
NULL in what older releases wrote."""

BAD_COLUMNS: Final = numbered([*_strings("file"), *_numbers("row", "offset"), *_strings("reason", "excerpt")])
"""The quarantine table: one row per record that was left out."""


def sample_columns(types: Mapping[str, PropertyType]) -> tuple[Column, ...]:
    """Columns of the samples table of a source with these properties, without field ids."""
    return (*SAMPLE_COLUMNS, *(Column(name, type_) for name, type_ in types.items()))


def plain_schema(columns: Iterable[Column]) -> pa.Schema:
    """The Arrow schema of some columns as tables in memory have it: names and types alone."""
    return pa.schema([(column.name, ARROW_TYPES[column.type]) for column in columns])


def table_of(rows: Sequence[Mapping[str, object]], columns: Sequence[Column]) -> pa.Table:
    """A table in memory of some rows; numbers and strings and lists of them."""
    arrays = [property_array([row[column.name] for row in rows], column.type) for column in columns]
    return pa.Table.from_arrays(arrays, schema=plain_schema(columns))


def arrow_schema(columns: Iterable[Column]) -> pa.Schema:
    """The Arrow schema of some columns; it carries the field ids that Iceberg finds columns by."""
    return pa.schema([_arrow_field(column) for column in columns])


def _arrow_field(column: Column) -> pa.Field:
    type_ = ARROW_TYPES[column.type]
    if pa.types.is_list(type_):
        type_ = pa.list_(pa.field("element", type_.value_type, metadata=_id(column.element_id)))
    return pa.field(column.name, type_, nullable=not column.required, metadata=_id(column.field_id))


def _id(field_id: int) -> dict[bytes, bytes]:
    return {b"PARQUET:field_id": str(field_id).encode()}


def parquet_options(columns: Sequence[Column]) -> dict[str, Any]:
    """Encodings for the catalog's Parquet files: small, and read by every engine that was tried (FACTS 3).

    Numbers that count up are delta-encoded, random floats are split by byte, everything else has a dictionary.
    """
    deltas = {"file_id", "row", "offset", "length", "rows", "samples", "size", "modified_ns", "content_bytes"}
    counting = [column.name for column in columns if column.name in deltas and column.type == "int64"]
    encodings = dict.fromkeys(counting, "DELTA_BINARY_PACKED")
    encodings |= {column.name: "BYTE_STREAM_SPLIT" for column in columns if column.type == "float64"}
    dictionaries = [
        f"{column.name}.list.element" if column.type.startswith("list") else column.name
        for column in columns
        if column.name not in encodings and column.type != "bool"
    ]
    return {
        "compression": "zstd",
        "use_dictionary": dictionaries,
        "column_encoding": encodings,
        "store_schema": False,
    }
