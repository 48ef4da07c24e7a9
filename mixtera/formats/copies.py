"""Decompressed copies that the processes of a machine share: a directory with a limit, of which the oldest makes room.

A copy is a file named after the fingerprint of what it is a copy of. Who uses one holds a shared lock (`flock`) on it,
who makes one an exclusive lock on its unfinished file; the system releases both when a process dies, however it dies.
So what nobody holds a lock on is unused, and an unfinished file that nobody holds one on is what a dead process left.
Everything else is decided under one lock of the directory, which is never held while something is decompressed.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from mixtera.contracts.storage import FileInfo

_COPY: Final = ".plain"
_UNFINISHED: Final = ".part"
_LOCK: Final = "lock"


class FullError(Exception):
    """There is no room within the limit: everything that could make room is in use.

    Attributes:
        used: Bytes of the copies that are in use.
    """

    def __init__(self, used: int) -> None:
        super().__init__(f"{used:,} bytes are in use")
        self.used = used


class Copies:
    """The copies of one directory. Any process and thread may use it.

    Args:
        directory: Where they lie; a folder of this user is made in it.
        limit_bytes: Bytes that they may have together.
    """

    def __init__(self, directory: str, limit_bytes: int) -> None:
        self._directory = Path(directory) / f"mixtera-copies-{os.getuid()}"
        self._limit_bytes = limit_bytes

    def find_or_begin(self, file: FileInfo) -> tuple[BinaryIO, bool]:
        """The copy of a file, open and locked against being given up, or an empty file to write it to.

        Where another process is about to make the copy, this waits for it.

        Returns:
            The open file, and whether it is to be written; then call `finish`, or `abandon`.

        Raises:
            OSError: The directory cannot be made or written.
        """
        self._directory.mkdir(mode=0o700, exist_ok=True)
        copy, unfinished = self._paths(file)
        while True:
            with self._locked():
                if (found := _opened(copy, fcntl.LOCK_SH)) is not None:
                    os.utime(copy)
                    return found, False
                made = unfinished.open("a+b", buffering=0)
                if _lock(made, fcntl.LOCK_EX):
                    made.truncate(0)
                    return made, True
            with made:
                fcntl.flock(made, fcntl.LOCK_SH)  # until who makes it is done, or dead

    def finish(self, made: BinaryIO, file: FileInfo) -> None:
        """Give a copy that is written its name; it stays locked against being given up.

        Raises:
            OSError: It cannot be written out.
        """
        os.fdatasync(made.fileno())
        copy, unfinished = self._paths(file)
        with self._locked():
            unfinished.replace(copy)
            fcntl.flock(made, fcntl.LOCK_SH)

    def abandon(self, made: BinaryIO, file: FileInfo) -> None:
        """Remove an unfinished copy."""
        with self._locked():
            self._paths(file)[1].unlink(missing_ok=True)
            fcntl.flock(made, fcntl.LOCK_UN)  # a child that was forked meanwhile has the lock, too
            made.close()

    def make_room(self) -> None:
        """Remove what dead processes left, then the copies unused for longest, until the rest is within the limit.

        Raises:
            FullError: What is in use is more than that.
            OSError: The directory cannot be read.
        """
        with self._locked():
            for path in self._directory.glob(f"*{_UNFINISHED}"):
                _remove_unused(path)
            sizes = {path: path.stat() for path in self._directory.iterdir() if path.name != _LOCK}
            used = sum(status.st_size for status in sizes.values())
            for path in sorted(sizes, key=lambda path: sizes[path].st_mtime_ns):
                if used <= self._limit_bytes:
                    return
                if path.suffix == _COPY and _remove_unused(path):
                    used -= sizes[path].st_size
        if used > self._limit_bytes:
            raise FullError(used)

    def _paths(self, file: FileInfo) -> tuple[Path, Path]:
        name = hashlib.sha256(msgspec.json.encode(msgspec.to_builtins(file))).hexdigest()[:40]
        return self._directory / f"{name}{_COPY}", self._directory / f"{name}{_UNFINISHED}"

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with (self._directory / _LOCK).open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.flock(lock, fcntl.LOCK_UN)  # a child that was forked meanwhile has it, too, and may want it


def _opened(path: Path, lock: int) -> BinaryIO | None:
    """A file, locked; None where there is none."""
    try:
        found = path.open("rb", buffering=0)
    except FileNotFoundError:
        return None
    fcntl.flock(found, lock)
    return found


def _lock(file: BinaryIO, lock: int) -> bool:
    """Lock a file, if nobody's lock is against it; else it stays as it is."""
    try:
        fcntl.flock(file, lock | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _remove_unused(path: Path) -> bool:
    """Remove a file that nobody holds a lock on; returns whether it did."""
    with path.open("rb") as file:
        if not _lock(file, fcntl.LOCK_EX):
            return False
        path.unlink()
        return True
