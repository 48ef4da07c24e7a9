"""Decoded pieces of a process: the last ones in memory, and on temporary disk where they come again.

Components that pass through the files at different speeds need one piece (a row group, a frame of a compressed file) at
different times, too far apart for memory. So once a piece comes again that memory had given up, those that are decoded
from then on are copied to disk. The copies lie in unnamed files, of which the oldest makes room when there is no more;
whatever they do not hold is decoded again.
"""

from __future__ import annotations

import os
import shutil
from collections import OrderedDict, deque
from collections.abc import Callable
from threading import Lock
from typing import Final, Generic, Protocol, TypeAlias, TypeVar

from mixtera.errors import StorageError
from mixtera.formats.ranges import RangedFile
from mixtera.formats.temporary import spool_directory, unnamed_file

VOLUME_BYTES: Final = 256 << 20
"""Bytes of one file of copies, about: what is given up at a time."""
VOLUMES: Final = 16
FREE_SHARE: Final = 4
"""A new volume is only begun where the disk has room for this many."""
REMEMBERED: Final = 1 << 14
"""Pieces given up last, by which a reader notices that one comes again."""

Key: TypeAlias = tuple[object, int]
"""The file, with whatever tells its readers apart, and the number of the piece."""


class _Sized(Protocol):
    @property
    def nbytes(self) -> int: ...


_Value = TypeVar("_Value", bound=_Sized)
_Copy = TypeVar("_Copy")


class Volume:
    """One unnamed file: copies one after the other."""

    def __init__(self, directory: str) -> None:
        self._file = unnamed_file(directory)
        self._descriptor = self._file.fileno()
        self.ranges = RangedFile(self._file, f"the temporary copy of decoded data in {directory}")
        self.size = 0

    def append(self, data: memoryview) -> int:
        """Write some bytes behind the others; returns where they begin.

        Raises:
            OSError: There is no room.
        """
        start = self.size
        while len(data):
            written = os.pwrite(self._descriptor, data, self.size)
            data = data[written:]
            self.size += written
        return start

    def read(self, start: int, size: int) -> bytes:
        """Read some bytes back.

        Raises:
            StorageError: They are not there.
        """
        data = os.pread(self._descriptor, size, start)
        if len(data) != size:
            raise StorageError("the temporary copy of decoded data cannot be read back")
        return data


class Kept(Generic[_Value, _Copy]):
    """Decoded pieces, by key. Any thread may use it."""

    def __init__(self) -> None:
        self.wanted = False
        """Whether pieces are to be copied."""
        self._lock = Lock()
        self._copies: dict[Key, _Copy] = {}
        self._volumes: deque[tuple[Volume, list[Key]]] = deque()
        self._kept: OrderedDict[Key, _Value] = OrderedDict()
        self._kept_bytes = 0
        self._given_up: OrderedDict[Key, None] = OrderedDict()

    def kept(self, key: Key) -> _Value | None:
        """A decoded piece that is still in memory."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def keep(self, key: Key, value: _Value, limit_bytes: int) -> None:
        """Keep a piece in memory, now that it is decoded; those unused for longest make room."""
        with self._lock:
            self._drop(key)
            self._kept[key] = value
            self._kept_bytes += value.nbytes
            self._shrink(limit_bytes)

    def make_room(self, size: int, limit_bytes: int) -> None:
        """Give up now what would make room for a piece of so many bytes, which can then be decoded where that was."""
        with self._lock:
            self._shrink(limit_bytes - size)

    def passed(self, key: Key) -> None:
        """Note that a piece is decoded that is too large to be kept."""
        with self._lock:
            self._note(key)

    def decoding(self, key: Key) -> None:
        """Note that a piece is about to be decoded. When it was given up before, copies are `wanted`."""
        with self._lock:
            if key in self._given_up:
                self.wanted = True
                self._given_up.clear()
                self._kept.clear()
                self._kept_bytes = 0

    def kept_bytes(self, file: object) -> int:
        """Bytes in memory of the pieces of a file."""
        with self._lock:
            return sum(value.nbytes for key, value in self._kept.items() if key[0] == file)

    def forget(self, file: object) -> None:
        """Keep nothing more of a file in memory."""
        with self._lock:
            for key in [key for key in self._kept if key[0] == file]:
                self._drop(key)
                self._note(key)

    def find(self, key: Key) -> _Copy | None:
        """The copy of a piece, if there is one."""
        return self._copies.get(key)

    def copy(self, key: Key, write: Callable[[Volume], _Copy]) -> _Copy | None:
        """Copy a piece to disk; None where there is no room.

        Args:
            key: The piece.
            write: Appends it to a volume, and tells where it lies.
        """
        with self._lock:
            if key in self._copies:  # another thread was faster
                return self._copies[key]
            found = self._room()
            if found is None:
                return None
            volume, keys = found
            try:
                copied = write(volume)
            except OSError:  # no room after all
                self._give_up_oldest()
                return None
            keys.append(key)
            self._copies[key] = copied
            return copied

    def _shrink(self, limit_bytes: int) -> None:
        while self._kept and self._kept_bytes > limit_bytes:
            oldest = next(iter(self._kept))
            self._drop(oldest)
            self._note(oldest)

    def _drop(self, key: Key) -> None:
        value = self._kept.pop(key, None)
        self._kept_bytes -= 0 if value is None else value.nbytes

    def _note(self, key: Key) -> None:
        if not self.wanted:
            self._given_up[key] = None
            if len(self._given_up) > REMEMBERED:
                self._given_up.popitem(last=False)

    def _room(self) -> tuple[Volume, list[Key]] | None:
        if self._volumes and self._volumes[-1][0].size < VOLUME_BYTES:
            return self._volumes[-1]
        directory = spool_directory()
        try:
            if len(self._volumes) >= VOLUMES or shutil.disk_usage(directory).free < FREE_SHARE * VOLUME_BYTES:
                self._give_up_oldest()
            if shutil.disk_usage(directory).free < FREE_SHARE * VOLUME_BYTES:
                return None
            self._volumes.append((Volume(directory), []))
        except OSError:  # no such directory, or a full one
            return None
        return self._volumes[-1]

    def _give_up_oldest(self) -> None:
        if self._volumes:
            for key in self._volumes.popleft()[1]:
                del self._copies[key]
