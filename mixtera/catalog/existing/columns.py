"""The columns of a table: the same in all of its files, and of types that keys and properties can have."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mixtera.catalog.existing.opening import Opened
from mixtera.catalog.existing.places import BATCH_ROWS
from mixtera.contracts.format import PropertyColumn
from mixtera.contracts.properties import PropertyType
from mixtera.contracts.storage import FileInfo
from mixtera.errors import CatalogError
from mixtera.formats.columnar.schema import is_list, plain_type
from mixtera.spec.issues import suggestion

if TYPE_CHECKING:
    from mixtera.spec.model import ExistingTable, Property, Source

_AT_A_TIME: Final = 8
_ID: Final = b"PARQUET:field_id"
_INTEGERS: Final = (pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32())
_PLAIN: Final[dict[pa.DataType, PropertyType]] = {
    **dict.fromkeys(_INTEGERS, "int64"),
    pa.float32(): "float64",
    pa.float64(): "float64",
    pa.string(): "string",
    pa.bool_(): "bool",
    pa.date32(): "date",
}
_LISTS: Final[dict[PropertyType, PropertyType]] = {
    "string": "list<string>",
    "int64": "list<int64>",
    "float64": "list<float64>",
}
_UNITS: Final = ("ms", "us", "ns")
_KEPT: Final = (
    "a number of 64 bits at most, a text, a bool, a date, a timestamp in UTC or without a zone, or a list of numbers "
    "or texts"
)


def columns_of(source: Source, table: ExistingTable, opened: Opened) -> tuple[pa.Schema, tuple[PropertyColumn, ...]]:
    """The columns that are used, as the files have them, and the properties with their types.

    Raises:
        CatalogError: A column is missing, differs between files, or is of a type that cannot be used.
    """
    names = list(dict.fromkeys([*(column for _, column in table.keys), *(p.path for p in source.properties)]))
    schemas = _schemas(opened.files, table)
    found = [_column(name, opened, schemas, table) for name in names]
    schema = pa.schema(found)
    for key, column in table.keys:
        type_ = schema.field(column).type
        fits = plain_type(type_) == pa.string() if key == "file" else plain_type(type_) in _INTEGERS
        check_key_type(key, column, str(type_), fits, table)
    types = [schema.field(wanted.path).type for wanted in source.properties]
    properties = tuple(
        property_of(wanted, property_type(type_), str(type_), table)
        for wanted, type_ in zip(source.properties, types, strict=True)
    )
    for field in schema:
        if pa.types.is_timestamp(field.type) and field.type.unit == "ns":
            _check_microseconds(field.name, opened, table)
    return schema, properties


def _check_microseconds(name: str, opened: Opened, table: ExistingTable) -> None:
    """Refuse timestamps between two microseconds, which engines round each in another way."""
    for file in opened.files:
        with pq.ParquetFile(file.url, pre_buffer=False) as parquet:
            for batch in parquet.iter_batches(BATCH_ROWS, columns=[name], use_threads=False):
                values = batch.column(0).cast(pa.int64())
                if pc.any(pc.not_equal(pc.multiply(pc.divide(values, 1000), 1000), values)).as_py():
                    raise CatalogError(
                        f"{table.shown}: the column {name!r} has timestamps between two microseconds in {file.url}, "
                        "and engines round them each in another way: cast it to microseconds in the table"
                    )


def _schemas(files: Sequence[FileInfo], table: ExistingTable) -> list[pa.Schema]:
    with ThreadPoolExecutor(_AT_A_TIME) as threads:
        return list(threads.map(lambda file: schema_of(file.url, table.shown), files))


def schema_of(path: str, shown: str) -> pa.Schema:
    """The schema of a Parquet file of a table.

    Raises:
        CatalogError: It cannot be read.
    """
    try:
        return pq.read_schema(path)
    except (OSError, pa.ArrowException) as error:
        raise CatalogError(f"{shown}: {path} cannot be read as Parquet: {error}") from error


def _column(name: str, opened: Opened, schemas: Sequence[pa.Schema], table: ExistingTable) -> pa.Field:
    """A column that all files have alike."""
    first = None
    for file, schema in zip(opened.files, schemas, strict=True):
        count = schema.names.count(name)
        if count != 1 or _of_another(schema.field(name), opened.field_ids.get(name)):
            raise CatalogError(_missing(name, count, file, schema, opened, table))
        found = schema.field(name)
        first = first or (found, file)
        if found.type != first[0].type:
            raise CatalogError(
                f"{table.shown}: the column {name!r} is {first[0].type} in {first[1].url} and {found.type} in "
                f"{file.url}: write the files anew with one type"
            )
    assert first is not None
    return pa.field(name, first[0].type)


def _of_another(found: pa.Field, wanted: int | None) -> bool:
    """Whether a file means another column by this name: one that was renamed or dropped since."""
    written = (found.metadata or {}).get(_ID)
    return wanted is not None and written is not None and int(written) != wanted


def _missing(name: str, count: int, file: FileInfo, schema: pa.Schema, opened: Opened, table: ExistingTable) -> str:
    if count > 1:
        return f"{table.shown}: {file.url} has {count} columns of the name {name!r}"
    if f"/{name}=" in file.url:
        return (
            f"{table.shown}: the column {name!r} is a partition: it is in the names of its folders and not in its "
            "Parquet files; keep it as a column too (under another name), or leave it out"
        )
    if name in opened.field_ids:
        return (
            f"{table.shown}: the column {name!r} is not in {file.url} under this name: the file was written before the "
            "column was added or renamed, or leaves it out as the same for the whole file; rewrite the table's files "
            "(rewrite_data_files), then run it again"
        )
    hint = suggestion(name, schema.names, "columns")
    return f"{table.shown}: no column {name!r} in {file.url}{hint}"


def check_key_type(key: str, column: str, shown: str, fits: bool, table: ExistingTable) -> None:
    """Refuse a column that cannot be a key.

    Args:
        key: The key.
        column: The column.
        shown: Its type, in the table's own words.
        fits: Whether that is a text, or for other keys than `file` a whole number.
        table: The table.

    Raises:
        CatalogError: It does not fit.
    """
    if not fits:
        expected = "a text" if key == "file" else "a whole number (int8 to int64, uint8 to uint32)"
        what = f"the key {key!r} is the column {column!r} of type {shown}"
        raise CatalogError(f"{table.shown}: {what}, and not {expected}")


def property_of(wanted: Property, present: PropertyType | None, shown: str, table: ExistingTable) -> PropertyColumn:
    """A property of a table, with its type.

    Args:
        wanted: What the spec says of it.
        present: What its column is as a property; None where it cannot be one.
        shown: The column's type, in the table's own words.
        table: The table.

    Raises:
        CatalogError: The column cannot be a property, or not of the declared type.
    """
    if present is None:
        where = "a view, and name that as the table" if table.engine else "the table"
        raise CatalogError(
            f"{table.shown}: the column {wanted.path!r} is of type {shown}, and no property can be: {_KEPT}; cast "
            f"it in {where}, or leave the property {wanted.name!r} out"
        )
    if wanted.type not in (None, present) and (wanted.type, present) != ("float64", "int64"):
        raise CatalogError(
            f"{table.shown}: property {wanted.name!r}: the column {wanted.path!r} is {shown}, and cannot be "
            f"{wanted.type}: declare it as {present}"
        )
    return PropertyColumn(wanted.name, wanted.path, wanted.type or present)


def property_type(found: pa.DataType) -> PropertyType | None:
    """What a column of a table is as a property, if all engines can say it alike."""
    if is_list(found):
        element = property_type(found.value_type)
        return None if element is None else _LISTS.get(element)
    if pa.types.is_timestamp(found):
        return "timestamp" if found.unit in _UNITS and found.tz in (None, "UTC", "+00:00", "Z") else None
    return _PLAIN.get(plain_type(found))
