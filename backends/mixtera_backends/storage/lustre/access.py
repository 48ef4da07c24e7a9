"""Reading a file along its stripes: whole ones, those that lie next to each other in one call."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mixtera.arrow import large_binary, take
from mixtera.errors import StorageError
from mixtera.formats.ranges import RangedFile, ReadCount, Spans, cut

HELD_BYTES: Final = 32 << 20
"""Bytes of stripes that are in memory at a time, about; a range that is larger is read as a whole."""

Positions = npt.NDArray[np.int64]


class StripedFile:
    """A `RandomAccess` over an open file, which it owns.

    Args:
        file: The file, open for reading.
        label: How messages name it.
        size: Its bytes.
        unit: Reads begin and end at multiples of so many bytes, or at the end of the file.
        count: Where reads are counted.
    """

    def __init__(self, file: BinaryIO, label: str, size: int, unit: int, count: ReadCount | None = None) -> None:
        self._opened, self._file = file, RangedFile(file, label, size, count)
        self._label, self._size, self.unit = label, size, unit

    @property
    def size(self) -> int:
        """Bytes in the file when it was opened."""
        return self._size

    def fileno(self) -> int:
        """The descriptor of the file."""
        return self._opened.fileno()

    def gather(self, starts: Positions, stops: Positions) -> pa.LargeBinaryArray:
        """Read many ranges in one go; see `RandomAccess.gather`. Here they may also go back, or overlap."""
        if not len(starts):
            self._file.check_open()
            return large_binary()
        if int(starts.min()) < 0 or bool((stops < starts).any()):
            raise StorageError(f"{self._label}: a range to be read ends before it starts")
        if int(stops.max()) > self._size:
            raise StorageError(
                f"{self._label} changed since it was indexed: byte {int(stops.max())} is asked for and it has "
                f"{self._size}; index it again, or restore the file"
            )
        if bool((np.diff(starts) < 0).any()):
            order = np.argsort(starts, kind="stable")
            return take(self._ascending(starts[order], stops[order]), np.argsort(order))
        return self._ascending(starts, stops)

    def between(self, start: int, stop: int) -> bytes:
        """The bytes of one range."""
        data = np.empty(stop - start, np.uint8)
        if stop > start:
            self._file.read_into(data, Spans(np.array([start]), np.array([stop]), np.zeros(1, np.int64), stop - start))
        return data.tobytes()

    def close(self) -> None:
        """Release the file. It may be called twice."""
        self._file.close()

    def _ascending(self, starts: Positions, stops: Positions) -> pa.LargeBinaryArray:
        parts = [self._read(starts[part], stops[part]) for part in self._parts(starts, stops)]
        return parts[0] if len(parts) == 1 else pa.concat_arrays(parts)

    def _parts(self, starts: Positions, stops: Positions) -> Iterator[slice]:
        """Ranges whose stripes are held together."""
        first, reach = self._units(starts, stops)
        before = np.maximum(first, np.append(first[:1], reach[:-1]))
        held = np.cumsum(np.maximum(reach - before, 0)) * self.unit
        edges = np.flatnonzero(np.diff((held - 1) // HELD_BYTES)) + 1
        for low, high in zip([0, *edges.tolist()], [*edges.tolist(), len(starts)], strict=True):
            yield slice(low, high)

    def _units(self, starts: Positions, stops: Positions) -> tuple[Positions, Positions]:
        """The unit in which each range begins, and the one before which it, or one before it, ends."""
        return starts // self.unit, np.maximum.accumulate(-(-stops // self.unit))

    def _read(self, starts: Positions, stops: Positions) -> pa.LargeBinaryArray:
        first, reach = self._units(starts, stops)
        begins = np.append(True, first[1:] > reach[:-1])
        span = np.cumsum(begins) - 1
        span_starts = first[begins] * self.unit
        last = np.append(np.flatnonzero(begins)[1:], len(starts)) - 1
        span_stops = np.maximum(np.minimum(reach[last] * self.unit, self._size), span_starts)
        lengths = span_stops - span_starts
        places = starts - span_starts[span] + (np.cumsum(lengths) - lengths)[span]
        data = np.empty(int(lengths.sum()), np.uint8)
        self._file.read_into(data, Spans(span_starts, span_stops, places, len(data)))
        return cut(data, places, places + (stops - starts))
