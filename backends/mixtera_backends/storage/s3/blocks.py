"""Blocks of objects that a process has read, kept in a temporary file that has no name.

A mixture asks for the records of a segment in many small requests, some of them seconds apart, and different readers
ask for different ones. Read one by one they cost a request each, read with what lies between them the same bytes come
again and again. A block is read once while there is room.
"""

from __future__ import annotations

import os
import tempfile
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, BinaryIO, Final, TypeAlias

from mixtera.errors import StorageError
from mixtera.formats.temporary import SPOOL_VARIABLE

if TYPE_CHECKING:
    from mixtera_backends.storage.s3.clients import Buffer

BLOCK_BYTES: Final = 256 << 10
DEFAULT_MEBIBYTES: Final = 1024
SIZE_VARIABLE: Final = "MIXTERA_S3_CACHE_MB"
"""Environment variable: mebibytes of blocks that a process keeps; 0 for none."""

Object: TypeAlias = tuple[str, str, str]
"""Bucket, key and etag."""

Fetch: TypeAlias = "Callable[[Sequence[tuple[int, int]]], list[Buffer]]"


class Blocks:
    """The blocks of one process; those used last are kept."""

    def __init__(self, capacity_bytes: int) -> None:
        self._capacity = capacity_bytes // BLOCK_BYTES
        self._slots: OrderedDict[tuple[Object, int], int] = OrderedDict()
        self._file: BinaryIO | None = None
        self._closed: weakref.finalize[..., Blocks] | None = None
        self._lock = threading.Lock()

    def read(
        self, wanted: Object, size: int, starts: Sequence[int], stops: Sequence[int], most: int, fetch: Fetch
    ) -> list[bytes] | None:
        """Read ranges of an object, of which those blocks that are not here are fetched.

        Args:
            wanted: The object.
            size: Its bytes.
            starts: First byte of each range.
            stops: Byte after the last of each.
            most: Bytes of one request, at most.
            fetch: Fetches ranges of the object.

        Returns:
            The bytes of each range; None where they are more than can be kept.

        Raises:
            StorageError: The file cannot be written, or what `fetch` raises.
        """
        needed = _blocks(starts, stops)
        if len(needed) > self._capacity:
            return None
        with self._lock:
            missing = [block for block in needed if (wanted, block) not in self._slots]
            for block in needed:
                if (wanted, block) in self._slots:
                    self._slots.move_to_end((wanted, block))
            runs = list(_runs(missing, max(1, most // BLOCK_BYTES)))
            ranges = [(first * BLOCK_BYTES, min(last * BLOCK_BYTES, size)) for first, last in runs]
            for (first, _), data in zip(runs, fetch(ranges) if ranges else (), strict=True):
                self._keep(wanted, first, memoryview(data))
            return [self._copy(wanted, start, stop) for start, stop in zip(starts, stops, strict=True)]

    def _keep(self, wanted: Object, first: int, data: memoryview) -> None:
        """Write a run of blocks; each takes a free slot, or that of the block unused for longest."""
        for number, begin in enumerate(range(0, len(data), BLOCK_BYTES)):
            full = len(self._slots) >= self._capacity
            slot = self._slots.popitem(last=False)[1] if full else len(self._slots)
            try:
                _write(self._opened().fileno(), data[begin : begin + BLOCK_BYTES], slot * BLOCK_BYTES)
            except OSError as error:
                self._forget()
                raise StorageError(
                    f"blocks of S3 objects cannot be kept in {_directory()}: {error.strerror}; make room there, set "
                    f"{SPOOL_VARIABLE} to another directory, or {SIZE_VARIABLE} to fewer mebibytes, 0 for none"
                ) from error
            self._slots[wanted, first + number] = slot

    def _copy(self, wanted: Object, start: int, stop: int) -> bytes:
        parts = []
        while start < stop:
            block, skipped = divmod(start, BLOCK_BYTES)
            length = min(stop - start, BLOCK_BYTES - skipped)
            place = self._slots[wanted, block] * BLOCK_BYTES + skipped
            parts.append(os.pread(self._opened().fileno(), length, place))
            start += length
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _opened(self) -> BinaryIO:
        if self._file is None:
            self._file = tempfile.TemporaryFile(dir=_directory(), buffering=0)  # noqa: SIM115 - closed with the blocks
            self._closed = weakref.finalize(self, self._file.close)
        return self._file

    def _forget(self) -> None:
        self._slots.clear()
        self._file = None
        if self._closed is not None:
            self._closed()


def kept_bytes() -> int:
    """Bytes of blocks that a process may keep, as the environment says.

    Raises:
        StorageError: It says no number.
    """
    text = os.environ.get(SIZE_VARIABLE, str(DEFAULT_MEBIBYTES))
    if not (text.isascii() and text.isdecimal()):
        raise StorageError(f"{SIZE_VARIABLE} is {text!r}: it must be a whole number of mebibytes, 0 for no cache")
    return int(text) << 20


def _directory() -> str:
    return os.environ.get(SPOOL_VARIABLE) or tempfile.gettempdir()


def _write(file: int, data: memoryview, place: int) -> None:
    while data:
        written = os.pwrite(file, data, place)
        data, place = data[written:], place + written


def _blocks(starts: Sequence[int], stops: Sequence[int]) -> list[int]:
    """The blocks that ranges lie in, ascending."""
    found = {
        block
        for start, stop in zip(starts, stops, strict=True)
        if start < stop
        for block in range(start // BLOCK_BYTES, (stop - 1) // BLOCK_BYTES + 1)
    }
    return sorted(found)


def _runs(blocks: Iterable[int], most: int) -> Iterable[tuple[int, int]]:
    """Neighbours together: the first block of each run and the one after its last; none longer than `most`."""
    first = last = None
    for block in blocks:
        if first is not None and last is not None and block == last and last - first < most:
            last += 1
            continue
        if first is not None and last is not None:
            yield first, last
        first, last = block, block + 1
    if first is not None and last is not None:
        yield first, last
