"""The audit log: a line of JSON for everything that somebody may want to know of later.

That is every refusal, every attach, join, checkpoint, read and creation, and every failure. Promises and feedback that
go well are not in it: there are thousands a second, and the journals have what they changed.
"""

from __future__ import annotations

import datetime
import os
import sys
import threading
from typing import IO, Final

import msgspec

from mixtera.errors import StorageError

_MOST_CHARACTERS: Final = 500


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """A line of the log; no secret is ever in it."""

    time: str
    who: str
    address: str
    action: str
    outcome: str
    """`done`, or the kind of the refusal."""
    status: int
    job: str | None = None
    message: str | None = None


class Audit:
    """Appends to a file, or to stderr."""

    def __init__(self, path: str | None) -> None:
        """Open it.

        Raises:
            StorageError: It cannot be written.
        """
        try:
            self._file: IO[bytes] = sys.stderr.buffer if path is None else _opened(path)
        except OSError as error:
            raise StorageError(f"the audit log {path} cannot be written: {error.strerror or error}") from error
        self._guard = threading.Lock()

    def write(
        self,
        who: str,
        address: str,
        action: str,
        outcome: str,
        status: int,
        job: str | None = None,
        message: str | None = None,
    ) -> None:
        """Note something; where the disk is full, the service goes on without."""
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
        short = None if message is None else message[:_MOST_CHARACTERS]
        line = msgspec.json.encode(Entry(now, who, address, action, outcome, status, job, short)) + b"\n"
        with self._guard:
            try:
                self._file.write(line)
                self._file.flush()
            except OSError:
                return


def _opened(path: str) -> IO[bytes]:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600), "ab", buffering=0)
