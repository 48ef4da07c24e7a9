"""What a process says of its readers to a service: it goes along with what is sent anyway, every few seconds."""

from __future__ import annotations

import os
import socket
import threading
import time
import weakref
from typing import Final

from mixtera.jobs.messages import AliveRequest, Reader, ReaderNumbers
from mixtera.stream import Stream

EVERY_SECONDS: Final = 3.0
_MOST: Final = 16
"""Readers of a process that are told of: a message stays small."""


class Observed:
    """The readers of one process. A forked child has readers of its own; so has a copy."""

    def __init__(self, first: int) -> None:
        """Nobody reads yet.

        Args:
            first: The plan's first position: on the way, positions count from there.
        """
        self._first = first
        self._guard = threading.Lock()
        self._process = os.getpid()
        self._readers: dict[tuple[int, int], weakref.ref[Stream]] = {}
        self._said = 0.0

    def add(self, rank: int, worker: int, stream: Stream) -> None:
        """Tell of a reader from now on, until it is gone; one with the same numbers is replaced."""
        with self._guard:
            if self._process != os.getpid():
                self._process, self._readers, self._said = os.getpid(), {}, 0.0
            self._readers[rank, worker] = weakref.ref(stream)

    def readers(self) -> tuple[Reader, ...]:
        """The readers now."""
        with self._guard:
            found = {} if self._process != os.getpid() else {key: known() for key, known in self._readers.items()}
        alive = [(key, stream) for key, stream in sorted(found.items()) if stream is not None]
        return tuple(Reader(*key, stream.position - self._first, numbers_of(stream)) for key, stream in alive[:_MOST])

    def due(self) -> AliveRequest | None:
        """What is to be said now; None where nobody reads, or something was said just before."""
        now = time.monotonic()
        if now - self._said < EVERY_SECONDS:
            return None
        readers = self.readers()
        if not readers:
            return None
        self._said = now
        return AliveRequest(f"{socket.gethostname()}:{os.getpid()}"[:200], readers)


def numbers_of(stream: Stream) -> ReaderNumbers:
    """The statistics of a stream as they are sent."""
    found = stream.statistics()
    work, traffic = found.work, found.traffic
    return ReaderNumbers(
        found.batches,
        round(found.waited_seconds, 6),
        round(found.between_seconds, 6),
        round(work.storage_seconds, 6),
        round(work.decoding_seconds, 6),
        round(work.promise_seconds, 6),
        work.queue,
        max(0, work.held_bytes),
        max(0, traffic.read_bytes),
        max(0, traffic.delivered_bytes),
    )
