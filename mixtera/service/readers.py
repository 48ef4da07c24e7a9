"""Who reads a job: what its readers have said of themselves, in memory. A reader that falls silent is gone."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Final

from mixtera.jobs.messages import AliveRequest, Lately, ReaderNumbers, SeenReader
from mixtera.stream.statistics import Work, limit

SILENT_SECONDS: Final = 35.0
"""A living reader says something every ten seconds; after this it is gone."""
FORGET_SECONDS: Final = 24 * 3600.0
MOST_READERS: Final = 100_000


@dataclass(slots=True)
class _Seen:
    position: int
    process: str
    at: float
    numbers: ReaderNumbers | None = None
    lately: Lately | None = None


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
                self._seen[key] = _noted(
                    self._seen.get(key), _Seen(reader.position, alive.process, now, reader.numbers)
                )

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
                seen.lately,
            )
            for (rank, worker), seen in sorted(self._seen.items())
        )


def _noted(before: _Seen | None, now: _Seen) -> _Seen:
    """What was heard now; one who says nothing of how it fares keeps what it said of that."""
    if now.numbers is None:
        return now if before is None else replace(now, numbers=before.numbers, lately=before.lately)
    known = None if before is None or before.process != now.process else before.numbers
    seconds = None if before is None or known is None else now.at - before.at
    return replace(now, lately=lately(known, now.numbers, seconds))


def lately(before: ReaderNumbers | None, now: ReaderNumbers, seconds: float | None) -> Lately:
    """What a reader did since it was heard of before; since it began, where that is not known or it began anew.

    Args:
        before: What it had done then.
        now: What it has done now.
        seconds: Between the two.
    """
    if before is None or before.batches > now.batches or before.waited > now.waited or seconds is None:
        before, seconds = ReaderNumbers(0, 0.0, 0.0), now.waited + now.between
    waited, between = now.waited - before.waited, max(0.0, now.between - before.between)
    batches = now.batches - before.batches
    share = waited / (waited + between) if waited + between > 0 else 0.0
    spent = [max(0.0, getattr(now, name) - getattr(before, name)) for name in ("storage", "decoding", "promises")]
    work = Work(*spent)
    rate = 1 / seconds if seconds > 0 else 0.0
    read = max(0, now.read_bytes - before.read_bytes)
    looks = [max(0, getattr(now, name) - getattr(before, name)) for name in ("cache_hits", "cache_misses")]
    pace = limit(batches, share, work)
    return Lately(share, pace, batches * rate, read * rate, now.queue, now.held_bytes, *looks)
