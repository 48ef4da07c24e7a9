"""Processes that share a directory as long as one of them reads: the last one removes it.

Each holds a lock, which the system releases with the process, on a file of its own: so those that live can be counted,
whatever the others died of. What all of them left behind when they were killed is removed by the next ones.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.util import Finalize
from pathlib import Path
from tempfile import mkstemp
from typing import IO, Final

from mixtera.errors import StorageError
from mixtera.formats.temporary import SPOOL_VARIABLE
from mixtera_backends.storage.s3.locks import is_at, locked

_MEMBER: Final = ".member"
_LOCK: Final = "members"
_PATIENCE_SECONDS: Final = 60.0
"""Who joins or leaves holds the lock for a moment."""
_LEAVING_SECONDS: Final = 0.2
"""A finalizer waits for nothing for long: what it leaves behind, the next ones remove."""
_PAUSE_SECONDS: Final = 0.005


class Company:
    """The processes that share a directory, this one among them once it has joined.

    Args:
        directory: A directory of theirs alone; the first one makes it.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._left: Finalize[object] | None = None
        self._size = 0

    def join(self) -> None:
        """Be one of them until this object is gone, or this process ends; the directory is there then, and theirs.

        Raises:
            StorageError: The directory belongs to somebody else, or is locked.
            OSError: It cannot be made.
        """
        until = time.monotonic() + _PATIENCE_SECONDS
        have_alone(self.directory)  # a cleaner of temporary files may have been there, and then somebody else
        while self._left is None:
            have_alone(self.directory)
            with _alone_in(self.directory) as entered:
                if entered and self._left is None:  # another thread may have joined meanwhile
                    descriptor, name = mkstemp(_MEMBER, dir=self.directory)
                    member = os.fdopen(descriptor, "wb", buffering=0)
                    locked(member)
                    self._left = Finalize(self, _leave, (Path(name), member), exitpriority=10)
                    self._size = _members(self.directory)
                if entered:
                    return
            if time.monotonic() > until:
                raise StorageError(f"{self.directory / _LOCK} is locked by another process: end it, or remove the file")
            time.sleep(_PAUSE_SECONDS)

    def size(self) -> int:
        """How many they are, or were a moment ago."""
        with _alone_in(self.directory) as entered:
            if entered:
                self._size = _members(self.directory)
        return max(1, self._size)

    def leave(self) -> None:
        """Be none of them any more; the last one removes the directory."""
        if self._left is not None:
            self._left()
            self._left = None


def _leave(mark: Path, member: IO[bytes]) -> None:
    directory, until = mark.parent, time.monotonic() + _LEAVING_SECONDS
    while True:
        with _alone_in(directory) as entered:
            if entered or time.monotonic() > until:
                mark.unlink(missing_ok=True)
                fcntl.flock(member, fcntl.LOCK_UN)  # a child that was forked meanwhile has the lock, too
                member.close()
                if entered and not _members(directory):
                    shutil.rmtree(directory, ignore_errors=True)
                return
        time.sleep(_PAUSE_SECONDS)


def _members(directory: Path) -> int:
    """Members that live; the marks of dead ones are removed."""
    count = 0
    for path in directory.glob(f"*{_MEMBER}"):
        with suppress(FileNotFoundError), path.open("rb") as file:  # a cleaner of temporary files may be at work
            if locked(file):
                path.unlink()
            else:
                count += 1
    return count


@contextmanager
def _alone_in(directory: Path) -> Iterator[bool]:
    """Nobody else joins or leaves meanwhile; False, and no such promise, where somebody does so now."""
    path = directory / _LOCK
    try:
        lock = path.open("ab")
    except FileNotFoundError:  # the last one has left
        yield False
        return
    with lock:
        if not locked(lock):
            yield False
            return
        try:
            yield is_at(lock, path)
        finally:
            fcntl.flock(lock, fcntl.LOCK_UN)  # a child that was forked meanwhile has the lock, too


def have_alone(directory: Path) -> None:
    """Have a directory that nobody else can write to; it may be gone again, where others may remove it.

    Raises:
        StorageError: There is one of somebody else.
        OSError: It cannot be made.
    """
    with suppress(FileExistsError):
        directory.mkdir(mode=0o700)
    try:
        found = directory.lstat()
    except FileNotFoundError:  # the last one has left just now
        return
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise StorageError(
            f"{directory}, where what is fetched of objects is kept, is not this user's alone: remove it, or set "
            f"{SPOOL_VARIABLE} or TMPDIR to another directory"
        )
