"""An open Parquet file, with errors that name it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from mixtera.contracts.format import ContentColumn
from mixtera.contracts.storage import FileInfo, Storage
from mixtera.errors import MixteraError, SampleError, StorageError
from mixtera.formats.opening import open_unchanged
from mixtera.formats.parquet.schema import Column, find_column

READ_BYTES: Final = 128 << 10
"""Bytes of a column chunk that are read at once."""


@contextmanager
def parquet_errors(file: FileInfo) -> Iterator[None]:
    """Turn what pyarrow raises for a broken file into an error that names it."""
    try:
        yield
    except MixteraError:
        raise
    except OSError as error:
        if error.errno is not None:
            raise StorageError(f"{file.url} cannot be read: {error.strerror}") from error
        raise _broken(file, error) from error
    except pa.ArrowException as error:
        raise _broken(file, error) from error


def _broken(file: FileInfo, error: Exception) -> SampleError:
    return SampleError(f"{file.url} is no whole Parquet file: {error}; it may be cut short: copy or write it again")


def open_parquet(storage: Storage, file: FileInfo) -> pq.ParquetFile:
    """Open a file and read its footer; close the result with `force=True`.

    Raises:
        SampleError: It is not Parquet, or cut short.
        StorageError: It cannot be read.
    """
    source = open_unchanged(storage, file)
    try:
        with parquet_errors(file):
            # with pre_buffer, the default, an open file keeps the bytes of the row group that it read last
            return pq.ParquetFile(pa.PythonFile(source, "r"), pre_buffer=False, buffer_size=READ_BYTES)
    except MixteraError:
        source.close()
        raise


def content_columns(parquet: pq.ParquetFile, file: FileInfo, content: Sequence[ContentColumn]) -> list[Column]:
    """The content columns, all of which must exist.

    Raises:
        SampleError: One does not, or is a struct.
    """
    return [_content_column(parquet.schema_arrow, file, column.path) for column in content]


def _content_column(schema: pa.Schema, file: FileInfo, path: str) -> Column:
    found = find_column(schema, path)
    if found is None:
        raise SampleError(f"{file.url}: no content column {path!r}; the file's columns: {', '.join(schema.names)}")
    if pa.types.is_struct(found.type):
        fields = ", ".join(found.type.field(i).name for i in range(found.type.num_fields))
        raise SampleError(f"{file.url}: content column {path!r} is a struct: name one of its fields ({fields})")
    return found
