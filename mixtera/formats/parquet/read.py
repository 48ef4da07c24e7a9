"""Chosen rows of Parquet files: decoded row groups are kept while there is room, and on disk where they come again.

As long as each row group is needed at one time, the last ones are kept in memory. Once one is decoded for the second
time, those of text are copied to the spool as they are decoded, and rows are read from there.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mixtera.arrow import from_numpy
from mixtera.contracts.format import ContentColumn, ReadRequest
from mixtera.contracts.storage import FileInfo, Storage
from mixtera.errors import StorageError
from mixtera.formats.columnar.columns import content_columns
from mixtera.formats.columnar.pieces import refuse_nulls
from mixtera.formats.columnar.schema import plain_type, values_of
from mixtera.formats.columnar.sound import refuse_unsound
from mixtera.formats.hits import hits_here
from mixtera.formats.parquet.file import open_ahead, open_parquet, parquet_errors
from mixtera.formats.parquet.scan import column_bytes
from mixtera.formats.parquet.spool import Copy, Gathering, Group, GroupKey, Spool, process_spool

BATCH_ROWS: Final = 1 << 13
"""Rows that are decoded at once of a row group that does not fit into the cache."""

BATCH_BYTES: Final = 2 << 20
"""Bytes that are decoded at once for the spool, about."""

DECODED_BYTES: Final = 7 << 18
"""Bytes that are decoded at once to be kept in memory, at most.

