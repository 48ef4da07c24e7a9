"""Beats: what a process says of its readers every few seconds, so that one that is gone is noticed."""

from __future__ import annotations

import os
import socket
import threading
import weakref
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from mixtera.errors import MixteraError
from mixtera.jobs.connection import Connection
from mixtera.jobs.messages import AliveRequest, Done, Reader
from mixtera.jobs.observed import numbers_of
from mixtera.jobs.processes import OfProcess
from mixtera.stream import Stream

SECONDS: Final = 10.0
_MOST: Final = 256
_Streams = dict[tuple[int, int], "weakref.ref[Stream]"]


@dataclass
class _Own:
    """What one process tells of: a fork of it has neither the thread nor whoever held the lock just then."""

    guard: threading.Lock = field(default_factory=threading.Lock)
    readers: _Streams = field(default_factory=dict)
    end: threading.Event = field(default_factory=threading.Event)


class Beats:
    """The readers of one process. Nobody waits for what is said of them, and nothing fails if it cannot be said."""

    def __init__(self, connection: Connection, path: str, first: int) -> None:
        """Prepare; the thread starts with the first reader.

        Args:
            connection: To the service.
            path: Where it is said.
            first: The plan's first position: on the way, positions count from there.
        """
        self._connection, self._path, self._first = connection, path, first
        self._own = OfProcess(_Own)

    def add(self, rank: int, worker: int, stream: Stream) -> None:
        """Tell of a reader from now on, until it is gone; one with the same numbers is replaced."""
        own = self._own.here
        with own.guard:
            begin = not own.readers
            own.readers = {**own.readers, (rank, worker): weakref.ref(stream)}
            if begin:
                own.end = threading.Event()
                threading.Thread(target=self._run, args=(own.end,), name="mixtera-alive", daemon=True).start()

    def close(self) -> None:
        """Say no more."""
        own = self._own.here
        with own.guard:
            own.readers = {}
            own.end.set()

    def _run(self, end: threading.Event) -> None:
        name = f"{socket.gethostname()}:{os.getpid()}"
        while not end.is_set():
            readers = self.readers()
            if not readers:
                return
            with suppress(MixteraError):  # the next beat says it
                self._connection.post(self._path, AliveRequest(name, readers[:_MOST]), Done, patience=0.0)
            end.wait(SECONDS)

    def readers(self) -> tuple[Reader, ...]:
        """The readers of this process now."""
        own = self._own.here
        with own.guard:
            found = {key: known() for key, known in own.readers.items()}
            own.readers = {key: own.readers[key] for key, stream in found.items() if stream is not None}
        alive = [(key, stream) for key, stream in sorted(found.items()) if stream is not None]
        return tuple(Reader(*key, stream.position - self._first, numbers_of(stream)) for key, stream in alive)
