"""Strings of many record batches at once, out of a memory map: the file itself is the buffer that they lie in.

To take rows batch by batch costs 30 µs and more for each batch, and random rows lie in as many batches. Here the places
of all rows are computed over all batches together, and one `take` copies them.
"""

from __future__ import annotations

import weakref
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mixtera.arrow import from_numpy
from mixtera.formats.arrow.blocks import BrokenLayout
from mixtera.formats.arrow.file import ArrowFile
from mixtera.formats.columnar.schema import Column, values_of

Rows = npt.NDArray[np.int64]

_UNKNOWN, _OTHER = -1, -2
_LONGEST_STRINGS = 2**31 - 1
_WIDTHS = {pa.string(): 4, pa.binary(): 4, pa.large_string(): 8, pa.large_binary(): 8}


class Pages:
    """About how many bytes of all mapped files of this process are in its memory, so that they stay within bounds.

    Threads share it without a lock: each step is one operation of a plain dictionary, and a count may be off.
    """

    def __init__(self) -> None:
        self._read: dict[weakref.ref[ArrowFile], int] = {}

    def count(self, opened: ArrowFile, read: int, most: int) -> None:
        """Add what was read through a map; with more than `most` in all, every file lets go of its pages."""
        key = weakref.ref(opened)
        if key not in self._read:
            key = weakref.ref(opened, self._forgotten)
        self._read[key] = min(self._read.get(key, 0) + read, opened.size)
        if sum(list(self._read.values())) <= most:
            return
        for known in list(self._read):
            file = known()
            if file is not None:
                file.forget()
            self._read.pop(known, None)

    def _forgotten(self, key: weakref.ref[ArrowFile]) -> None:
        self._read.pop(key, None)


PAGES: Final = Pages()


class MappedStrings:
    """A column of strings or bytes of a mapped file."""

    def __init__(self, opened: ArrowFile, column: Column) -> None:
        self._opened = opened
        self._column = column
        self._width = _WIDTHS.get(column.type, 0)
        count = len(opened.batches)
        self._offsets = np.full(count, _UNKNOWN if self._width else _OTHER, np.int64)
        self._values = np.zeros(count, np.int64)

    def take(self, batches: Rows, rows: Rows) -> pa.Array | None:
        """Values by batch and row in it, both ascending; None if some batch has them in another form, or has NULLs."""
        if not self._width:
            return None
        touched = np.unique(batches)
        for number in touched[self._offsets[touched] == _UNKNOWN].tolist():
            self._locate(number)
        if (self._offsets[touched] == _OTHER).any():
            return None
        buffer = self._opened.buffer
        assert buffer is not None  # it is sliceable
        offsets = np.frombuffer(buffer, np.dtype(f"<i{self._width}"), buffer.size // self._width)
        places = self._offsets[batches] // self._width + rows
        edges = np.empty(2 * len(rows), np.int64)
        edges[0::2] = self._values[batches] + offsets[places]
        edges[1::2] = self._values[batches] + offsets[places + 1]
        if int(edges.min()) < 0 or int(edges.max()) > buffer.size or bool((edges[1::2] < edges[0::2]).any()):
            raise BrokenLayout("its offsets are damaged")
        if edges[0] > edges[-1]:  # batches do not lie in their order, and Arrow wants the last edge to be the largest
            return None
        return _strings(buffer, edges, self._column.type)

    def _locate(self, number: int) -> None:
        """Find where the offsets and the values of a batch begin in the file."""
        values = values_of(self._opened.batch(number), self._column)
        self._offsets[number] = _OTHER
        if values.null_count or values.offset:
            return
        buffer = self._opened.buffer
        assert buffer is not None
        _, offsets, data = values.buffers()
        base, size = buffer.address, buffer.size
        at = offsets.address - base if offsets is not None and offsets.size else _OTHER
        if not 0 <= at < size or at % self._width:
            return
        self._offsets[number] = at
        self._values[number] = data.address - base if data is not None and data.size else at  # all are empty: anywhere


def _strings(buffer: pa.Buffer, edges: Rows, found: pa.DataType) -> pa.Array:
    """Ranges of a buffer, as plain strings or bytes; every second of the pieces between the edges is one.

    The edges need not ascend: what lies between two ranges is never taken.
    """
    pieces = pa.Array.from_buffers(pa.large_binary(), len(edges) - 1, [None, pa.py_buffer(edges), buffer])
    taken = pieces.take(from_numpy(np.arange(0, len(edges), 2)))
    text = found in (pa.string(), pa.large_string())
    _, offsets, data = taken.buffers()
    ends = np.frombuffer(offsets, np.int64)[: len(taken) + 1]
    large = int(ends[-1]) > _LONGEST_STRINGS
    kind = (pa.large_string() if large else pa.string()) if text else (pa.large_binary() if large else pa.binary())
    narrowed = pa.py_buffer(ends if large else ends.astype(np.int32))
    return pa.Array.from_buffers(kind, len(taken), [None, narrowed, data])