Arrow doubles what it decodes into until it is enough, and pieces of one size lie where others were: decoded in one go,
row groups of 6 MB took 25 MB more of a stream that kept five of them, in the same processor time.
"""

LARGEST_GROUP_BYTES: Final = 1 << 30
"""Row groups larger than this are never decoded in one go: a string array ends at 2 GiB."""

Rows = npt.NDArray[np.int64]


class ParquetReader:
    """Reads chosen rows of one file; keeps the row groups used last, up to `cache_bytes`."""

    def __init__(self, storage: Storage, file: FileInfo, content: Sequence[ContentColumn], cache_bytes: int) -> None:
        self._file = file
        self._ahead = open_ahead(storage, file)
        self._parquet = open_parquet(storage, file, self._ahead)
        self._release = weakref.finalize(self, self._parquet.close, force=True)
        self._columns = content_columns(self._parquet.schema_arrow, file, content)
        self.schema = pa.schema(
            [pa.field(c.name, plain_type(found.type)) for c, found in zip(content, self._columns, strict=True)]
        )
        metadata = self._parquet.metadata
        counts = [metadata.row_group(i).num_rows for i in range(self._parquet.num_row_groups)]
        self._edges: Rows = np.cumsum([0, *counts], dtype=np.int64)
        self._key = (file, tuple(column.name for column in self._columns))
        self._spool = process_spool()
        self._spoolable = all(pa.types.is_string(kind) or pa.types.is_binary(kind) for kind in self.schema.types)
        self._cache_bytes = cache_bytes

    @property
    def held_bytes(self) -> int:
        """Bytes of the decoded row groups that are kept."""
        return self._spool.kept_bytes(self._key)

    @property
    def spooled_bytes(self) -> int:
        """Nothing that is freed with this reader: the spool belongs to all of them."""
        return 0

    def read(self, request: ReadRequest) -> pa.RecordBatch:
        """The content columns of the samples, in the order of the request."""
        return read([(self, request)])

    def expect(self, request: ReadRequest) -> None:
        """Begin to fetch the row groups of a request that are not kept; see `ExpectingReader`."""
        if self._ahead is None:
            return
        cuts = np.searchsorted(request.rows, self._edges)
        for group in np.flatnonzero(np.diff(cuts)).tolist():
            key = self._group_key(group)
            if self._spool.kept(key) is None and self._spool.find(key) is None:
                self._ahead.expect(*self._chunks(group))

    def batches(self, request: ReadRequest, spooled: Gathering) -> Iterator[pa.RecordBatch]:
        """What was asked for before this request and is not read yet, and the samples of it, as far as they are read.

        Args:
            request: What is asked for.
            spooled: Takes what lies in the spool; the caller reads it in the end.
        """
        if not len(request.rows):
            return
        if request.rows[-1] >= self._edges[-1]:
            raise StorageError(
                f"{self._file.url} changed since it was indexed: row {request.rows[-1]} is asked for and it has "
                f"{self._edges[-1]} rows; index it again, or restore the file"
            )
        with parquet_errors(self._file):
            cuts = np.searchsorted(request.rows, self._edges)
            for group in np.flatnonzero(np.diff(cuts)).tolist():
                asked = request.rows[cuts[group] : cuts[group + 1]]
                rows = asked - self._edges[group]
                copy = self._copied(group)
                if copy is not None and not copy.lacks(rows):
                    spooled.add(copy, rows)
                    continue
                yield from spooled.read()
                batch = _one_batch(list(self._of_group(group, rows)), self.schema)
                refuse_nulls(self._file, batch, asked)
                refuse_unsound(self._file, batch, asked)
                yield batch

    def close(self) -> None:
        """Release the file and the row groups that are kept."""
        self._spool.forget(self._key)
        self._spool = Spool()  # lets go of the one that the process shares
        self._release()

    def _copied(self, group: int) -> Copy | None:
        """The copy of a row group in the spool; made now where a spool is wanted."""
        if not self._spool.wanted or not self._spoolable:
            return None
        key = self._group_key(group)
        found = self._spool.find(key)
        copy = self._spool.add(key, self._in_batches(group)) if found is None else found
        if copy is not None:
            hits_here().count(found is not None)
        return copy

    def _in_batches(self, group: int) -> Iterator[pa.RecordBatch]:
        """A whole row group in batches, in the types of the reader's schema."""
        return (self._typed(self._content_of(piece)) for piece in self._pieces(group, BATCH_BYTES))

    def _group_key(self, group: int) -> GroupKey:
        return self._key, group

    def _of_group(self, group: int, rows: Rows) -> Iterator[pa.RecordBatch]:
        kept = self._spool.kept(self._group_key(group))
        hits_here().count(kept is not None)
        if kept is not None:
            yield from self._taken_of(kept, rows)
        elif self._group_bytes(group) > min(self._cache_bytes, LARGEST_GROUP_BYTES):
            yield from self._streamed(group, rows)
        else:
            yield from self._taken_of(self._decoded(group), rows)

    def _group_bytes(self, group: int) -> int:
        return column_bytes(self._parquet.metadata.row_group(group), self._columns)

    def _streamed(self, group: int, rows: Rows) -> Iterator[pa.RecordBatch]:
        """Decode a large row group piece by piece, and keep nothing but the rows asked for."""
        key = self._group_key(group)
        self._spool.decoding(key)
        self._spool.passed(key)
        first = 0
        names = self._names()
        for piece in self._parquet.iter_batches(BATCH_ROWS, row_groups=[group], columns=names, use_threads=False):
            start, stop = np.searchsorted(rows, [first, first + len(piece)]).tolist()
            if start < stop:
                yield self._taken(self._content_of(piece), rows[start:stop] - first)
            first += len(piece)
            if stop == len(rows):
                return

    def _decoded(self, group: int) -> Group:
        key, size = self._group_key(group), self._group_bytes(group)
        self._spool.decoding(key)
        self._spool.make_room(size, self._cache_bytes)
        decoded = Group([self._content_of(piece) for piece in self._pieces(group, DECODED_BYTES)])
        self._spool.keep(key, decoded, self._cache_bytes)
        return decoded

    def _pieces(self, group: int, piece_bytes: int) -> Iterator[pa.RecordBatch]:
        """A whole row group, decoded in batches of about so many bytes."""
        rows = int(self._edges[group + 1] - self._edges[group])
        size = max(1, -(-rows // max(1, -(-self._group_bytes(group) // piece_bytes))))
        with self._loaded(group):
            yield from self._parquet.iter_batches(size, row_groups=[group], columns=self._names(), use_threads=False)

    def _taken_of(self, decoded: Group, rows: Rows) -> Iterator[pa.RecordBatch]:
        """Some rows of a row group, ascending."""
        cuts = np.searchsorted(rows, decoded.edges).tolist()
        for batch, edge, first, last in zip(decoded.batches, decoded.edges.tolist(), cuts, cuts[1:], strict=False):
            if first < last:
                yield self._taken(batch, rows[first:last] - edge)

    @contextmanager
    def _loaded(self, group: int) -> Iterator[None]:
        """Have what is needed of a row group fetched in one go, where the storage is far."""
        if self._ahead is None:
            yield
            return
        self._ahead.load(*self._chunks(group))
        try:
            yield
        finally:
            self._ahead.unload()

    def _chunks(self, group: int) -> tuple[Rows, Rows]:
        """First byte, and byte after the last, of the column chunks that are needed, ascending."""
        metadata, names = self._parquet.metadata.row_group(group), self._names()
        chunks = (metadata.column(number) for number in range(metadata.num_columns))
        found = sorted(
            (start, start + chunk.total_compressed_size)
            for chunk in chunks
            if any(f"{chunk.path_in_schema}.".startswith(f"{name}.") for name in names)
            for start in [min(filter(None, (chunk.dictionary_page_offset, chunk.data_page_offset)))]
        )
        ranges = np.array(found, np.int64).reshape(-1, 2)
        return ranges[:, 0].copy(), ranges[:, 1].copy()

    def _names(self) -> list[str]:
        return sorted({column.name for column in self._columns})

    def _content_of(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        arrays = [_without_view(values_of(batch, column)) for column in self._columns]
        return pa.RecordBatch.from_arrays(arrays, names=self.schema.names)

    def _taken(self, batch: pa.RecordBatch, rows: Rows) -> pa.RecordBatch:
        """Some rows of a batch, in the types of the reader's schema."""
        return self._typed(batch.take(from_numpy(rows)))

    def _typed(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        arrays = [
            array if array.type == field.type else array.cast(field.type)
            for array, field in zip(batch.columns, self.schema, strict=True)
        ]
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)


def read(requests: Iterable[tuple[ParquetReader, ReadRequest]]) -> pa.RecordBatch:
    """The content columns of the samples of several files with the same content; see `Format.read`."""
    batches: list[pa.RecordBatch] = []
    schema: pa.Schema | None = None
    spooled: Gathering | None = None
    for reader, request in requests:
        if spooled is None or reader.schema != schema:
            batches.extend([] if spooled is None else spooled.read())
            spooled, schema = Gathering(reader.schema), reader.schema
        batches.extend(reader.batches(request, spooled))
    if spooled is None:
        raise ValueError("there is no request")
    return _one_batch([*batches, *spooled.read()], schema)


def _one_batch(batches: Sequence[pa.RecordBatch], schema: pa.Schema) -> pa.RecordBatch:
    if len(batches) == 1:
        return batches[0]
    if sum(batch.nbytes for batch in batches) >= 2**31:
        wide = pa.schema([pa.field(field.name, _wide(field.type)) for field in schema])
        batches = [batch.cast(wide) for batch in batches]
    return pa.concat_batches(batches) if batches else pa.RecordBatch.from_pylist([], schema)


def _without_view(array: pa.Array) -> pa.Array:
    """The same values in a representation that `take` can read."""
    view = pa.types.is_string_view(array.type) or pa.types.is_binary_view(array.type)
    return array.cast(plain_type(array.type)) if view else array


def _wide(found: pa.DataType) -> pa.DataType:
    if pa.types.is_string(found):
        return pa.large_string()
    return pa.large_binary() if pa.types.is_binary(found) else found
