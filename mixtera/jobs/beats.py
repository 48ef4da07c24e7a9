"""Beats: what a process says of its readers every few seconds, so that one that is gone is noticed."""

from __future__ import annotations

import os
import socket
import threading
import weakref
from contextlib import suppress
from typing import Final

from mixtera.errors import MixteraError
from mixtera.jobs.connection import Connection
from mixtera.jobs.messages import AliveRequest, Done, Reader
from mixtera.jobs.observed import numbers_of
from mixtera.stream import Stream

SECONDS: Final = 10.0
_MOST: Final = 256
_Streams = dict[tuple[int, int], "weakref.ref[Stream]"]


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
        self._guard = threading.Lock()
        self._process = 0
        self._readers: _Streams = {}
        self._end = threading.Event()

    def add(self, rank: int, worker: int, stream: Stream) -> None:
        """Tell of a reader from now on, until it is gone; one with the same numbers is replaced."""
        with self._guard:
            if self._process != os.getpid():  # a forked child has readers of its own
                self._process, self._readers, self._end = os.getpid(), {}, threading.Event()
            begin = not self._readers
            self._readers = {**self._readers, (rank, worker): weakref.ref(stream)}
            if begin:
                self._end = threading.Event()
                threading.Thread(target=self._run, args=(self._end,), name="mixtera-alive", daemon=True).start()

    def close(self) -> None:
        """Say no more."""
        with self._guard:
            self._readers = {}
            self._end.set()

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
        with self._guard:
            found = {} if self._process != os.getpid() else {key: known() for key, known in self._readers.items()}
            self._readers = {key: self._readers[key] for key, stream in found.items() if stream is not None}
        alive = [(key, stream) for key, stream in sorted(found.items()) if stream is not None]
        return tuple(Reader(*key, stream.position - self._first, numbers_of(stream)) for key, stream in alive)
