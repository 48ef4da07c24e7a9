"""Chosen records of a JSONL file as Arrow columns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mixtera.contracts.format import ContentColumn, ReadRequest
from mixtera.contracts.storage import FileInfo, RandomAccess, Storage
from mixtera.formats.framed import FramedFile
from mixtera.formats.jsonl.lines import Positions
from mixtera.formats.jsonl.pages import PAGE_BYTES, Pages
from mixtera.formats.ranges import Filling, RangedFile, back_to_back, spans
from mixtera.formats.records import OpenRecords

FILLING: Final = (RangedFile, FramedFile, Filling)
"""What is read into memory that is there already; the first two are told apart faster."""

PART_BYTES: Final = PAGE_BYTES // 2
"""Bytes of one file that are read at once, about."""


class JsonlReader:
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

    def expect(self, request: ReadRequest) -> None:
        """Begin to fetch the records of a request; see `ExpectingReader`."""
        if len(request.rows):
            self._records.expect(request.starts, request.stops)

    def unpack(self, request: ReadRequest, unpacker: Executor, most_bytes: int) -> int:
        """Let another thread decompress what a request needs; see `UnpackingReader`."""
        return self._records.unpack(request.starts, request.stops, unpacker, most_bytes)

    def load(self, request: ReadRequest, pages: Pages) -> None:
        """Put the records of a request into pages."""
        access = self._records.access
        if len(request.rows):
            with self._records.naming("line", request):
                self._load(access, request, pages)

    def _load(self, access: RandomAccess, request: ReadRequest, pages: Pages) -> None:
        """Read along what lies between the records of a local file or a frame; other storages leave it out."""
        starts, stops = request.starts, _within(request.stops, access.size)
        wanted = spans(starts, stops) if isinstance(access, FILLING) else back_to_back(starts, stops)
        bounds = np.flatnonzero(np.diff(wanted.places // PART_BYTES)) + 1 if wanted.size > PART_BYTES else ()
        if len(bounds):
            for part in map(slice, [0, *bounds], [*bounds, len(starts)]):
                self._load(access, ReadRequest(request.rows[part], starts[part], request.stops[part]), pages)
            return
        room = pages.room(wanted.size)
        if isinstance(access, FILLING):
            access.read_into(room, wanted)
        else:
            room[:] = _bytes(access.gather(starts, stops))
        pages.add(wanted, request.stops - starts, request.rows, self._file.url)

    def close(self) -> None:
        """Release the file, and the decompressed copy with its last reader."""
        self._records.close()


def read(requests: Iterable[tuple[JsonlReader, ReadRequest]]) -> pa.RecordBatch:
    """The content columns of the samples of several files with the same content; see `Format.read`."""
    return load(requests)()


def load(
    requests: Iterable[tuple[JsonlReader, ReadRequest]], decoder: Executor | None = None
) -> Callable[[], pa.RecordBatch]:
    """Read the records of several files with the same content; see `Staged.load`."""
    pages: Pages | None = None
    for reader, request in requests:
        pages = pages or Pages(reader.content, decoder)
        reader.load(request, pages)
    if pages is None:
        raise ValueError("there is no request")
    return pages.finish()


def _bytes(values: pa.LargeBinaryArray) -> npt.NDArray[np.uint8]:
    """The bytes of values that stand back to back."""
    _, offsets, data = values.buffers()
    edges = np.frombuffer(offsets, np.int64)[values.offset : values.offset + len(values) + 1]
    return np.frombuffer(data, np.uint8)[edges[0] : edges[-1]] if data is not None else np.empty(0, np.uint8)


def _within(stops: Positions, size: int) -> Positions:
    """The stops, when the last line of a file has no line end and was asked for with one."""
    return np.minimum(stops, size) if stops[-1] == size + 1 else stops
