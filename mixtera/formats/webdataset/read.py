"""Chosen samples of tars as Arrow columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
import pyarrow as pa

from mixtera.contracts.format import ContentColumn, ReadRequest
from mixtera.contracts.storage import FileInfo, Storage
from mixtera.errors import StorageError
from mixtera.formats.ranges import Filling, RangedFile, back_to_back, spans
from mixtera.formats.records import OpenRecords
from mixtera.formats.webdataset.contents import contents
from mixtera.formats.webdataset.header import BLOCK
from mixtera.formats.webdataset.locate import Bytes, Positions
from mixtera.formats.webdataset.page import Lot, Pages

LARGE_BYTES: Final = 24 << 10
"""Bytes of a sample, on average, from which on each is read by a call of its own: to join them would save nothing."""


class WebDatasetReader:
    """Reads chosen samples of one file. A compressed file is read through a decompressed copy."""

    def __init__(self, storage: Storage, file: FileInfo, content: Sequence[ContentColumn]) -> None:
        self._file = file
        self.content = tuple(content)
        self._records = OpenRecords(storage, file)

    @property
    def held_bytes(self) -> int:
        """No memory is kept between requests."""
        return 0

    @property
    def spooled_bytes(self) -> int:
        """Bytes of the decompressed copy; 0 for a plain file."""
        return self._records.spooled_bytes

    def read(self, request: ReadRequest) -> pa.RecordBatch:
        """The content columns of the samples, in the order of the request."""
        return read([(self, request)])

    def expect(self, request: ReadRequest) -> None:
        """Begin to fetch the samples of a request; see `ExpectingReader`."""
        if len(request.rows):
            lengths = (request.stops - request.starts) // BLOCK * BLOCK
            self._records.expect(request.starts, request.starts + lengths)

    def load(self, request: ReadRequest, pages: Pages) -> None:
        """Put the samples of a request into a page.

        Raises:
            StorageError: They cannot be read, or the file is shorter than when it was indexed.
        """
        access = self._records.access
        if not len(request.rows):
            return
        starts = request.starts
        # a byte for a line end may have been added
        stops: Positions = starts + (request.stops - starts) // BLOCK * BLOCK
        if (starts % BLOCK).any() or (stops <= starts).any() or int(stops[-1]) > access.size:
            raise StorageError(
                f"{self._file.url} changed since it was indexed: byte {stops[-1]} is asked for and it has "
                f"{access.size}; index it again, or restore the file"
            )
        small = isinstance(access, RangedFile) and int((stops - starts).sum()) < LARGE_BYTES * len(starts)
        wanted = spans(starts, stops) if small else back_to_back(starts, stops)
        page, room = pages.room(wanted.size)
        if isinstance(access, (RangedFile, Filling)):
            access.read_into(room, wanted)
        else:
            room[:] = _bytes(access.gather(starts, stops))
        first: Positions = wanted.places + page.filled
        page.lots.append(Lot(first, first + (stops - starts), request.rows, self._file.url))
        page.filled += wanted.size

    def close(self) -> None:
        """Release the file, and the decompressed copy with its last reader."""
        self._records.close()


def read(requests: Iterable[tuple[WebDatasetReader, ReadRequest]]) -> pa.RecordBatch:
    """The content columns of the samples of several files with the same content; see `Format.read`."""
    pages = Pages()
    content: tuple[ContentColumn, ...] = ()
    for reader, request in requests:
        content = reader.content
        reader.load(request, pages)
    if not content:
        raise ValueError("there is no request")
    columns = contents(pages.all, content)
    pages.release()
    return pa.RecordBatch.from_arrays(columns, names=[column.name for column in content])


def _bytes(values: pa.LargeBinaryArray) -> Bytes:
    """The bytes of values that stand back to back."""
    _, offsets, data = values.buffers()
    edges = np.frombuffer(offsets, np.int64)[values.offset : values.offset + len(values) + 1]
    return np.frombuffer(data, np.uint8)[edges[0] : edges[-1]] if data is not None else np.empty(0, np.uint8)
