"""Chosen records of a JSONL file as Arrow columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, cast

import msgspec
import numpy as np
import pyarrow as pa

from mixtera.arrow import strings
from mixtera.contracts.format import ContentColumn, ReadRequest
from mixtera.contracts.storage import FileInfo, RandomAccess, Storage
from mixtera.errors import SampleError, StorageError
from mixtera.formats.compression import compression_of
from mixtera.formats.jsonl.layout import Layout, column, layout
from mixtera.formats.jsonl.lines import Positions, look_like_objects, without_line_ends
from mixtera.formats.jsonl.reasons import DECODE_ERRORS, reason_of
from mixtera.formats.jsonl.spool import spooled
from mixtera.formats.jsonl.unquote import LONGEST_STRINGS, unquoted

PIECE_ROWS: Final = 1024
PIECE_BYTES: Final = 1 << 20
"""Records are gathered and decoded in pieces that stay in the processor's cache."""


class JsonlReader:
    """Reads chosen records of one file. A compressed file is read through a decompressed copy."""

    def __init__(self, storage: Storage, file: FileInfo, content: Sequence[ContentColumn]) -> None:
        self._file = file
        self._content = tuple(content)
        self._decoded: Layout = layout(content, ())
        self._verbatim: Layout = layout(content, (), msgspec.Raw)
        self._to_decoder = False
        self._schema = pa.schema([pa.field(c.name, pa.string()) for c in content])
        self._shared = compression_of(storage, file) is not None
        self._access: RandomAccess | None = spooled(storage, file) if self._shared else storage.random_access(file.url)

    @property
    def held_bytes(self) -> int:
        """Bytes of the decompressed copy; 0 for a plain file."""
        return self._access.size if self._access is not None and self._shared else 0

    def read(self, request: ReadRequest) -> pa.RecordBatch:
        """The content columns of the samples, in the order of the request."""
        if self._access is None:
            raise StorageError(f"{self._file.url} is closed")
        if not len(request.rows):
            return pa.RecordBatch.from_pylist([], self._schema)
        stops = _within(request.stops, self._access.size)
        pieces = [
            self._piece(self._access.gather(request.starts[part], stops[part]), request.rows[part])
            for part in _parts(request.starts, stops)
        ]
        columns = [_joined([piece[i] for piece in pieces]) for i in range(len(self._content))]
        return pa.RecordBatch.from_arrays(columns, names=self._schema.names)

    def close(self) -> None:
        """Release the file, and the decompressed copy with its last reader."""
        if self._access is not None and not self._shared:
            self._access.close()
        self._access = None

    def _piece(self, values: pa.LargeBinaryArray, rows: Positions) -> list[pa.Array]:
        edges, text = _edges_and_text(values)
        data = np.frombuffer(text, np.uint8)
        if look_like_objects(data, edges[:-1], without_line_ends(data, edges[:-1], edges[1:])):
            columns = self._columns(text, len(rows))
            if columns is not None:
                return columns
        return self._one_by_one(values, rows)

    def _columns(self, text: memoryview, count: int) -> list[pa.Array] | None:
        """The columns of back-to-back records; None if any of them is not as it should be.

        Once `unquoted` leaves a piece to the JSON decoder, the pieces that follow go there at once.
        """
        try:
            if not self._to_decoder:
                records = self._verbatim.decoder.decode_lines(text)
                columns = [unquoted(column(records, attributes)) for attributes in self._verbatim.content]
                if len(records) == count and all(found is not None for found in columns):
                    return columns
                self._to_decoder = True
            records = self._decoded.decoder.decode_lines(text)
        except DECODE_ERRORS:
            return None
        if len(records) != count:
            return None
        return [strings(cast("list[str]", column(records, attributes))) for attributes in self._decoded.content]

    def _one_by_one(self, values: pa.LargeBinaryArray, rows: Positions) -> list[pa.Array]:
        """The same for records that stand with blanks around them, and the place where a broken one is named."""
        records: list[msgspec.Struct] = []
        for row, line in zip(rows.tolist(), values.to_pylist(), strict=True):
            try:
                records.append(self._decoded.decoder.decode(line))
            except DECODE_ERRORS as error:
                reason = reason_of(line, self._content, (), error)
                raise SampleError(
                    f"{self._file.url}, line {row + 1}: {reason}; the file changed since it was indexed, or is broken: "
                    "index it again"
                ) from error
        return [strings(cast("list[str]", column(records, attributes))) for attributes in self._decoded.content]


def _within(stops: Positions, size: int) -> Positions:
    """The stops, when the last line of a file has no line end and was asked for with one."""
    if stops[-1] != size + 1:
        return stops
    clipped = stops.copy()
    clipped[-1] = size
    return clipped


def _parts(starts: Positions, stops: Positions) -> Iterator[slice]:
    """Parts of a request of about `PIECE_BYTES`."""
    mean = max(1, int((stops - starts).sum()) // len(starts))
    step = max(1, min(PIECE_ROWS, PIECE_BYTES // mean))
    return (slice(start, start + step) for start in range(0, len(starts), step))


def _edges_and_text(values: pa.LargeBinaryArray) -> tuple[Positions, memoryview]:
    """Where each value starts and ends in the buffer they share, and that buffer."""
    _, offsets, data = values.buffers()
    edges = np.frombuffer(offsets, np.int64)[values.offset : values.offset + len(values) + 1]
    return edges - edges[0], memoryview(data)[edges[0] : edges[-1]]


def _joined(pieces: list[pa.Array]) -> pa.Array:
    if len(pieces) == 1:
        return pieces[0]
    if sum(piece.nbytes for piece in pieces) > LONGEST_STRINGS:
        pieces = [piece.cast(pa.large_string()) for piece in pieces]
    return pa.concat_arrays(pieces)
