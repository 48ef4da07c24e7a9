"""Random access to a local file: ranges that lie close together are read as one, many small ones with one call.

Measured on 850-byte records in a warm cache, with a call for each read and gaps of up to 6 KiB read along (CPU µs per
record): all records 0.28, every second 0.5, every eighth 1.0, every 22nd 0.9. Since many reads are one call, gaps of
2 KiB take 0 to 9 % less of a whole stream. A memory map is an alternative: taken apart, gathering through
one that is given back cost 1.0 to 2.2 inside a stream, yet whole streams were between equal and 1.3 × as fast with it,
on a noisy machine. Reading is kept because mapped pages count as memory of the process (10 to 20 MB more), and because
a file cut short is an error here, not a signal.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from itertools import repeat
from typing import BinaryIO, Final, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mixtera.arrow import large_binary, take
from mixtera.errors import StorageError
from mixtera.formats.submitted import read_many

GAP_BYTES: Final = 2 << 10
"""Bytes between two ranges that cost less to read along than a call of their own."""
MANY_READS: Final = 16
SMALL_BYTES: Final = 16 << 10
"""So many reads of so few bytes, on average, are given to the system together: see `mixtera.formats.submitted`."""

Positions = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Spans:
    """What is read of a file in one go each, and where the ranges asked for lie in all of it.

    Attributes:
        starts: First byte of each span.
        stops: Byte after the last of each span.
        places: For each range, its first byte when the spans stand back to back.
        size: Bytes of all spans.
    """

    starts: Positions
    stops: Positions
    places: Positions
    size: int


def spans(starts: Positions, stops: Positions) -> Spans:
    """Join ranges, at least one, that lie close together; where one goes back or overlaps, a new span begins."""
    gaps = starts[1:] - stops[:-1]
    apart = gaps.view(np.uint64) > GAP_BYTES  # seen as unsigned, a negative gap is a large one
    skipped = np.zeros(len(starts), np.int64)
    (gaps * apart).cumsum(out=skipped[1:])
    places = starts - starts[0] - skipped
    cuts = apart.nonzero()[0]
    last = np.empty(len(cuts) + 1, np.int64)
    last[:-1], last[-1] = cuts, len(gaps)
    span_stops = stops[last]
    edges = places[last] + span_stops - starts[last]
    lengths = edges.copy()
    lengths[1:] -= edges[:-1]
    return Spans(span_stops - lengths, span_stops, places, int(edges[-1]))


def back_to_back(starts: Positions, stops: Positions) -> Spans:
    """Each range is a span of its own: nothing is read along."""
    edges = np.cumsum(stops - starts)
    return Spans(starts, stops, edges - (stops - starts), int(edges[-1]))


@runtime_checkable
class Filling(Protocol):
    """A `RandomAccess` that reads into memory that is there already; bytes between near ranges cost it little."""

    def read_into(self, target: Bytes, wanted: Spans) -> None:
        """Read spans into memory that has their size, back to back.

        Raises:
            StorageError: They cannot be read, or the file is shorter.
        """


@dataclass(slots=True)
class ReadCount:
    """How much was read, as `contracts.storage.Counted`."""

    requests: int = 0
    read_bytes: int = 0


class RangedFile:
    """A `RandomAccess` over an open file, which it owns.

    Args:
        file: The file, with a descriptor, open for reading.
        label: How messages name it.
        size: Its bytes, where they are known.
        count: Where reads are counted, each for itself, also where many are one call of the system.
    """

    def __init__(self, file: BinaryIO, label: str, size: int | None = None, count: ReadCount | None = None) -> None:
        self._label, self._count = label, ReadCount() if count is None else count
        self._descriptor = file.fileno()
        self._closed = weakref.finalize(self, file.close)
        self._size = os.fstat(self._descriptor).st_size if size is None else size

    @property
    def size(self) -> int:
        """Bytes in the file when it was opened."""
        return self._size

    def gather(self, starts: Positions, stops: Positions) -> pa.LargeBinaryArray:
        """Read many ranges in one go; see `RandomAccess.gather`. Here they may also go back, or overlap."""
        if not len(starts):
            self.check_open()
            return large_binary()
        if int(starts.min()) < 0 or bool((stops < starts).any()):
            raise StorageError(f"{self._label}: a range to be read ends before it starts")
        wanted = spans(starts, stops)
        data = np.empty(wanted.size, np.uint8)
        self.read_into(data, wanted)
        return cut(data, wanted.places, wanted.places + (stops - starts))

    def read_into(self, target: Bytes, wanted: Spans) -> None:
        """Read spans into memory that has their size, back to back.

        Raises:
            StorageError: They cannot be read, or the file is shorter.
        """
        lengths = wanted.stops - wanted.starts
        self._read(target, np.cumsum(lengths) - lengths, wanted.starts, lengths)

    def read_each(self, target: Bytes, places: Positions, starts: Positions, stops: Positions) -> None:
        """Read ranges to their places in memory that is there already; what stands between them is not read along.

        Args:
            target: The memory.
            places: Where each range begins in it.
            starts: First byte of each range; ranges may go back, repeat or overlap.
            stops: Byte after the last of each.

        Raises:
            StorageError: They cannot be read, or the file is shorter.
        """
        lengths = stops - starts
        if len(starts) and min(int(lengths.min()), int(starts.min())) < 0:
            raise StorageError(f"{self._label}: a range to be read ends before it starts")
        goes_on = (starts[1:] == stops[:-1]) & (places[1:] == places[:-1] + lengths[:-1])
        if goes_on.any():
            heads = np.flatnonzero(np.append(True, ~goes_on))
            places, starts, lengths = places[heads], starts[heads], np.add.reduceat(lengths, heads)
        self._read(target, places, starts, lengths)

    def _read(self, target: Bytes, places: Positions, starts: Positions, lengths: Positions) -> None:
        self.check_open()
        wanted = int(lengths.sum())
        done = None
        if len(starts) >= MANY_READS and wanted <= SMALL_BYTES * len(starts):
            done = read_many(self._descriptor, target, places, starts, lengths)
        if done is None:
            self._read_one_by_one(target, places, starts, lengths, wanted)
        elif int(done.sum()) != wanted:
            left = np.flatnonzero(done != lengths)
            got = np.maximum(done[left], 0)
            rest = lengths[left] - got
            self._read_one_by_one(target, places[left] + got, starts[left] + got, rest, int(rest.sum()))
        self._count.requests += len(starts)
        self._count.read_bytes += wanted

    def _read_one_by_one(
        self, target: Bytes, places: Positions, starts: Positions, lengths: Positions, wanted: int
    ) -> None:
        memory = target.data
        edges = zip(places.tolist(), (places + lengths).tolist(), strict=True)
        targets = [(memory[start:stop],) for start, stop in edges]
        try:
            read = list(map(os.preadv, repeat(self._descriptor), targets, starts.tolist()))
        except OSError as error:
            raise StorageError(f"{self._label} cannot be read: {error.strerror}") from error
        if sum(read) != wanted:
            for (part,), start, count in zip(targets, starts.tolist(), read, strict=True):
                self._complete(part, start, count)

    def close(self) -> None:
        """Release the file. It may be called twice."""
        self._closed()

    def check_open(self) -> None:
        """Refuse what comes after `close`."""
        if not self._closed.alive:
            raise StorageError(f"{self._label} is closed")

    def _complete(self, target: memoryview, start: int, count: int) -> None:
        """Read the rest of a span of which a first read gave a part, in as many reads as it takes."""
        while count < len(target):
            more = os.preadv(self._descriptor, (target[count:],), start + count)
            if not more:
                raise StorageError(
                    f"{self._label} changed since it was indexed: byte {start + len(target)} is asked for and it has "
                    f"{os.fstat(self._descriptor).st_size}; index it again, or restore the file"
                )
            count += more


def gathered(
    label: str,
    starts: Positions,
    stops: Positions,
    gap_bytes: int,
    read: Callable[[Positions, Positions], tuple[bytes | Bytes, Positions]],
) -> pa.LargeBinaryArray:
    """What `RandomAccess.gather` returns, for any storage.

    Args:
        label: How messages name the file.
        starts: First byte of each range; ranges may also go back, or overlap.
        stops: Byte after the last of each range.
        gap_bytes: Ranges that are this close are read as one.
        read: Reads some ranges: their bytes back to back, and where each begins in them.

    Raises:
        StorageError: A range ends before it starts, or what `read` raises.
    """
    if not len(starts):
        return large_binary()
    if int(starts.min()) < 0 or bool((stops < starts).any()):
        raise StorageError(f"{label}: a range to be read ends before it starts")
    gaps = starts[1:] - stops[:-1]
    first = np.concatenate([[0], np.flatnonzero((gaps > gap_bytes) | (gaps < 0)) + 1])
    data, before = read(starts[first], stops[np.append(first[1:], len(starts)) - 1])
    shift = np.repeat(before - starts[first], np.diff(np.append(first, len(starts))))
    return cut(np.frombuffer(data, np.uint8), starts + shift, stops + shift)


def cut(data: Bytes, starts: Positions, stops: Positions) -> pa.LargeBinaryArray:
    """Ranges of some bytes as values that stand back to back: the bytes themselves, where nothing lies between them."""
    if bool((starts[1:] == stops[:-1]).all()):
        edges = np.append(starts, stops[-1])
        return pa.Array.from_buffers(pa.large_binary(), len(starts), [None, pa.py_buffer(edges), pa.py_buffer(data)])
    edges = np.empty(2 * len(starts), np.int64)
    edges[0::2] = starts
    edges[1::2] = stops
    return every_second(data, edges)


def scatter(data: Bytes, target: Bytes, places: Positions, lengths: Positions) -> None:
    """Copy stretches that stand back to back in some bytes to their places in others."""
    source, memory, stops = data.data, target.data, np.cumsum(lengths)
    edges = zip(places.tolist(), (stops - lengths).tolist(), stops.tolist(), strict=True)
    for place, start, stop in edges:
        memory[place : place + stop - start] = source[start:stop]


def every_second(data: Bytes, edges: Positions) -> pa.LargeBinaryArray:
    """The first, third, … of the stretches that some edges cut bytes into, copied: they stand back to back."""
    stretches = pa.Array.from_buffers(
        pa.large_binary(), len(edges) - 1, [None, pa.py_buffer(edges), pa.py_buffer(data)]
    )
    return take(stretches, np.arange(0, len(edges), 2))
