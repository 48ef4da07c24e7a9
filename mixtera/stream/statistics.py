"""Statistics of a stream: how long whoever reads it waited, and what for."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from mixtera.stream.traffic import Traffic

Limit = Literal["training", "storage", "decoding", "promises", "unknown"]
"""What sets the pace; see `SAYS`."""
SAYS: Final[dict[Limit, str]] = {
    "training": "the training itself: its batches are there when it asks for them",
    "storage": "storage: the training waits for bytes; more readers or a nearer, faster storage would help",
    "decoding": "decoding: the training waits for a core that decodes; more workers, or files that decode faster",
    "promises": "promises: the training waits to be told what comes; the job, or the way to it, is slow",
    "unknown": "too little was read to tell",
}
LITTLE: Final = 0.05
"""Share of the time that a training may wait before its data is what limits it."""
FEWEST_BATCHES: Final = 3


@dataclass(frozen=True, slots=True)
class Work:
    """What was done in the background for a reader.

    Attributes:
        storage_seconds: Threads stood still until bytes were there.
        decoding_seconds: Threads computed.
        promise_seconds: Threads stood still until it was known which samples come.
        queue: Fetches that are asked for and not yet taken.
        held_bytes: Bytes that are decoded and not yet taken.
        cache_hits: Pieces of files (row groups, compressed frames, Arrow batches) that were needed and decoded already.
        cache_misses: Those that had to be read and decoded. Files whose records are read alone have no such pieces.
    """

    storage_seconds: float = 0.0
    decoding_seconds: float = 0.0
    promise_seconds: float = 0.0
    queue: int = 0
    held_bytes: int = 0
    cache_hits: int = 0
    cache_misses: int = 0

    def __add__(self, other: Work) -> Work:
        return Work(
            self.storage_seconds + other.storage_seconds,
            self.decoding_seconds + other.decoding_seconds,
            self.promise_seconds + other.promise_seconds,
            other.queue,
            other.held_bytes,
            self.cache_hits + other.cache_hits,
            self.cache_misses + other.cache_misses,
        )


@dataclass(frozen=True, slots=True)
class Statistics:
    """What a stream has done, since it was made.

    Attributes:
        batches: Batches that were taken.
        waited_seconds: In which the reader waited for them.
        between_seconds: From one batch to the request for the next: the training.
        work: What was done in the background.
        traffic: What was asked of storages that count it.
    """

    batches: int
    waited_seconds: float
    between_seconds: float
    work: Work
    traffic: Traffic

    @property
    def wait_share(self) -> float:
        """Share of the time in which the reader waited for data; 0 where nothing was read."""
        total = self.waited_seconds + self.between_seconds
        return self.waited_seconds / total if total > 0 else 0.0

    @property
    def limit(self) -> Limit:
        """What sets the pace."""
        return limit(self.batches, self.wait_share, self.work)

    def json(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self) | {"wait_share": self.wait_share, "limit": self.limit}


def limit(batches: int, wait_share: float, work: Work) -> Limit:
    """What sets the pace of a training.

    Args:
        batches: Batches that were taken.
        wait_share: Share of the time in which it waited for them.
        work: What was done in the background meanwhile.
    """
    if batches < FEWEST_BATCHES:
        return "unknown"
    if wait_share <= LITTLE:
        return "training"
    causes: dict[Limit, float] = {
        "promises": work.promise_seconds,
        "storage": work.storage_seconds,
        "decoding": work.decoding_seconds,
    }
    cause = max(causes, key=lambda name: causes[name])
    return cause if causes[cause] > 0 else "unknown"
