"""Random access to the decompressed bytes of a file of many frames: what is needed is fetched, and kept for a while."""

from __future__ import annotations

import os
import time
import weakref
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mixtera.arrow import large_binary
from mixtera.contracts.storage import FileInfo, RandomAccess, Storage
from mixtera.errors import StorageError
from mixtera.formats.framed.codec import CodecError, unpack
from mixtera.formats.hits import hits_here
from mixtera.formats.kept import Kept, Volume
from mixtera.formats.opening import changed
from mixtera.formats.ranges import RangedFile, Spans, back_to_back, cut

FETCH_BYTES: Final = 4 << 20
"""Compressed bytes that are fetched in one go, about."""

Positions = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]


class BrokenFrameError(Exception):
    """A piece of a file that cannot be decompressed.

    Attributes:
        start: Its first decompressed byte.
        reason: What is wrong with it.
    """

    def __init__(self, start: int, reason: str) -> None:
        super().__init__(reason)
        self.start, self.reason = start, reason


@dataclass(frozen=True, slots=True)
class Copy:
    """A decompressed piece on temporary disk; it can be read as long as this is held."""

    ranges: RangedFile
    offset: int


Frames: TypeAlias = Kept[Bytes, Copy]

_kept: Final[weakref.WeakValueDictionary[int, Frames]] = weakref.WeakValueDictionary()


def process_frames() -> Frames:
    """The pieces of this process; they go with the last reader. A forked child has some of its own."""
    frames = _kept.get(os.getpid())
    if frames is None:
        frames = _kept[os.getpid()] = Kept()
    return frames


@dataclass(frozen=True, slots=True)
class _Part:
    """What is wanted of one piece: byte ranges in it, and where they go in the target, back to back."""

    piece: int
    starts: Positions
    stops: Positions
    target: slice


@dataclass(frozen=True, slots=True)
class _Ranges:
    """Byte ranges, back to back in the target, of which each lies in one piece.

    Attributes:
        pieces: The pieces in this order; one comes again where the ranges go back.
        edges: Where the ranges of each begin, and their number.
        starts: First byte of each range.
        stops: Byte after the last of each.
    """

    pieces: list[int]
    edges: Positions
    starts: Positions
    stops: Positions


