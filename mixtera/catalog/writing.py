"""Writing Parquet files of the catalog in row groups of a fixed size, whatever the size of the pieces that come."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

import pyarrow as pa
import pyarrow.parquet as pq

from mixtera.catalog.columns import ROW_GROUP_ROWS, Column, arrow_schema, parquet_options
from mixtera.catalog.durable import flush
from mixtera.errors import StorageError


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn a failure to write into a StorageError that names the file and the way out."""
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"cannot write {path}: {os.strerror(error.errno) if error.errno else error}; the catalog is as it was. "
            "Free some space, or put the catalog elsewhere with --catalog"
        ) from error


class ParquetFile:
    """A Parquet file being written; it exists only once a row was added."""

    def __init__(self, path: Path, columns: Sequence[Column], *, flushed: bool = True) -> None:
        """Begin a file.

        Args:
            path: Its path.
            columns: Its columns.
            flushed: Whether it is on the disk when it is closed; else whoever needs that calls `flush`.
        """
        self._path = path
        self._flushed = flushed
        self._columns = tuple(columns)
        self._schema = arrow_schema(columns)
        self._writer: pq.ParquetWriter | None = None
        self._waiting: list[pa.RecordBatch] = []
        self._waiting_rows = 0

    def __enter__(self) -> ParquetFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        elif self._writer is not None:
            _abandon(self._writer)

    def add(self, arrays: Sequence[pa.Array]) -> None:
        """Add rows, one array per column, in the order of the columns.

        Raises:
            StorageError: They cannot be written.
        """
        arrays = [_as(array, field.type) for array, field in zip(arrays, self._schema, strict=True)]
        batch = pa.RecordBatch.from_arrays(arrays, schema=self._schema)
        self._waiting.append(batch)
        self._waiting_rows += batch.num_rows
        if self._waiting_rows >= ROW_GROUP_ROWS:
            self._write(final=False)

    def close(self) -> None:
        """Write what is left, and the footer."""
        if self._waiting_rows:
            self._write(final=True)
        if self._writer is not None:
            with storage_errors(self._path):
                self._writer.close()
                if self._flushed:
                    flush(self._path)

    def _write(self, final: bool) -> None:
        table = pa.Table.from_batches(self._waiting, self._schema)
        stop = len(table) if final else len(table) - len(table) % ROW_GROUP_ROWS
        with storage_errors(self._path):
            if self._writer is None:
                self._writer = pq.ParquetWriter(self._path, self._schema, **parquet_options(self._columns))
            self._writer.write_table(table.slice(0, stop), ROW_GROUP_ROWS)
        self._waiting = table.slice(stop).to_batches()
        self._waiting_rows = len(table) - stop


def _abandon(writer: pq.ParquetWriter) -> None:
    """Close a writer whose file nobody will read; that the disk is full was said already."""
    try:
        writer.close()
    except OSError:
        return


def _as(array: pa.Array, type_: pa.DataType) -> pa.Array:
    return array if array.type.equals(type_) else array.cast(type_)


def write_table(path: Path, columns: Sequence[Column], table: pa.Table, *, flushed: bool = True) -> bool:
    """Write a whole table; nothing when it has no rows.

    Returns:
        Whether a file was written; it is on the disk if `flushed`.
    """
    with ParquetFile(path, columns, flushed=flushed) as file:
        for batch in table.select([column.name for column in columns]).to_batches(ROW_GROUP_ROWS):
            file.add(batch.columns)
    return len(table) > 0
