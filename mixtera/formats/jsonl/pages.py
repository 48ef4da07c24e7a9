"""Pages: records of several files in one piece of memory, decoded together when it is full.

What decoding costs for each call is paid once for about a thousand records, and they stay in the processor's cache.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mixtera.contracts.format import ContentColumn
from mixtera.formats.jsonl.decode import Decoder, Lines, joined
from mixtera.formats.jsonl.lines import Positions
from mixtera.formats.ranges import Spans

PAGE_BYTES: Final = 5 << 20
"""As much as is read for one fetch of a stream: what a decoding costs before its first record is 0.1 ms."""

_LINE_END: Final = ord("\n")

Bytes = npt.NDArray[np.uint8]


class _Kept(threading.local):
    """The page that a thread used last: fresh memory has to be mapped page by page, a tenth of a fetch."""

    page: bytearray | None = None

    def taken(self) -> bytearray:
        page, self.page = self.page, None
        return bytearray(PAGE_BYTES) if page is None else page


_kept: Final = _Kept()


class Pages:
    """Collects records with the same content columns, and decodes them in the order in which they came."""

    def __init__(self, content: Sequence[ContentColumn]) -> None:
        self._content = tuple(content)
        self._decoder = Decoder(content)
        self._page = _kept.taken()
        self._filled = 0
        self._lines: list[Lines] = []
        self._decoded: list[list[pa.Array]] = []

    def room(self, size: int) -> Bytes:
        """Memory for some bytes of a file, to be filled before `add`."""
        if self._filled + size >= len(self._page):
            self._flush()
            if size >= len(self._page):
                self._page = bytearray(size + 1)
        return np.frombuffer(self._page, np.uint8, size, self._filled)

    def add(self, read: Spans, lengths: Positions, rows: Positions, url: str) -> None:
        """Note the records in the room asked for last.

        Args:
            read: What was read into the room, and where each record begins in it.
            lengths: Bytes of each record with its line end, which may be missing at the end of the room.
            rows: Their rows in the file.
            url: The file.
        """
        starts = read.places + self._filled
        self._lines.append(Lines(starts, starts + lengths, rows, url))
        self._page[self._filled + read.size] = _LINE_END
        self._filled += read.size + 1

    def batch(self) -> pa.RecordBatch:
        """The content columns of all records."""
        self._flush()
        _kept.page = self._page if len(self._page) == PAGE_BYTES else None
        columns = [joined([piece[i] for piece in self._decoded]) for i in range(len(self._content))]
        return pa.RecordBatch.from_arrays(columns, names=[column.name for column in self._content])

    def _flush(self) -> None:
        if self._lines:
            self._decoded.append(self._decoder.decode(self._page, self._lines))
        self._lines, self._filled = [], 0
