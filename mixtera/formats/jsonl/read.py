"""Chosen records of a JSONL file as Arrow columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, cast

import msgspec
import numpy as np
import pyarrow as pa

from mixtera.arrow import large_binary, strings
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

_LINE_END: Final = b"\n"


@dataclass(frozen=True, slots=True)
class _Lines:
    """Records back to back as they stand in a file, and their rows."""

    values: pa.LargeBinaryArray
    rows: Positions
    url: str


class JsonlReader:
    """Reads chosen records of one file. A compressed file is read through a decompressed copy."""

    def __init__(self, storage: Storage, file: FileInfo, content: Sequence[ContentColumn]) -> None:
        self._file = file
        self.content = tuple(content)
        self._shared = compression_of(storage, file) is not None
        self._access: RandomAccess | None = spooled(storage, file) if self._shared else storage.random_access(file.url)

    @property
    def held_bytes(self) -> int:
        """No memory is kept between requests."""
        return 0

    @property
    def spooled_bytes(self) -> int:
        """Bytes of the decompressed copy; 0 for a plain file."""
        return self._access.size if self._access is not None and self._shared else 0

    def read(self, request: ReadRequest) -> pa.RecordBatch:
        """The content columns of the samples, in the order of the request."""
        return read([(self, request)])

    def lines(self, request: ReadRequest) -> Iterator[_Lines]:
        """The records of a request, in parts that stay in the processor's cache."""
        if self._access is None:
            raise StorageError(f"{self._file.url} is closed")
        if not len(request.rows):
            return
        stops = _within(request.stops, self._access.size)
        for part in _parts(request.starts, stops):
            yield _Lines(self._access.gather(request.starts[part], stops[part]), request.rows[part], self._file.url)

    def close(self) -> None:
        """Release the file, and the decompressed copy with its last reader."""
        if self._access is not None and not self._shared:
            self._access.close()
        self._access = None


def read(requests: Iterable[tuple[JsonlReader, ReadRequest]]) -> pa.RecordBatch:
    """The content columns of the samples of several files with the same content; see `Format.read`."""
    decoder: Decoder | None = None
    pieces: list[list[pa.Array]] = []
    waiting: list[_Lines] = []
    for reader, request in requests:
        decoder = decoder or Decoder(reader.content)
        for lines in reader.lines(request):
            waiting.append(lines)
            if sum(len(one.rows) for one in waiting) >= PIECE_ROWS:
                pieces.append(decoder.decode(waiting))
                waiting = []
    if decoder is None:
        raise ValueError("there is no request")
    if waiting:
        pieces.append(decoder.decode(waiting))
    columns = [_joined([piece[i] for piece in pieces]) for i in range(len(decoder.content))]
    return pa.RecordBatch.from_arrays(columns, names=[column.name for column in decoder.content])


class Decoder:
    """Decodes records with the same content columns."""

    def __init__(self, content: Sequence[ContentColumn]) -> None:
        self.content = tuple(content)
        self._decoded: Layout = layout(content, ())
        self._verbatim: Layout = layout(content, (), msgspec.Raw)
        self._to_decoder = False

    def decode(self, parts: Sequence[_Lines]) -> list[pa.Array]:
        """The content columns of some records: all at once, or one by one where one of them is not as it should be."""
        values = parts[0].values if len(parts) == 1 else pa.concat_arrays([_ended(part.values) for part in parts])
        edges, text = _edges_and_text(values)
        data = np.frombuffer(text, np.uint8)
        if look_like_objects(data, edges[:-1], without_line_ends(data, edges[:-1], edges[1:])):
            columns = self._columns(text, len(values))
            if columns is not None:
                return columns
        return self._one_by_one(parts)

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

    def _one_by_one(self, parts: Sequence[_Lines]) -> list[pa.Array]:
        """The same for records that stand with blanks around them, and the place where a broken one is named."""
        records = [
            self._record(line, part.url, row)
            for part in parts
            for row, line in zip(part.rows.tolist(), part.values.to_pylist(), strict=True)
        ]
        return [strings(cast("list[str]", column(records, attributes))) for attributes in self._decoded.content]

    def _record(self, line: bytes, url: str, row: int) -> msgspec.Struct:
        try:
            return self._decoded.decoder.decode(line)
        except DECODE_ERRORS as error:
            reason = reason_of(line, self.content, (), error)
            raise SampleError(
                f"{url}, line {row + 1}: {reason}; the file changed since it was indexed, or is broken: index it again"
            ) from error


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


def _ended(values: pa.LargeBinaryArray) -> pa.LargeBinaryArray:
    """Records of which the last, which may be the last of its file, has a line end too."""
    last = values[-1].as_py()
    return values if last.endswith(_LINE_END) else pa.concat_arrays([values[:-1], large_binary(last + _LINE_END)])


def _joined(pieces: list[pa.Array]) -> pa.Array:
    if len(pieces) == 1:
        return pieces[0]
    if not pieces:
        return strings([])
    if sum(piece.nbytes for piece in pieces) > LONGEST_STRINGS:
        pieces = [piece.cast(pa.large_string()) for piece in pieces]
    return pa.concat_arrays(pieces)
