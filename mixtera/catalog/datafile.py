"""How an Iceberg manifest describes a Parquet file: its size, and counts and bounds of each column, from its footer.

pyiceberg can do it too, but in a module that imports pandas and every file system of pyarrow, for 0.2 s.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pyarrow.parquet as pq
from pyiceberg.conversions import to_bytes
from pyiceberg.manifest import DataFile, DataFileContent, FileFormat
from pyiceberg.schema import Schema
from pyiceberg.typedef import Record
from pyiceberg.types import ListType, PrimitiveType, StringType
from pyiceberg.utils.truncate import truncate_upper_bound_text_string

BOUND_CHARACTERS: Final = 16
"""Bounds of strings are cut to so many characters."""


@dataclass
class _Facts:
    """What the footer says of one column, over all row groups; bounds are None until a value was seen."""

    size: int = 0
    values: int = 0
    nulls: int = 0
    smallest: list[Any] = field(default_factory=list)
    largest: list[Any] = field(default_factory=list)
    bounded: bool = True

    def add(self, column: pq.ColumnChunkMetaData) -> None:
        self.size += column.total_compressed_size
        self.values += column.num_values
        statistics = column.statistics
        if statistics is None:
            self.bounded = False
            return
        self.nulls += statistics.null_count
        if statistics.has_min_max:
            self.smallest.append(statistics.min)
            self.largest.append(statistics.max)
        self.bounded = self.bounded and (statistics.has_min_max or statistics.null_count == column.num_values)


def data_file(path: Path, uri: str, schema: Schema) -> DataFile:
    """Describe a Parquet file of an unpartitioned table.

    Args:
        path: Where it lies.
        uri: What to record as its place.
        schema: The table's schema; the file has exactly its columns.

    Raises:
        OSError: It cannot be read.
    """
    footer = pq.read_metadata(path)
    types = dict(_columns(schema))
    facts = {field_id: _Facts() for field_id, _ in types.values()}
    for group in range(footer.num_row_groups):
        for position in range(footer.num_columns):
            column = footer.row_group(group).column(position)
            facts[types[column.path_in_schema][0]].add(column)
    bounded = {
        field_id: (type_, facts[field_id])
        for field_id, type_ in types.values()
        if type_ is not None and facts[field_id].bounded and facts[field_id].smallest
    }
    return DataFile.from_args(
        content=DataFileContent.DATA,
        file_path=uri,
        file_format=FileFormat.PARQUET,
        partition=Record(),
        record_count=footer.num_rows,
        file_size_in_bytes=path.stat().st_size,
        column_sizes={field_id: found.size for field_id, found in facts.items()},
        value_counts={field_id: found.values for field_id, found in facts.items()},
        null_value_counts={field_id: found.nulls for field_id, found in facts.items()},
        nan_value_counts={},
        lower_bounds={field_id: _lower(type_, found) for field_id, (type_, found) in bounded.items()},
        upper_bounds={
            field_id: upper
            for field_id, (type_, found) in bounded.items()
            if (upper := _upper(type_, found)) is not None
        },
        key_metadata=None,
        split_offsets=None,
        equality_ids=None,
        sort_order_id=None,
        spec_id=0,
    )


def _columns(schema: Schema) -> Iterator[tuple[str, tuple[int, PrimitiveType | None]]]:
    """Path in Parquet → field id, and the type where bounds are written: not for elements of lists."""
    for column in schema.fields:
        if isinstance(column.field_type, ListType):
            yield f"{column.name}.list.element", (column.field_type.element_id, None)
        elif isinstance(column.field_type, PrimitiveType):
            yield column.name, (column.field_id, column.field_type)


def _lower(type_: PrimitiveType, found: _Facts) -> bytes:
    smallest = min(found.smallest)
    return to_bytes(type_, smallest[:BOUND_CHARACTERS] if isinstance(type_, StringType) else smallest)


def _upper(type_: PrimitiveType, found: _Facts) -> bytes | None:
    largest = max(found.largest)
    if isinstance(type_, StringType):
        largest = truncate_upper_bound_text_string(largest, BOUND_CHARACTERS)
    return None if largest is None else to_bytes(type_, largest)
