"""The journal: an append-only file of records, on the disk before anybody relies on them.

What a crash leaves behind is a line without its end: nobody was told that it is there, so the next writer cuts it off.
Writers hold the lock of the job; readers of the same machine need none, since lines appear at the end only.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from mixtera.errors import JobError, StorageError
from mixtera.jobs.model import Report
from mixtera.jobs.records import Record, Reported, line, record

NAME: Final = "journal.jsonl"
_BLOCK: Final = 1 << 20


class Journal:
    """A journal that is open for appending. Belongs to the process that opened it.

    Attributes:
        end: Byte after the last line that was read or written.
        records: Lines before it.
    """

    def __init__(self, directory: Path, end: int = 0, records: int = 0) -> None:
        """Open it; an empty one is made.

        Args:
            directory: The job's directory.
            end: Where to begin reading: the end of a line.
            records: Lines before that.

        Raises:
            StorageError: It cannot be opened.
        """
        self.path, self.end, self.records = directory / NAME, end, records
        try:
            self._handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise _failed(self.path, "opened", error) from error

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return os.fstat(self._handle).st_size

    def new(self) -> Iterator[Record]:
        """The records that were appended since the last call, whoever appended them.

        Raises:
            JobError: A line is damaged, and not the last.
        """
        rest = b""
        place = self.end
        while place < self.size:
            block = os.pread(self._handle, _BLOCK, place)
            place += len(block)
            *lines, rest = (rest + block).split(b"\n")
            for number, content in enumerate(lines):
                last = number == len(lines) - 1 and not rest and place >= self.size
                found = self._record(content, last)
                if found is None:
                    return
                self.end += len(content) + 1
                self.records += 1
                yield found

    def append(self, records: Sequence[Record]) -> None:
        """Write records; they are on the disk when this returns, or not there at all.

        Raises:
            StorageError: They cannot be written.
        """
        content = b"".join(map(line, records))
        try:
            os.ftruncate(self._handle, self.end)  # what a crash has left behind
            written = 0
            while written < len(content):
                written += os.pwrite(self._handle, content[written:], self.end + written)
            os.fdatasync(self._handle)
        except OSError as error:
            self._undo()
            raise _failed(self.path, "written", error) from error
        self.end += len(content)
        self.records += len(records)

    def close(self) -> None:
        """Close the file."""
        os.close(self._handle)

    def _undo(self) -> None:
        try:
            os.ftruncate(self._handle, self.end)
        except OSError:
            return  # the next writer does it

    def _record(self, content: bytes, last: bool) -> Record | None:
        try:
            return record(content)
        except ValueError as error:
            if last:
                return None  # a write that a crash cut short
            raise JobError(
                f"{self.path}:{self.records + 1}: the journal is damaged: {error}; restore it from a copy, or start a "
                "new job in another directory"
            ) from error


def reports(path: Path, end: int) -> Iterator[Report]:
    """What the training has reported, as a journal has it; lines that cannot be read are passed over.

    Args:
        path: The journal.
        end: Byte after the last line that is read.

    Raises:
        StorageError: It cannot be read.
    """
    try:
        with path.open("rb") as file:
            for content in file:
                end -= len(content)
                if end < 0:
                    return
                with suppress(ValueError):
                    found = record(content)
                    if isinstance(found, Reported):
                        yield found.report
    except OSError as error:
        raise _failed(path, "read", error) from error


def _failed(path: Path, what: str, error: OSError) -> StorageError:
    return StorageError(f"{path} cannot be {what}: {error.strerror or error}")
