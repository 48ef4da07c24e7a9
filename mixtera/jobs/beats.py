"""Beats: what a process says of its readers every few seconds, so that one that is gone is noticed."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from mixtera.errors import MixteraError
from mixtera.jobs.connection import Connection
from mixtera.jobs.messages import AliveRequest, Done, Reader

SECONDS: Final = 10.0
_MOST: Final = 256
_Positions = dict[tuple[int, int], Callable[[], "int | None"]]


class Beats:
    """The readers of one process. Nobody waits for what is said of them, and nothing fails if it cannot be said."""

    def __init__(self, connection: Connection, path: str) -> None:
        """Prepare; the thread starts with the first reader."""
        self._connection, self._path = connection, path
        self._guard = threading.Lock()
        self._process = 0
        self._readers: _Positions = {}
        self._end = threading.Event()

    def add(self, rank: int, worker: int, position: Callable[[], int | None]) -> None:
        """Tell of a reader from now on; one with the same numbers is replaced.

        Args:
            rank: Its rank.
            worker: Its worker.
            position: Its position, counted from the plan's first; None once it is gone.
        """
        with self._guard:
            if self._process != os.getpid():  # a forked child has readers of its own
                self._process, self._readers, self._end = os.getpid(), {}, threading.Event()
            begin = not self._readers
            self._readers = {**self._readers, (rank, worker): position}
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
            readers = self._now()
            if not readers:
                return
            with suppress(MixteraError):  # the next beat says it
                self._connection.post(self._path, AliveRequest(name, readers[:_MOST]), Done, patience=0.0)
            end.wait(SECONDS)

    def _now(self) -> tuple[Reader, ...]:
        with self._guard:
            found = {key: place() for key, place in self._readers.items()}
            self._readers = {key: self._readers[key] for key, place in found.items() if place is not None}
        return tuple(Reader(*key, place) for key, place in found.items() if place is not None)
