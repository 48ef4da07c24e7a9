"""Columns of a Parquet file by dotted path, and the property type that each Arrow type stands for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mixtera.arrow import from_numpy
from mixtera.contracts.properties import PropertyType
from mixtera.errors import SampleError
from mixtera.formats.paths import Keys, split_elements
from mixtera.formats.values import ARROW_TYPES


@dataclass(frozen=True, slots=True)
class Column:
    """A column to read.

    Attributes:
        name: The name to give it to Parquet's reader, with dots.
        keys: The top-level column and the struct fields to follow inside it.
        type: Its Arrow type; a list where elements are taken.
        elements: The struct fields to follow inside each element of the list at `keys`, then inside each element of
            the list at the end of those, and so on.
    """

    name: str
    keys: tuple[str, ...]
    type: pa.DataType
    elements: tuple[Keys, ...] = ()


def find_column(schema: pa.Schema, path: str, place: str = "the file") -> Column | None:
    """The column at a dotted path, or None; a column whose name holds the dots itself goes first.

    Raises:
        SampleError: Elements are taken of what is no list, or several columns have the name; names the `place`.
    """
    if path in schema.names:
        _check_once(schema, path, place)
        return Column(path, (path,), schema.field(path).type)
    keys, *elements = split_elements(path)
    if keys[0] not in schema.names:
        return None
    _check_once(schema, keys[0], place)
    found = _field_of(schema.field(keys[0]).type, keys[1:])
    for inner in elements:
        if found is not None and not is_list(found) and not pa.types.is_null(found):
            raise SampleError(f"{place}: {path!r} takes the elements of {found}, which is no list: leave [*] out")
        found = None if found is None or not is_list(found) else _field_of(found.value_type, inner)
    if found is None:
        return None
    return Column(".".join(keys), keys, pa.list_(found) if elements else found, tuple(elements))


def _check_once(schema: pa.Schema, name: str, place: str) -> None:
    if schema.names.count(name) > 1:
        raise SampleError(
            f"{place}: {schema.names.count(name)} columns are named {name!r}: write the file again with different names"
        )


def _field_of(found: pa.DataType, keys: Keys) -> pa.DataType | None:
    """The type at the end of some struct fields; None where there is no such field."""
    for key in keys:
        if not pa.types.is_struct(found) or found.get_field_index(key) < 0:
            return None
        found = found.field(key).type
    return found


def values_of(batch: pa.RecordBatch, column: Column) -> pa.Array:
    """The column's values; NULL where a struct on the way is NULL, a list of values where elements are taken."""
    array = _fields_of(batch.column(column.keys[0]), column.keys[1:])
    return elements_of(array, column.elements) if column.elements else array


def _fields_of(array: pa.Array, keys: Keys) -> pa.Array:
    for key in keys:
        array = pc.struct_field(array, key)
    return array


def elements_of(lists: pa.Array, elements: Sequence[Keys]) -> pa.ListArray:
    """The values inside the elements of lists, and of lists inside those, as one list each; a NULL list is empty."""
    edges = _edges(lists)
    values = _fields_of(lists.flatten(), elements[0])
    for inner in elements[1:]:
        edges = _edges(values)[edges]
        values = _fields_of(values.flatten(), inner)
    return pa.ListArray.from_arrays(from_numpy(edges), values)


def _edges(lists: pa.Array) -> npt.NDArray[np.int32]:
    """Where the elements of each list begin when all are put together."""
    lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy()
    edges = np.zeros(len(lists) + 1, np.int64)
    np.cumsum(lengths, out=edges[1:])
    return edges.astype(np.int32)


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
