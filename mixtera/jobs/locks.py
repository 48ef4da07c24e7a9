"""Who may use a job's directory: locks that the kernel releases when their owner dies."""

from __future__ import annotations

import fcntl
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mixtera.errors import JobError, StorageError


class DirectoryLock:
    """The two locks of a directory. Belongs to the process that made it.

    One is held as long as the job is open: shared by the processes of a run, or alone by a service. The other one is
    held for each change.
    """

    def __init__(self, directory: Path, alone: bool) -> None:
        """Take the first.

        Args:
            directory: The job's directory.
            alone: Whether nobody else may use it meanwhile.

        Raises:
            JobError: Somebody uses it who does not share, or whom one cannot push aside.
            StorageError: The file system has no locks, or the directory cannot be written.
        """
        self._thread = threading.RLock()
        self._owner = _opened(directory / "owner")
        self._change = _opened(directory / "lock")
        try:
            fcntl.flock(self._owner, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except BlockingIOError:
            who = os.pread(self._owner, 300, 0).decode(errors="replace") or "another process"
            self.close()
            raise JobError(
                f"the job {directory} is in use by {who}; "
                + ("end that first" if alone else "attach to it there (`mixtera.Job.attach`), or end it")
            ) from None
        except OSError as error:
            self.close()
            raise StorageError(
                f"cannot lock the job {directory}: {error.strerror or error}; its file system must support locks (on "
                "Lustre: mount with flock)"
            ) from error
        self.sign(f"process {os.getpid()} on {socket.gethostname()}")

    def sign(self, who: str) -> None:
        """Leave a name for others to read."""
        os.ftruncate(self._owner, 0)
        os.pwrite(self._owner, who.encode(), 0)

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Hold the second lock; the threads of this process take turns, too."""
        with self._thread:
            fcntl.flock(self._change, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.flock(self._change, fcntl.LOCK_UN)

    def close(self) -> None:
        """Release both."""
        os.close(self._owner)
        os.close(self._change)


def _opened(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise StorageError(f"{path} cannot be opened: {error.strerror or error}") from error
