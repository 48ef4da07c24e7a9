"""Pages: records of several files in one piece of memory, decoded together when it is full.

What decoding costs for each call is paid once for about a thousand records, and they stay in the processor's cache.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from functools import partial
from typing import Final
from weakref import ref

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mixtera.contracts.format import ContentColumn
from mixtera.formats.jsonl.decode import Decoder, Lines, joined
from mixtera.formats.jsonl.lines import Positions
from mixtera.formats.ranges import Spans

PAGES: Final = 1
"""Pages of one thread that are decoded by another while the next one is filled: more of them leave its cache."""
PAGE_BYTES: Final = 9 << 18
"""A third of what is read for one fetch of a stream, about: what a decoding costs before its first record is 0.2 ms."""

_LINE_END: Final = ord("\n")

Bytes = npt.NDArray[np.uint8]


class _Kept(threading.local):
    """The pages that a thread used last: fresh memory has to be mapped page by page, a tenth of a fetch."""

    def __init__(self) -> None:
        self.free: list[bytearray] = []
        self.decoding: deque[ref[Future[list[pa.Array]]]] = deque()
        """Weak, so that what was decoded is not kept; one that is gone is done."""

    def taken(self) -> bytearray:
        """A page, as soon as no more than `PAGES` others are being decoded."""
        while len(self.decoding) > PAGES:
            future = self.decoding.popleft()()
            if future is not None:
                future.exception()  # waits for it; whoever needs what it gives is told
        return self.free.pop() if self.free else bytearray(PAGE_BYTES)


_kept: Final = _Kept()


class Pages:
    """Collects records with the same content columns, and decodes them in the order in which they came.

    Args:
        content: The columns.
        decoder: The thread that decodes; None: the one that collects.
    """

    def __init__(self, content: Sequence[ContentColumn], decoder: Executor | None = None) -> None:
        self._content = tuple(content)
        self._decoder = Decoder(content)
        self._thread = decoder
        self._page = _kept.taken()
        self._filled = 0
        self._lines: list[Lines] = []
        self._decoded: list[Callable[[], list[pa.Array]]] = []

    def room(self, size: int) -> Bytes:
        """Memory for some bytes of a file, to be filled before `add`."""
        if self._filled + size >= len(self._page):
            self._flush()
            self._page = _kept.taken() if size < PAGE_BYTES else bytearray(size + 1)
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

    def finish(self) -> Callable[[], pa.RecordBatch]:
        """What gives the content columns of all records; nothing may be added after."""
        self._flush()
        return self._batch

    def _batch(self) -> pa.RecordBatch:
        decoded = [piece() for piece in self._decoded]
        self._decoded.clear()  # what is joined below is not held twice
        columns = [joined([piece[i] for piece in decoded]) for i in range(len(self._content))]
        return pa.RecordBatch.from_arrays(columns, names=[column.name for column in self._content])

    def _flush(self) -> None:
        if not self._lines:
            return
        decode = partial(_decode, self._decoder, self._page, self._lines, _kept.free)
        if self._thread is None:
            decoded = decode()
            self._decoded.append(lambda: decoded)
        else:
            future = self._thread.submit(decode)
            _kept.decoding.append(ref(future))
            self._decoded.append(future.result)
        self._lines, self._filled = [], 0


def _decode(decoder: Decoder, page: bytearray, lines: Sequence[Lines], free: list[bytearray]) -> list[pa.Array]:
    """Decode what a page holds, and give the page back."""
    try:
        return decoder.decode(page, lines)
    finally:
        if len(page) == PAGE_BYTES and len(free) <= PAGES:
            free.append(page)
