"""Who reads a job: what its readers have said of themselves, in memory. A reader that falls silent is gone."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

from mixtera.jobs.messages import AliveRequest, SeenReader

SILENT_SECONDS: Final = 35.0
"""A living reader says something every ten seconds; after this it is gone."""
FORGET_SECONDS: Final = 24 * 3600.0
MOST_READERS: Final = 100_000


@dataclass(slots=True)
class _Seen:
    position: int
    process: str
    at: float


class Readers:
    """The readers of one job, by rank and worker."""

    def __init__(self, first: int) -> None:
        """Nobody was heard of yet.

        Args:
            first: The plan's first position: readers count from it.
        """
        self._first = first
        self._seen: dict[tuple[int, int], _Seen] = {}

    def note(self, alive: AliveRequest) -> None:
        """Take in what a process says of its readers."""
        now = time.monotonic()
        for reader in alive.readers:
            key = reader.rank, reader.worker
            if key in self._seen or len(self._seen) < MOST_READERS:
                self._seen[key] = _Seen(reader.position, alive.process, now)

    def list(self) -> tuple[SeenReader, ...]:
        """All that were heard of within a day, by rank and worker."""
        now = time.monotonic()
        self._seen = {key: seen for key, seen in self._seen.items() if now - seen.at < FORGET_SECONDS}
        return tuple(
            SeenReader(
                rank,
                worker,
                seen.position + self._first,
                seen.process,
                round(now - seen.at, 3),
                now - seen.at > SILENT_SECONDS,
            )
            for (rank, worker), seen in sorted(self._seen.items())
        )
