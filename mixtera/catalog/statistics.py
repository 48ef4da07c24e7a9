"""Counts and values of the properties of a source, one column in memory at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from mixtera.arrow import to_python
from mixtera.catalog.columns import Column, plain_schema
from mixtera.catalog.model import Definition
from mixtera.contracts.properties import PropertyType
from mixtera.formats.columnar.convert import convert
from mixtera.formats.values import ARROW_TYPES

TOP_VALUES: Final = 10
Value: TypeAlias = object
"""A property's value as Python has it: str, int, float, bool, date or datetime."""


@dataclass(frozen=True, slots=True)
class PropertyStatistics:
    """What the samples of a source have as one property.

    Attributes:
        name: The property.
        type: Its type.
        samples: All samples.
        missing: Samples that have no value (for lists: an empty one).
        distinct: Different values (for lists: of elements).
        smallest: The least value; None where there is none.
        largest: The greatest value; likewise.
        top: The most frequent values with their numbers of samples (for lists: of elements).
    """

    name: str
    type: PropertyType
    samples: int
    missing: int
    distinct: int
    smallest: Value
    largest: Value
    top: tuple[tuple[Value, int], ...]


def statistics(data_files: Sequence[str], definition: Definition, only: str | None) -> list[PropertyStatistics]:
    """Statistics of each property, or of one."""
    wanted = [(name, type_) for name, type_ in definition.types.items() if only in (None, name)]
    if definition.table is not None:
        names = {column.name: column.path for column in definition.properties}
        return [_of(_converted(data_files, definition, names[name], type_), name, type_) for name, type_ in wanted]
    return [_of(_column(data_files, name, type_), name, type_) for name, type_ in wanted]


def _converted(data_files: Sequence[str], definition: Definition, column: str, type_: PropertyType) -> pa.ChunkedArray:
    """A column of a table of others, as a property."""
    target = ARROW_TYPES[type_]
    if definition.table is not None and definition.table.engine:
        from mixtera.catalog.existing.held import held_values

        found = held_values(definition.table, definition.properties, column)
    else:
        found = ds.dataset(list(data_files), format="parquet").to_table(columns=[column]).column(column)
    return pa.chunked_array([convert(chunk, target)[0] for chunk in found.chunks], target)


def _column(data_files: Sequence[str], name: str, type_: PropertyType) -> pa.ChunkedArray:
    schema = plain_schema([Column(name, type_)])
    if not data_files:
        return pa.chunked_array([], schema.field(0).type)
    return ds.dataset(list(data_files), schema=schema, format="parquet").to_table(columns=[name]).column(name)


def _of(values: pa.ChunkedArray, name: str, type_: PropertyType) -> PropertyStatistics:
    samples = len(values)
    if type_.startswith("list<"):
        missing = pc.sum(pc.equal(pc.list_value_length(values), 0)).as_py() or 0
        values = pc.list_flatten(values)
    else:
        missing = values.null_count
    values = values.drop_null()
    counts = pc.value_counts(values)
    bounds = pc.min_max(values)
    smallest, largest = (to_python(pa.repeat(bounds[name], 1))[0] for name in ("min", "max"))
    return PropertyStatistics(
        name,
        type_,
        samples,
        missing,
        len(counts),
        smallest,
        largest,
        _top(counts),
    )


def _top(counts: pa.StructArray) -> tuple[tuple[Value, int], ...]:
    order = pc.select_k_unstable(
        pa.table({"value": counts.field("values"), "count": counts.field("counts")}),
        k=min(TOP_VALUES, len(counts)),
        sort_keys=[("count", "descending"), ("value", "ascending")],
    )
    most = counts.take(order)
    return tuple(zip(to_python(most.field("values")), most.field("counts").to_pylist(), strict=True))
