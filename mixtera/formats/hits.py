"""Hits: how often what a reader needs is decoded already. Each thread counts for itself: a stream reads in one."""

from __future__ import annotations

import threading
from dataclasses import dataclass


@dataclass(slots=True)
class Hits:
    """Looks for decoded pieces: row groups, frames of compressed files, batches of Arrow files.

    Attributes:
        hits: A piece was there, in memory or on temporary disk.
        misses: It had to be read and decoded.
        waited_seconds: In which it was being decoded by another thread of this process.
    """

    hits: int = 0
    misses: int = 0
    waited_seconds: float = 0.0

    def count(self, found: bool) -> None:
        """Count one look."""
        if found:
            self.hits += 1
        else:
            self.misses += 1


class _Counts(threading.local):
    def __init__(self) -> None:
        self.hits = Hits()


_counts = _Counts()


def hits_here() -> Hits:
    """The counts of the thread that calls; any other may look at them."""
    return _counts.hits
