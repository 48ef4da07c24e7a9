"""Content of samples that the catalog knows, read in file order for functions that compute from it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

import numpy as np
import pyarrow as pa

from mixtera.arrow import to_numpy
from mixtera.catalog.derivation import BasedFile
from mixtera.contracts.format import ContentColumn, Framed, ReadRequest, SampleReader
from mixtera.contracts.storage import StorageOptions
from mixtera.formats.columnar.schema import plain_type
from mixtera.registry import format_named, storage_of_file

CACHE_BYTES: Final = 256 << 20
"""Bytes of decoded row groups that a reader may keep."""


class Contents:
    """Reads content columns of rows that come in file order; one file is open at a time."""

    def __init__(self, format_: str, columns: Sequence[ContentColumn], options: StorageOptions) -> None:
        self._format, self._columns, self._options = format_named(format_), tuple(columns), options
        self._file: BasedFile | None = None
        self._reader: SampleReader | None = None

    def __enter__(self) -> Contents:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file that is open."""
        if self._reader is not None:
            self._reader.close()
        self._file = self._reader = None

    def read(self, parts: Sequence[tuple[BasedFile, pa.RecordBatch]]) -> dict[str, pa.Array]:
        """The content of rows of some files, one after the other: column → values.

        Raises:
            SampleError: A record cannot be read.
            StorageError: A file cannot be read, or is another one now.
        """
        if not self._columns:
            return {}
        batch = self._format.read(self._requests(parts))
        return {column.name: _plain(batch.column(column.name)) for column in self._columns}

    def _requests(
        self, parts: Sequence[tuple[BasedFile, pa.RecordBatch]]
    ) -> Iterator[tuple[SampleReader, ReadRequest]]:
        for file, rows in parts:
            yield self._opened(file), _request(rows)

    def _opened(self, file: BasedFile) -> SampleReader:
        if self._reader is None or self._file is not file:
            self.close()
            self._reader = self._reader_of(file)
            self._file = file
        return self._reader

    def _reader_of(self, file: BasedFile) -> SampleReader:
        """A compressed file is entered at its frames, where the scan has found some."""
        storage, plugin = storage_of_file(file.info, self._options), self._format
        if file.scanned.frames and isinstance(plugin, Framed):
            frames = np.array(file.scanned.frames, np.int64).reshape(-1, 2)
            return plugin.framed_reader(storage, file.info, self._columns, CACHE_BYTES, frames)
        return plugin.reader(storage, file.info, self._columns, CACHE_BYTES)


def _request(rows: pa.RecordBatch) -> ReadRequest:
    """A request for rows; a record is asked for with its line end, as plans do."""
    row = to_numpy(rows.column("row")).astype(np.int64)
    if rows.column("offset").null_count:
        return ReadRequest(row)
    start = to_numpy(rows.column("offset")).astype(np.int64)
    return ReadRequest(row, start, start + to_numpy(rows.column("length")).astype(np.int64) + 1)


def _plain(array: pa.Array) -> pa.Array:
    """Strings and bytes in their usual types, so that a function sees the same from every format."""
    if pa.types.is_dictionary(array.type):
        return _plain(array.dictionary_decode())
    target = plain_type(array.type)
    return array if array.type.equals(target) else array.cast(target)


def cells(
    batches: Iterator[tuple[BasedFile, pa.RecordBatch]], most_rows: int, most_bytes: int
) -> Iterator[list[tuple[BasedFile, pa.RecordBatch]]]:
    """Rows of files, put together and cut so that their content has a bounded number of rows and bytes.

    A record that is larger than that stands alone.
    """
    cell: list[tuple[BasedFile, pa.RecordBatch]] = []
    rows = size = 0
    for file, batch in batches:
        ends = np.cumsum(_sizes(file, batch))
        first = 0
        while first < batch.num_rows:
            before = int(ends[first - 1]) if first else 0
            fitting = int(np.searchsorted(ends, before + most_bytes - size, side="right"))
            last = min(fitting, first + most_rows - rows, batch.num_rows)
            if last <= first and cell:
                yield cell
                cell, rows, size = [], 0, 0
                continue
            last = max(last, first + 1)
            cell.append((file, batch.slice(first, last - first)))
            rows, size, first = rows + last - first, size + int(ends[last - 1]) - before, last
    if cell:
        yield cell


def _sizes(file: BasedFile, batch: pa.RecordBatch) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """Bytes of each record: as the catalog knows them, or the mean of the file."""
    length = batch.column("length")
    if length.null_count == 0:
        return to_numpy(length).astype(np.int64)
    known = max(file.scanned.content_bytes, file.info.size)
    return np.full(batch.num_rows, -(-known // max(file.scanned.rows, 1)), np.int64)


def where(parts: Sequence[tuple[BasedFile, pa.RecordBatch]]) -> Callable[[], str]:
    """Says which samples some rows are."""

    def said() -> str:
        (first, rows), (last, more) = parts[0], parts[-1]
        low, high = rows.column("row")[0].as_py(), more.column("row")[-1].as_py()
        if first.file_id == last.file_id:
            return f"the rows {low:,} to {high:,} of {first.info.url}"
        return f"the rows from {low:,} of {first.info.url} to {high:,} of {last.info.url}"

    return said