class FramedFile:
    """A `RandomAccess` to what a compressed file holds, which reads and decompresses only the pieces needed.

    Args:
        storage: Where the file lies.
        file: The file.
        frames: [n + 1, 2] where pieces begin: byte in the file, byte of the content; the last are both ends.
        cache_bytes: Bytes of pieces that are kept in memory, by all readers of a process together.

    Raises:
        StorageError: It cannot be read, or changed.
    """

    def __init__(self, storage: Storage, file: FileInfo, frames: Positions, cache_bytes: int) -> None:
        self._file, self._cache_bytes = file, cache_bytes
        self._packed, self._plain = np.ascontiguousarray(frames[:, 0]), np.ascontiguousarray(frames[:, 1])
        self._access: RandomAccess | None = storage.random_access(file.url)
        if self._access.size != file.size:
            size = self._access.size
            self._access.close()
            raise changed(file, size)
        self._frames = process_frames()
        self._ahead: dict[int, Future[None]] = {}

    @property
    def size(self) -> int:
        """Bytes of the content."""
        return int(self._plain[-1])

    @property
    def held_bytes(self) -> int:
        """Bytes in memory of its pieces."""
        return self._frames.kept_bytes(self._file)

    def gather(self, starts: Positions, stops: Positions) -> pa.LargeBinaryArray:
        """Read many ranges in one go; see `RandomAccess.gather`.

        Raises:
            BrokenFrameError: A piece cannot be decompressed.
            StorageError: The file cannot be read, or changed.
        """
        if not len(starts):
            self._opened()
            return large_binary()
        wanted = back_to_back(starts, stops)
        data = np.empty(wanted.size, np.uint8)
        self.read_into(data, wanted)
        return cut(data, wanted.places, wanted.places + (stops - starts))

    def read_into(self, target: Bytes, wanted: Spans) -> None:
        """Read spans into memory that has their size, back to back.

        Raises:
            BrokenFrameError: A piece cannot be decompressed.
            StorageError: The file cannot be read, or changed.
        """
        self._opened()
        if len(wanted.stops) and int(wanted.stops.max()) > self.size:
            raise StorageError(
                f"{self._file.url} changed since it was indexed: byte {int(wanted.stops.max())} of its content is "
                f"asked for and it has {self.size}; index it again, or restore the file"
            )
        ranges = self._cut(wanted)
        if not self._read_copied(target, ranges):
            self._read_parts(target, ranges)

    def unpack(self, starts: Positions, stops: Positions, unpacker: Executor, most_bytes: int) -> int:
        """Let another thread decompress the pieces of ranges that will be read soon, where copies of them are kept.

        Pieces that only memory keeps are left alone: those that are needed now would have to make room. What cannot be
        decompressed, or read, is found out by whoever reads it.

        Args:
            starts: First byte of each range.
            stops: Byte after the last of each.
            unpacker: The thread.
            most_bytes: Decompressed bytes that it may be given.

        Returns:
            Those that it was given.

        Raises:
            StorageError: The file is closed.
        """
        self._opened()
        if not self._frames.wanted:
            return 0
        last = len(self._plain) - 2
        firsts = np.minimum(np.searchsorted(self._plain, starts, side="right") - 1, last)
        lasts = np.clip(np.searchsorted(self._plain, stops, side="left") - 1, firsts, last)
        chosen, given = [], 0
        for piece in sorted({*firsts.tolist(), *lasts.tolist()}):
            size = int(self._plain[piece + 1] - self._plain[piece])
            if piece not in self._ahead and given + size <= most_bytes and self._found(piece) is None:
                chosen.append(piece)
                given += size
        self._ahead.update({piece: unpacker.submit(self._unpacked_ahead, piece) for piece in chosen})
        return given

    def close(self) -> None:
        """Release the file, and what is kept of it in memory. It may be called twice."""
        if self._access is not None:
            for piece in reversed(tuple(self._ahead)):  # those that are not begun first
                self._taken_back(piece)
            self._access.close()
            self._access = None
            self._frames.forget(self._file)
            self._frames = Kept()  # lets go of those that the process shares

    def _opened(self) -> RandomAccess:
        if self._access is None:
            raise StorageError(f"{self._file.url} is closed")
        return self._access

    def _cut(self, wanted: Spans) -> _Ranges:
        """Spans cut where pieces end."""
        starts, stops = wanted.starts, wanted.stops
        piece = np.minimum(np.searchsorted(self._plain, starts, side="right") - 1, len(self._plain) - 2)
        more = np.maximum(np.searchsorted(self._plain, stops, side="left") - 1 - piece, 0)
        if more.any():
            counts = more + 1
            span = np.repeat(np.arange(len(counts)), counts)
            piece = piece[span] + np.arange(len(span)) - (np.cumsum(counts) - counts)[span]
            starts = np.maximum(starts[span], self._plain[piece])
            stops = np.minimum(stops[span], self._plain[piece + 1])
        edges = np.flatnonzero(np.diff(piece, prepend=-1))
        return _Ranges(piece[edges].tolist(), np.append(edges, len(piece)), starts, stops)

    def _read_copied(self, target: Bytes, ranges: _Ranges) -> bool:
        """Read ranges with one call, where all pieces lie in one file of copies: the rule, once a few are there."""
        copies = [self._frames.find((self._file, piece)) for piece in ranges.pieces]
        first = copies[0] if copies else None
        if first is None or not self._ahead.keys().isdisjoint(ranges.pieces):
            return False
        found = [copy.offset for copy in copies if copy is not None and copy.ranges is first.ranges]
        if len(found) < len(copies):
            return False
        hits_here().hits += len(copies)
        shift = np.repeat(np.array(found) - self._plain[ranges.pieces], np.diff(ranges.edges))
        first.ranges.read_into(target, back_to_back(ranges.starts + shift, ranges.stops + shift))
        return True

    def _read_parts(self, target: Bytes, ranges: _Ranges) -> None:
        """Read ranges piece by piece; what is not decompressed yet is now."""
        for batch, missing in self._batches(self._parts(ranges)):
            packed = self._fetched(missing)
            for copies, run in groupby(batch, _ranges_of):
                if copies is not None:
                    _read_copies(target, copies, [(part, held) for part, held in run if isinstance(held, Copy)])
                    continue
                for part, held in run:
                    found = held if isinstance(held, np.ndarray) else self._unpacked(part.piece, packed[part.piece])
                    _fill(target[part.target], found, part)

    def _parts(self, ranges: _Ranges) -> list[_Part]:
        """Ranges put together by piece."""
        places = np.append(0, np.cumsum(ranges.stops - ranges.starts))
        return [
            _Part(
                piece,
                ranges.starts[low:high] - self._plain[piece],
                ranges.stops[low:high] - self._plain[piece],
                slice(int(places[low]), int(places[high])),
            )
            for piece, (low, high) in zip(ranges.pieces, pairwise(ranges.edges.tolist()), strict=True)
        ]

    def _batches(self, parts: Sequence[_Part]) -> Iterator[tuple[list[tuple[_Part, Bytes | Copy | None]], list[int]]]:
        """Parts with what is kept of their pieces, and the pieces that have to be fetched for them, some at a time."""
        batch: list[tuple[_Part, Bytes | Copy | None]] = []
        missing: dict[int, None] = {}
        size, hits = 0, hits_here()
        for part in parts:
            is_ahead = self._taken_back(part.piece)
            held = self._found(part.piece)
            batch.append((part, held))
            hits.count(not is_ahead and (held is not None or part.piece in missing))
            if held is None and part.piece not in missing:
                missing[part.piece] = None
                size += int(self._packed[part.piece + 1] - self._packed[part.piece])
            if size >= FETCH_BYTES:
                yield batch, list(missing)
                batch, missing, size = [], {}, 0
        yield batch, list(missing)

    def _found(self, piece: int) -> Bytes | Copy | None:
        """What is kept of a piece."""
        key = (self._file, piece)
        copy = self._frames.find(key)
        return self._frames.kept(key) if copy is None else copy

    def _taken_back(self, piece: int) -> bool:
        """Whether a piece was given to another thread. What that is at is waited for; what it has not begun, it lets.

        To wait until a busy thread begins could take longer than to do it here.
        """
        ahead = self._ahead.pop(piece, None)
        if ahead is not None and not ahead.cancel():
            begun = time.perf_counter()
            ahead.exception()  # whoever reads the piece finds it out again, and says what needs it
            hits_here().waited_seconds += time.perf_counter() - begun
        return ahead is not None

    def _fetched(self, pieces: Sequence[int]) -> dict[int, memoryview]:
        """The compressed bytes of some pieces."""
        if not pieces:
            return {}
        numbers = np.array(sorted(pieces), np.int64)
        values = self._opened().gather(self._packed[numbers], self._packed[numbers + 1])
        return {number: memoryview(value.as_buffer()) for number, value in zip(numbers.tolist(), values, strict=True)}

    def _unpacked_ahead(self, piece: int) -> None:
        """The same for another thread, whose future must not hold the piece: what is kept of it has a limit."""
        self._unpacked(piece, self._fetched([piece])[piece])

    def _unpacked(self, piece: int, packed: memoryview) -> Bytes:
        """A piece, decompressed, and kept as far as there is room."""
        key = (self._file, piece)
        self._frames.decoding(key)
        data = np.empty(int(self._plain[piece + 1] - self._plain[piece]), np.uint8)
        try:
            unpack(packed, data)
        except CodecError as error:
            raise BrokenFrameError(int(self._plain[piece]), str(error)) from error
        if self._frames.wanted and self._frames.copy(key, lambda volume: _copied(volume, data)):
            return data
        if data.nbytes > self._cache_bytes:
            self._frames.passed(key)
        else:
            self._frames.keep(key, data, self._cache_bytes)
        return data


def _copied(volume: Volume, data: Bytes) -> Copy:
    return Copy(volume.ranges, volume.append(data.data))


def _ranges_of(pair: tuple[_Part, Bytes | Copy | None]) -> RangedFile | None:
    """The file of a copy; None for what is in memory, or not decompressed yet."""
    return pair[1].ranges if isinstance(pair[1], Copy) else None


def _read_copies(target: Bytes, ranges: RangedFile, copies: Sequence[tuple[_Part, Copy]]) -> None:
    """Read parts that follow each other from the copies in one file at once: a call costs as much as ten records."""
    starts = np.concatenate([part.starts + copy.offset for part, copy in copies])
    stops = np.concatenate([part.stops + copy.offset for part, copy in copies])
    ranges.read_into(target[copies[0][0].target.start : copies[-1][0].target.stop], back_to_back(starts, stops))


def _fill(target: Bytes, held: Bytes, part: _Part) -> None:
    """Put ranges of a piece into the target, back to back."""
    source, room, place = held.data, target.data, 0
    for start, stop in zip(part.starts.tolist(), part.stops.tolist(), strict=True):
        following = place + stop - start
        room[place:following] = source[start:stop]
        place = following
