"""Chosen rows of an Arrow file."""

from __future__ import annotations

import weakref
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mixtera.arrow import from_numpy
from mixtera.contracts.format import ContentColumn, ReadRequest
from mixtera.contracts.storage import FileInfo, Storage
from mixtera.errors import SampleError, StorageError
from mixtera.formats.arrow.file import ArrowFile, arrow_errors
from mixtera.formats.arrow.mapped import PAGES, MappedStrings
from mixtera.formats.columnar.columns import content_columns
from mixtera.formats.columnar.pieces import refuse_nulls
from mixtera.formats.columnar.schema import plain_type, values_of
from mixtera.formats.hits import hits_here

ROW_PAGES_BYTES: Final = 64 << 10
"""Bytes of a mapped file that come into memory with one row, about: the kernel maps so much around each fault."""

Rows = npt.NDArray[np.int64]


class ArrowReader:
    """Reads chosen rows of one file. Decoded batches are kept up to `cache_bytes`, and so are mapped pages, those
    of all files together.
    """

    def __init__(self, storage: Storage, file: FileInfo, content: Sequence[ContentColumn], cache_bytes: int) -> None:
        self._file = file
        self._opened = ArrowFile(storage, file)
        self._release = weakref.finalize(self, self._opened.close)
        self._columns = content_columns(self._opened.schema, file, content)
        self._opened.choose(self._columns)
        self.schema = pa.schema(
            [pa.field(c.name, plain_type(found.type)) for c, found in zip(content, self._columns, strict=True)]
        )
        self._edges: Rows = np.cumsum([0, *(block.rows for block in self._opened.batches)], dtype=np.int64)
        self._mapped = [MappedStrings(self._opened, column) for column in self._columns]
        self._cache_bytes = cache_bytes
        self._cache: OrderedDict[int, pa.RecordBatch] = OrderedDict()
        self._held_bytes = 0

    @property
    def held_bytes(self) -> int:
        """Bytes of the decoded batches that are kept; mapped pages are not held, they are let go of in time."""
        return self._held_bytes

    @property
    def spooled_bytes(self) -> int:
        """Nothing is kept on disk."""
        return 0

    def read(self, request: ReadRequest) -> pa.RecordBatch:
        """The content columns of the samples, in the order of the request."""
        if not len(request.rows):
            return pa.RecordBatch.from_pylist([], self.schema)
        if request.rows[-1] >= self._edges[-1]:
            raise StorageError(
                f"{self._file.url} changed since it was indexed: row {request.rows[-1]} is asked for and it has "
                f"{self._edges[-1]} rows; index it again, or restore the file"
            )
        self._opened.check()
        batches = np.searchsorted(self._edges, request.rows, side="right") - 1
        places = request.rows - self._edges[batches]
        with arrow_errors(self._file):
            found = self._sliced(batches, places) if self._opened.sliceable else None
            if found is None:
                found = self._batch_by_batch(batches, places)
        refuse_nulls(self._file, found, request.rows)
        return found

    def close(self) -> None:
        """Release the file and what is kept."""
        self._cache.clear()
        self._mapped = []
        self._held_bytes = 0
        self._release()

    def _sliced(self, batches: Rows, places: Rows) -> pa.RecordBatch | None:
        """The rows out of the map; None if a column is not of a form that can be."""
        arrays = []
        for strings in self._mapped:
            array = strings.take(batches, places)
            if array is None:
                return None
            arrays.append(array)
        found = pa.RecordBatch.from_arrays(arrays, names=self.schema.names)
        PAGES.count(self._opened, found.nbytes + len(places) * ROW_PAGES_BYTES, self._cache_bytes)
        return found

    def _batch_by_batch(self, batches: Rows, places: Rows) -> pa.RecordBatch:
        cuts = np.searchsorted(batches, np.unique(batches))
        parts = []
        for first, last in zip(cuts.tolist(), [*cuts[1:].tolist(), len(batches)], strict=True):
            parts.append(self._taken(self._batch(int(batches[first])), places[first:last]))
        return joined(parts)

    def _batch(self, number: int) -> pa.RecordBatch:
        """The content columns of a record batch, kept if there is room."""
        kept = self._cache.get(number)
        hits_here().count(kept is not None)
        if kept is not None:
            self._cache.move_to_end(number)
            return kept
        whole = self._opened.batch(number)
        arrays = [_takeable(values_of(whole, column)) for column in self._columns]
        batch = pa.RecordBatch.from_arrays(arrays, names=self.schema.names)
        if batch.nbytes <= self._cache_bytes:
            self._cache[number] = batch
            self._held_bytes += batch.nbytes
            while self._held_bytes > self._cache_bytes and self._cache:
                _, dropped = self._cache.popitem(last=False)
                self._held_bytes -= dropped.nbytes
        return batch

    def _taken(self, batch: pa.RecordBatch, places: Rows) -> pa.RecordBatch:
        """Some rows of a batch, in the types of the reader's schema."""
        taken = batch.take(from_numpy(places))
        arrays = [array.cast(field.type) for array, field in zip(taken.columns, self.schema, strict=True)]
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)


def _takeable(values: pa.Array) -> pa.Array:
    """Values in a form that pyarrow can take rows of: it cannot of views."""
    is_view = pa.types.is_string_view(values.type) or pa.types.is_binary_view(values.type)
    return values.cast(plain_type(values.type)) if is_view else values


def read(requests: Iterable[tuple[ArrowReader, ReadRequest]]) -> pa.RecordBatch:
    """Samples of several files; see `Format.read`.

    Raises:
        SampleError: The files have their content in different types, or a record cannot be read.
    """
    parts = [reader.read(request) for reader, request in requests]
    types = {tuple(plain_type(kind) for kind in part.schema.types): part.schema for part in parts}
    if len(types) > 1:
        shown = " and ".join(", ".join(f"{f.name} {f.type}" for f in schema) for schema in list(types.values())[:2])
        raise SampleError(f"files of one source hold their content in different types: {shown}; write them alike")
    return joined(parts)


def joined(parts: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    """Batches of the same columns as one; strings become large where they need more than 2 GiB."""
    if len(parts) == 1:
        return parts[0]
    if sum(part.nbytes for part in parts) >= 2**31 or len({tuple(part.schema.types) for part in parts}) > 1:
        wide = {pa.string(): pa.large_string(), pa.binary(): pa.large_binary()}
        schema = pa.schema([pa.field(f.name, wide.get(f.type, f.type)) for f in parts[0].schema])
        parts = [part.cast(schema) for part in parts]
    return pa.concat_batches(parts)
