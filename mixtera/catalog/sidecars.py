"""Sidecar tables: their files, their columns, and their rows in batches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO, Final

import pyarrow as pa
import pyarrow.parquet as pq

from mixtera.catalog.derived import SidecarTable, fingerprint_of
from mixtera.catalog.model import Definition
from mixtera.contracts.format import PropertyColumn
from mixtera.contracts.properties import PropertyType
from mixtera.contracts.storage import FileInfo, StorageOptions
from mixtera.errors import CatalogError, Issue, MixteraError, SpecError
from mixtera.formats.columnar.schema import property_type
from mixtera.registry import storage_of, storage_of_file
from mixtera.spec.model import Place, Sidecar, Source

BATCH_ROWS: Final = 1 << 18
_CSV_BLOCK_BYTES: Final = 16 << 20


def list_sidecars(source: Source) -> list[tuple[FileInfo, ...]]:
    """The files of each sidecar of a source.

    Raises:
        StorageError: A pattern matches nothing, or a directory cannot be read.
        PluginError: No storage knows the URL.
    """
    return [
        tuple(file for path in sidecar.paths for file in storage_of(path, source.storage).expand([path]))
        for sidecar in source.sidecars
    ]


def sidecar_tables(
    source: Source,
    listed: Sequence[Sequence[FileInfo]],
    types: Mapping[str, PropertyType],
    before: Definition | None,
) -> tuple[SidecarTable, ...]:
    """The sidecars of a source with a type for every column: as declared, as stored, or that of the column.

    Args:
        source: The source.
        listed: The files of each of its sidecars.
        types: Types of the properties that are read from the records.
        before: What the source was indexed as.

    Raises:
        SpecError: A table lacks a column, or it is of no type that a property may have; an id is no id.
        CatalogError: A table cannot be read.
    """
    known = {} if before is None else {table.fingerprint: table for table in before.sidecars}
    found = []
    for sidecar, files in zip(source.sidecars, listed, strict=True):
        name = sidecar.on[0][0]
        if not sidecar.by_row and types[name] not in ("int64", "string"):
            raise SpecError([_issue(sidecar.place, f"on: {name} is {types[name]}; an id is int64 or string")])
        fingerprint = fingerprint_of(files)
        stored = known.get(fingerprint)
        have = {} if stored is None else {column.path: column.type for column in stored.columns}
        schema = None if stored is not None and _serves(have, sidecar) else _schema(sidecar, files, source.storage)
        columns = _columns(sidecar, have, schema, files)
        found.append(SidecarTable(sidecar.paths, sidecar.on, fingerprint, columns))
    return tuple(found)


def _serves(have: Mapping[str, PropertyType], sidecar: Sidecar) -> bool:
    return all(wanted.path in have for wanted in sidecar.properties)


def _schema(sidecar: Sidecar, files: Sequence[FileInfo], options: StorageOptions) -> pa.Schema:
    schema = schema_of(files[0], options)
    for column in (*(column for _, column in sidecar.on), *(wanted.path for wanted in sidecar.properties)):
        if column not in schema.names:
            raise SpecError([_issue(sidecar.place, str(no_column(files[0], column, schema.names)))])
    return schema


def _columns(
    sidecar: Sidecar, have: Mapping[str, PropertyType], schema: pa.Schema | None, files: Sequence[FileInfo]
) -> tuple[PropertyColumn, ...]:
    columns = []
    for wanted in sidecar.properties:
        kind = wanted.type or (have[wanted.path] if schema is None else property_type(schema.field(wanted.path).type))
        if kind is None:
            assert schema is not None
            message = (
                f"property {wanted.name!r}: the column {wanted.path!r} of {files[0].url} is "
                f"{schema.field(wanted.path).type}, which no property can be; name another column, or declare a type"
            )
            raise SpecError([_issue(wanted.place, message)])
        columns.append(PropertyColumn(wanted.name, wanted.path, kind))
    return tuple(columns)


def _issue(place: Place, message: str) -> Issue:
    return Issue(place.file, place.line, place.column, message)


def no_column(file: FileInfo, column: str, names: Sequence[str]) -> CatalogError:
    """The error for a table that lacks a column."""
    return CatalogError(f"the sidecar {file.url} has no column {column!r}; it has: {', '.join(names)}")


def schema_of(file: FileInfo, options: StorageOptions) -> pa.Schema:
    """Names and types of the columns of a table.

    Raises:
        CatalogError: It cannot be read.
        StorageError: It cannot be opened.
    """
    with _opened(file, options) as opened:
        if _kind(file) == "parquet":
            with pq.ParquetFile(opened) as parquet:
                return parquet.schema_arrow
        if _kind(file) == "csv":
            return _csv(opened, {}).schema
        return _ipc(opened)[0]


def table_batches(
    file: FileInfo, columns: Sequence[str], types: Mapping[str, pa.DataType], options: StorageOptions
) -> Iterator[pa.RecordBatch]:
    """Some columns of a table, in batches of bounded size.

    Args:
        file: The table.
        columns: Names of columns; one that is named twice comes once.
        types: What the text of a CSV file is read as, column by column.
        options: What the spec says of storages.

    Raises:
        CatalogError: It cannot be read, or lacks a column.
        StorageError: It cannot be opened.
    """
    names = list(dict.fromkeys(columns))
    schema = schema_of(file, options)
    for name in names:
        if name not in schema.names:
            raise no_column(file, name, schema.names)
    with _opened(file, options) as opened:
        if _kind(file) == "parquet":
            with pq.ParquetFile(opened) as parquet:
                for group in range(parquet.num_row_groups):  # all at once would keep the bytes of all
                    yield from parquet.iter_batches(BATCH_ROWS, row_groups=[group], columns=names, use_threads=False)
        elif _kind(file) == "csv":
            yield from _csv(opened, {name: types[name] for name in names})
        else:
            for batch in _ipc(opened)[1]:
                yield batch.select(names)


def _kind(file: FileInfo) -> str:
    name = file.url.lower()
    return "parquet" if name.endswith(".parquet") else "csv" if name.endswith(".csv") else "arrow"


@contextmanager
def _opened(file: FileInfo, options: StorageOptions) -> Iterator[BinaryIO]:
    try:
        with storage_of_file(file, options).open(file.url) as opened:
            yield opened
    except MixteraError:
        raise
    except (pa.ArrowException, ValueError, KeyError, OSError) as error:
        raise CatalogError(
            f"the sidecar {file.url} cannot be read: {' '.join(str(error).split())}; "
            "nothing was changed: restore it, or take it out of the spec"
        ) from error


def _csv(opened: BinaryIO, types: Mapping[str, pa.DataType]) -> Any:  # noqa: ANN401 - pyarrow has no types
    from pyarrow import csv

    convert = csv.ConvertOptions(include_columns=list(types), column_types=dict(types), strings_can_be_null=True)
    return csv.open_csv(opened, csv.ReadOptions(block_size=_CSV_BLOCK_BYTES), convert_options=convert)


def _ipc(opened: BinaryIO) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    """Arrow's file format, which Feather is too, or a stream."""
    try:
        reader = pa.ipc.open_file(opened)
    except pa.ArrowInvalid:
        opened.seek(0)
        stream = pa.ipc.open_stream(opened)
        return stream.schema, iter(stream)
    return reader.schema, (reader.get_batch(number) for number in range(reader.num_record_batches))
