"""The scan of a Parquet file: footer and property columns; content is only read where it may be NULL."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from mixtera.contracts.format import ContentColumn, FileFacts, PropertyColumn, ScanBatch
from mixtera.contracts.storage import FileInfo, Storage
from mixtera.formats.columnar.columns import content_columns, property_columns
from mixtera.formats.columnar.pieces import null_reasons, piece, property_values
from mixtera.formats.columnar.schema import Column, is_list, values_of
from mixtera.formats.parquet.file import open_parquet, parquet_errors
from mixtera.formats.values import index_schema

BATCH_ROWS: Final = 1 << 16

_SHOWN: Final = 60


class ParquetScan:
    """The scan of one file: iterate it to the end, then ask for `facts`."""

    def __init__(
        self,
        storage: Storage,
        file: FileInfo,
        properties: Sequence[PropertyColumn],
        content: Sequence[ContentColumn],
    ) -> None:
        self._storage = storage
        self._file = file
        self._properties = properties
        self._content = content
        self._schema = index_schema(properties)
        self._facts = FileFacts(0)

    def __iter__(self) -> Iterator[ScanBatch]:
        """Pieces of the index, at most 65,536 rows of a row group each."""
        parquet = open_parquet(self._storage, self._file)
        try:
            with parquet_errors(self._file):
                yield from self._groups(parquet)
        finally:
            parquet.close(force=True)

    def facts(self) -> FileFacts:
        """What the scan found; valid after the last piece."""
        return self._facts

    def _groups(self, parquet: pq.ParquetFile) -> Iterator[ScanBatch]:
        columns = property_columns(parquet.schema_arrow, self._file, self._properties)
        content = content_columns(parquet.schema_arrow, self._file, self._content)
        facts = _facts(parquet.metadata, content)
        rows = facts.group_rows
        bytes_read = _shares(self._file.size, rows)
        for group, (stop, count) in enumerate(zip(accumulate(rows), rows, strict=True)):
            metadata = parquet.metadata.row_group(group)
            checked = [column for column in content if _may_be_null(metadata, column)]
            yield from self._group(parquet, group, stop - count, columns, checked, bytes_read[group])
        self._facts = facts

    def _group(
        self,
        parquet: pq.ParquetFile,
        group: int,
        first: int,
        columns: Sequence[Column | None],
        checked: Sequence[Column],
        bytes_read: int,
    ) -> Iterator[ScanBatch]:
        names = sorted({column.name for column in [*columns, *checked] if column is not None})
        count = parquet.metadata.row_group(group).num_rows
        if not names:
            yield self._piece(first, count, [None] * len(self._properties), {}, bytes_read)
            return
        for batch in parquet.iter_batches(BATCH_ROWS, row_groups=[group], columns=names, use_threads=False):
            yield self._batch(batch, first, columns, checked, bytes_read * len(batch) // count)
            first += len(batch)

    def _batch(
        self,
        batch: pa.RecordBatch,
        first: int,
        columns: Sequence[Column | None],
        checked: Sequence[Column],
        bytes_read: int,
    ) -> ScanBatch:
        reasons: dict[int, str] = {}
        null_reasons(batch, checked, reasons)
        values = [None if column is None else values_of(batch, column) for column in columns]
        return self._piece(first, len(batch), values, reasons, bytes_read, batch)

    def _piece(
        self,
        first: int,
        count: int,
        values: Sequence[pa.Array | None],
        reasons: dict[int, str],
        bytes_read: int,
        read: pa.RecordBatch | None = None,
    ) -> ScanBatch:
        pairs = zip(self._properties, values, strict=True)
        arrays = [property_values(prop, found, count, reasons) for prop, found in pairs]
        return piece(self._schema, first, count, arrays, reasons, bytes_read, read)


def facts_of(parquet: pq.ParquetFile, file: FileInfo, content: Sequence[ContentColumn]) -> FileFacts:
    """What a scan of the file finds, by its footer.

    Raises:
        SampleError: It has no such content.
    """
    return _facts(parquet.metadata, content_columns(parquet.schema_arrow, file, content))


def _facts(metadata: pq.FileMetaData, content: Sequence[Column]) -> FileFacts:
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    rows = tuple(group.num_rows for group in groups)
    return FileFacts(sum(rows), rows, sum(column_bytes(group, content) for group in groups))


def _shares(size: int, rows: Sequence[int]) -> list[int]:
    """Bytes of the file behind each row group, for progress: they add up to its size."""
    edges = [size * done // max(1, sum(rows)) for done in accumulate(rows, initial=0)]
    return [stop - start for start, stop in pairwise(edges)]


def _leaves(group: pq.RowGroupMetaData, column: Column) -> Iterator[pq.ColumnChunkMetaData]:
    for i in range(group.num_columns):
        chunk = group.column(i)
        if chunk.path_in_schema == column.name or chunk.path_in_schema.startswith(column.name + "."):
            yield chunk


def column_bytes(group: pq.RowGroupMetaData, columns: Sequence[Column]) -> int:
    """Uncompressed bytes of some columns of a row group."""
    return sum(chunk.total_uncompressed_size for column in columns for chunk in _leaves(group, column))


def _may_be_null(group: pq.RowGroupMetaData, column: Column) -> bool:
    """Whether the statistics leave it open that a value is NULL. Those of a list count its elements."""
    if is_list(column.type) or pa.types.is_struct(column.type):
        return True
    return any(
        chunk.statistics is None or not chunk.statistics.has_null_count or chunk.statistics.null_count > 0
        for chunk in _leaves(group, column)
    )
