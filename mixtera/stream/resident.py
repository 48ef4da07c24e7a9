"""Bounds the pages that files mapped into memory keep resident, over all files of one reader.

A storage may serve ranges through a memory map: pages that were touched count as memory of the process until they are
given back. Formats open files through `Watched`, which knows every open file and what was read of it.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import BinaryIO, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mixtera.contracts.storage import AccessProfile, FileInfo, RandomAccess, Storage

_BLOCK_SHIFT: Final = 16
"""A kernel maps blocks of 1 << 16 bytes around a byte that is touched."""


class Watched:
    """A storage whose files opened for ranges are given back together, once enough of them was touched."""

    def __init__(self, resident_bytes: int) -> None:
        self._resident_bytes = resident_bytes
        self._touched_bytes = 0
        self._files: weakref.WeakSet[WatchedFile] = weakref.WeakSet()

    def touch(self, starts: npt.NDArray[np.int64]) -> None:
        """Count the blocks of some ranges, ascending; release all files first if they would be too many."""
        blocks = 1 + int(np.count_nonzero(np.diff(starts >> _BLOCK_SHIFT)))
        if self._touched_bytes + (blocks << _BLOCK_SHIFT) > self._resident_bytes:
            self.release()
        self._touched_bytes += blocks << _BLOCK_SHIFT

    def release(self) -> None:
        """Give back what was touched of all files; they stay open."""
        for file in self._files:
            file.release()
        self._touched_bytes = 0

    def storage(self, storage: Storage) -> Storage:
        """The same storage, watched."""
        return _WatchedStorage(storage, self)

    def open(self, access: RandomAccess) -> RandomAccess:
        """The same open file, watched."""
        file = WatchedFile(access, self)
        self._files.add(file)
        return file


class WatchedFile:
    """An open file that reports what is read of it."""

    def __init__(self, access: RandomAccess, watched: Watched) -> None:
        self._access, self._watched = access, watched

    @property
    def size(self) -> int:
        """Bytes in the file."""
        return self._access.size

    def gather(self, starts: npt.NDArray[np.int64], stops: npt.NDArray[np.int64]) -> pa.LargeBinaryArray:
        """Read many ranges in one go."""
        if len(starts):
            self._watched.touch(starts)
        return self._access.gather(starts, stops)

    def release(self) -> None:
        """Give back what was cached for past ranges."""
        self._access.release()

    def close(self) -> None:
        """Release the file."""
        self._access.close()


class _WatchedStorage:
    def __init__(self, storage: Storage, watched: Watched) -> None:
        self._storage, self._watched = storage, watched
        self.name, self.schemes = storage.name, storage.schemes

    def profile(self) -> AccessProfile:
        return self._storage.profile()

    def expand(self, patterns: Sequence[str]) -> list[FileInfo]:
        return self._storage.expand(patterns)

    def stat(self, url: str) -> FileInfo:
        return self._storage.stat(url)

    def open(self, url: str) -> BinaryIO:
        return self._storage.open(url)

    def random_access(self, url: str) -> RandomAccess:
        return self._watched.open(self._storage.random_access(url))
