"""An open Parquet file, with errors that name it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from mixtera.contracts.storage import FileInfo, Storage
from mixtera.errors import MixteraError, SampleError, StorageError
from mixtera.formats.opening import open_unchanged

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
