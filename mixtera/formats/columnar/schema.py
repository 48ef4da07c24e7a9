"""Columns of a Parquet file by dotted path, and the property type that each Arrow type stands for."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from mixtera.contracts.properties import PropertyType
from mixtera.errors import SampleError
from mixtera.formats.paths import split_path
from mixtera.formats.values import ARROW_TYPES


@dataclass(frozen=True, slots=True)
class Column:
    """A column to read.

    Attributes:
        name: The name to give it to Parquet's reader, with dots.
        keys: The top-level column and the struct fields to follow inside it.
        type: Its Arrow type.
    """

    name: str
    keys: tuple[str, ...]
    type: pa.DataType


def find_column(schema: pa.Schema, path: str) -> Column | None:
    """The column at a dotted path, or None; a column whose name holds the dots itself goes first."""
    if path in schema.names:
        return Column(path, (path,), schema.field(path).type)
    keys = split_path(path)
    if keys[0] not in schema.names:
        return None
    found = schema.field(keys[0]).type
    for key in keys[1:]:
        if not pa.types.is_struct(found) or found.get_field_index(key) < 0:
            return None
        found = found.field(key).type
    return Column(".".join(keys), keys, found)


def values_of(batch: pa.RecordBatch, column: Column) -> pa.Array:
    """The column's values; NULL where a struct on the way is NULL."""
    array = batch.column(column.keys[0])
    for key in column.keys[1:]:
        array = pc.struct_field(array, key)
    return array


def plain_type(found: pa.DataType) -> pa.DataType:
    """A type without dictionary encoding, and with strings and bytes in their one usual representation."""
    if pa.types.is_dictionary(found):
        return plain_type(found.value_type)
    if pa.types.is_large_string(found) or pa.types.is_string_view(found):
        return pa.string()
    if pa.types.is_large_binary(found) or pa.types.is_binary_view(found) or pa.types.is_fixed_size_binary(found):
        return pa.binary()
    return found


def property_type(found: pa.DataType) -> PropertyType | None:
    """The property type that an Arrow type is read as; None if it cannot be a property."""
    if is_list(found):
        return _list_type(property_type(found.value_type))
    found = plain_type(found)
    if pa.types.is_integer(found):
        return "int64"
    if pa.types.is_floating(found) or pa.types.is_decimal(found):
        return "float64"
    if pa.types.is_timestamp(found):
        return "timestamp"
    if pa.types.is_date(found):
        return "date"
    return "string" if found == pa.string() else "bool" if found == pa.bool_() else None


def _list_type(element: PropertyType | None) -> PropertyType | None:
    match element:
        case "string":
            return "list<string>"
        case "int64":
            return "list<int64>"
        case "float64":
            return "list<float64>"
        case _:
            return None


def is_list(found: pa.DataType) -> bool:
    """Whether a type is a list of any representation."""
    return bool(pa.types.is_list(found) or pa.types.is_large_list(found) or pa.types.is_fixed_size_list(found))


_CONVERTIBLE: dict[PropertyType, frozenset[PropertyType]] = {
    "int64": frozenset({"float64"}),
    "float64": frozenset({"int64"}),
    "date": frozenset({"timestamp", "string"}),
    "timestamp": frozenset({"date", "string"}),
    "list<int64>": frozenset({"list<float64>"}),
    "list<float64>": frozenset({"list<int64>"}),
}
"""For a declared type, the types of a file that are cast to it, each value checked."""


def check_convertible(found: pa.DataType, wanted: PropertyType, what: str) -> None:
    """Refuse a column whose type has nothing to do with the declared one.

    Raises:
        SampleError: So it is.
    """
    if pa.types.is_null(found):
        return
    present = property_type(found)
    if present is not None and (present == wanted or present in _CONVERTIBLE.get(wanted, ())):
        return
    hint = "use a dotted path to one of its fields" if pa.types.is_struct(found) else "declare another type"
    if present is not None:
        hint = f"declare it as {present}"
    raise SampleError(f"{what} is of type {found} and cannot be read as {wanted}: {hint}")


def arrow_type(wanted: PropertyType) -> pa.DataType:
    """The Arrow type in which a property is delivered."""
    return ARROW_TYPES[wanted]
