"""How an Iceberg manifest describes a Parquet file: its size, and counts and bounds of each column, from its footer.

pyiceberg can do it too, but in a module that imports pandas and every file system of pyarrow, for 0.2 s.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pyarrow.parquet as pq

from mixtera.catalog.columns import Column

BOUND_CHARACTERS: Final = 16
"""Bounds of strings are cut to so many characters."""

_PACKED: Final[Mapping[str, Callable[[Any], bytes]]] = {
    "int64": struct.Struct("<q").pack,
    "float64": struct.Struct("<d").pack,
    "bool": struct.Struct("?").pack,
    "date": struct.Struct("<i").pack,
    "timestamp": struct.Struct("<q").pack,
}
"""Iceberg's bytes for a bound, from what Parquet keeps of it: days and microseconds since 1970 are numbers there."""


@dataclass(frozen=True, slots=True)
class DataFacts:
    """What a manifest says of a Parquet file; the mappings are by field id.

    Attributes:
        uri: Its place, as recorded.
        rows: Its rows.
        size: Its bytes.
        column_sizes: Compressed bytes.
        value_counts: Values, null ones among them.
        null_counts: Null values.
        lower_bounds: Nothing is smaller.
        upper_bounds: Nothing is larger.
    """

    uri: str
    rows: int
    size: int
    column_sizes: Mapping[int, int]
    value_counts: Mapping[int, int]
    null_counts: Mapping[int, int]
    lower_bounds: Mapping[int, bytes]
    upper_bounds: Mapping[int, bytes]


@dataclass
class _Facts:
    """What the footer says of one column, over all row groups; bounds are known if each group with values has them."""

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
            self.smallest.append(statistics.min_raw)
            self.largest.append(statistics.max_raw)
        self.bounded = self.bounded and (statistics.has_min_max or statistics.null_count == column.num_values)


def data_facts(path: Path, uri: str, columns: Sequence[Column]) -> DataFacts:
    """Describe a Parquet file of an unpartitioned table.

    Args:
        path: Where it lies.
        uri: What to record as its place.
        columns: The table's columns with their field ids; the file has exactly these.

    Raises:
        OSError: It cannot be read.
    """
    footer = pq.read_metadata(path)
    ids = dict(_ids(columns))
    facts = {field_id: _Facts() for field_id in ids.values()}
    for group in range(footer.num_row_groups):
        row_group = footer.row_group(group)
        for position in range(footer.num_columns):
            column = row_group.column(position)
            facts[ids[column.path_in_schema]].add(column)
    bounded = [
        (column.field_id, column.type, facts[column.field_id])
        for column in columns
        if column.element_id < 0 and facts[column.field_id].bounded and facts[column.field_id].smallest
    ]
    uppers = ((field_id, upper_bound(type_, max(found.largest))) for field_id, type_, found in bounded)
    return DataFacts(
        uri,
        footer.num_rows,
        path.stat().st_size,
        {field_id: found.size for field_id, found in facts.items()},
        {field_id: found.values for field_id, found in facts.items()},
        {field_id: found.nulls for field_id, found in facts.items()},
        {field_id: lower_bound(type_, min(found.smallest)) for field_id, type_, found in bounded},
        {field_id: upper for field_id, upper in uppers if upper is not None},
    )


def _ids(columns: Sequence[Column]) -> Iterator[tuple[str, int]]:
    """Path in Parquet → field id; of a list, those of its elements."""
    for column in columns:
        if column.element_id < 0:
            yield column.name, column.field_id
        else:
            yield f"{column.name}.list.element", column.element_id


def lower_bound(type_: str, smallest: Any) -> bytes:  # noqa: ANN401 - as Parquet has it
    """Iceberg's bytes of a lower bound."""
    if type_ == "string":
        return str(smallest, "utf-8")[:BOUND_CHARACTERS].encode()
    return _PACKED[type_](smallest)


def upper_bound(type_: str, largest: Any) -> bytes | None:  # noqa: ANN401 - as Parquet has it
    """Iceberg's bytes of an upper bound; None where a long string of the last characters of Unicode has none."""
    if type_ != "string":
        return _PACKED[type_](largest)
    text = str(largest, "utf-8")
    return text.encode() if len(text) <= BOUND_CHARACTERS else _after(text[:BOUND_CHARACTERS])


def _after(text: str) -> bytes | None:
    """The smallest string of at most this length that is greater than all that begin like this."""
    for length in range(len(text), 0, -1):
        following = ord(text[length - 1]) + 1
        if 0xD800 <= following < 0xE000:  # surrogates, which are no characters
            following = 0xE000
        if following <= 0x10FFFF:
            return (text[: length - 1] + chr(following)).encode()
    return None
