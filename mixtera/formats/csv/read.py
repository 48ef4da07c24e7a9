"""Chosen records of delimited text as Arrow columns."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
import pyarrow as pa

from mixtera.arrow import large_binary, strings
from mixtera.contracts.format import ContentColumn, ReadRequest
from mixtera.contracts.storage import FileInfo, RandomAccess, Storage
from mixtera.errors import SampleError, StorageError
from mixtera.formats.csv.decode import decode
from mixtera.formats.csv.header import Header, parse_header
from mixtera.formats.csv.records import Positions
from mixtera.formats.csv.scan import HEAD_BYTES
from mixtera.formats.records import OpenRecords

PIECE_BYTES: Final = 2 << 20
"""Records that are decoded at once, about: a call of the CSV reader takes as long as 300 kB."""

_LONGEST_STRINGS: Final = 2**31 - 1
_SHOWN: Final = 120
_LINE_ENDS: Final = (b"\n", b"\r")


@dataclass(frozen=True, slots=True)
class _Part:
    """Records back to back as they stand in a file, and their rows."""

    values: pa.LargeBinaryArray
    rows: Positions
    url: str


@dataclass(frozen=True, slots=True)
class _Shape:
    """What records must share to be decoded in one call: fields of a record, delimiter, places of the content."""

    fields: int
    delimiter: str
    places: tuple[int, ...]


class CsvReader:
    """Reads chosen records of one file. A compressed file is read by its frames, or through a decompressed copy."""

    def __init__(
        self,
        storage: Storage,
        file: FileInfo,
        content: Sequence[ContentColumn],
        cache_bytes: int = 0,
        frames: Positions | None = None,
    ) -> None:
        self._file = file
        self.content = tuple(content)
        self._records = OpenRecords(storage, file, frames, cache_bytes)
        with self._records.naming("record"):
            header = _header(self._records.access, file)
        self.shape: _Shape | None = None
        if header is not None:
            self.shape = _Shape(len(header.names), header.delimiter, tuple(header.content(file, content)))

    @property
    def held_bytes(self) -> int:
        """Bytes of decompressed frames that are kept; 0 where there are none."""
        return self._records.held_bytes

    @property
    def spooled_bytes(self) -> int:
        """Bytes of the decompressed copy; 0 for a plain file."""
        return self._records.spooled_bytes

    def read(self, request: ReadRequest) -> pa.RecordBatch:
        """The content columns of the samples, in the order of the request."""
        return read([(self, request)])

    def unpack(self, request: ReadRequest, unpacker: Executor, most_bytes: int) -> int:
        """Let another thread decompress what a request needs; see `UnpackingReader`."""
        return self._records.unpack(request.starts, request.stops, unpacker, most_bytes)

    def parts(self, request: ReadRequest) -> Iterator[_Part]:
        """The records of a request, in parts of about `PIECE_BYTES`."""
        access = self._records.access
        stops = np.minimum(request.stops, access.size)  # the last record may have no line end
        if len(stops) and int(request.stops[-1]) > access.size + 1:
            raise StorageError(
                f"{self._file.url} changed since it was indexed: byte {request.stops[-1]} is asked for and it has "
                f"{access.size}; index it again, or restore the file"
            )
        edges = np.searchsorted(np.cumsum(stops - request.starts), np.arange(1, 1 + _pieces(request)) * PIECE_BYTES)
        cuts = [0, *np.unique(np.minimum(edges + 1, len(stops))).tolist()]
        for first, last in pairwise(cuts):
            chosen = slice(first, last)
            with self._records.naming("record", request):
                values = access.gather(request.starts[chosen], stops[chosen])
            yield _Part(values, request.rows[chosen], self._file.url)

    def close(self) -> None:
        """Release the file, and the decompressed copy with its last reader."""
        self._records.close()


def read(requests: Iterable[tuple[CsvReader, ReadRequest]]) -> pa.RecordBatch:
    """The content columns of the samples of several files with the same content; see `Format.read`."""
    names: list[str] | None = None
    pieces: list[list[pa.Array]] = []
    waiting: list[_Part] = []
    shape: _Shape | None = None
    for reader, request in requests:
        names = names or [column.name for column in reader.content]
        if waiting and reader.shape != shape and shape is not None:
            pieces.append(_decoded(waiting, shape))
            waiting = []
        shape = reader.shape
        for part in reader.parts(request):
            waiting.append(part)
            if shape is not None and sum(one.values.nbytes for one in waiting) >= PIECE_BYTES:
                pieces.append(_decoded(waiting, shape))
                waiting = []
    if names is None:
        raise ValueError("there is no request")
    if waiting and shape is not None:
        pieces.append(_decoded(waiting, shape))
    columns = [_joined([piece[i] for piece in pieces]) for i in range(len(names))]
    return pa.RecordBatch.from_arrays(columns, names=names)


def _header(access: RandomAccess, file: FileInfo) -> Header | None:
    size = HEAD_BYTES
    while True:
        stop = min(size, access.size)
        head = access.gather(np.zeros(1, np.int64), np.array([stop]))[0].as_py()
        header = parse_header(head, stop == access.size, file)
        if header is not None or stop == access.size:
            return header
        size *= 4


def _pieces(request: ReadRequest) -> int:
    return int((request.stops - request.starts).sum()) // PIECE_BYTES + 1 if len(request.rows) else 0


def _decoded(parts: Sequence[_Part], shape: _Shape) -> list[pa.Array]:
    """The content columns of some records; the first that is not as it was indexed is named."""
    values = parts[0].values if len(parts) == 1 else pa.concat_arrays([_ended(part.values) for part in parts])
    places = sorted(set(shape.places))
    try:
        columns = decode(_text(values), shape.fields, shape.delimiter, places, pa.string())
    except pa.ArrowInvalid:
        columns = []
    if not columns or any(len(column) != len(values) or column.null_count for column in columns):
        raise _refused(parts, shape)
    found = dict(zip(places, columns, strict=True))
    return [found[place] for place in shape.places]


def _refused(parts: Sequence[_Part], shape: _Shape) -> SampleError:
    """The error that names the first record that cannot be read."""
    for part in parts:
        for row, value in zip(part.rows.tolist(), part.values, strict=True):
            reason = _reason(value.as_buffer(), shape)
            if reason:
                return SampleError(
                    f"{part.url}, record {row + 1}: {reason}; the file changed since it was indexed, or is broken: "
                    "index it again"
                )
    return SampleError(f"{parts[0].url}: records from {parts[0].rows[0] + 1} on are not as they were indexed")


def _reason(record: pa.Buffer, shape: _Shape) -> str:
    try:
        columns = decode(record, shape.fields, shape.delimiter, sorted(set(shape.places)), pa.string())
    except pa.ArrowInvalid as error:  # which shows the record as it is, whatever that is now
        said = re.sub(r"^CSV parse error: (Row #\d+: )?", "", str(error))[:_SHOWN]
        return "".join(character if character.isprintable() else "·" for character in said)
    if len(columns[0]) != 1:
        return f"it is {len(columns[0])} records"
    return "its content is empty" if any(column.null_count for column in columns) else ""


def _text(values: pa.LargeBinaryArray) -> pa.Buffer:
    """The bytes that values share, which stand back to back."""
    _, offsets, data = values.buffers()
    edges = np.frombuffer(offsets, np.int64)
    first, last = int(edges[values.offset]), int(edges[values.offset + len(values)])
    return data.slice(first, last - first)


def _ended(values: pa.LargeBinaryArray) -> pa.LargeBinaryArray:
    """Records of which the last, which may be the last of its file, has a line end too."""
    last = values[-1].as_py()
    return values if last.endswith(_LINE_ENDS) else pa.concat_arrays([values[:-1], large_binary(last + b"\n")])


def _joined(pieces: list[pa.Array]) -> pa.Array:
    if len(pieces) == 1:
        return pieces[0]
    if not pieces:
        return strings([])
    if sum(piece.nbytes for piece in pieces) > _LONGEST_STRINGS:
        pieces = [piece.cast(pa.large_string()) for piece in pieces]
    return pa.concat_arrays(pieces)
