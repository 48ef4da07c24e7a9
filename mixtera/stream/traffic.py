"""Traffic: what a stream asked of storages, for what it delivered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mixtera.arrow import to_numpy
from mixtera.artifact.model import PlanData
from mixtera.contracts.storage import Counting
from mixtera.registry import storage_of
from mixtera.stream.readers import storage_options


@dataclass(frozen=True, slots=True)
class Traffic:
    """What a reader asked of the storages that count it: S3 and files. Without a storage that counts, all is 0.

    Attributes:
        requests: Requests, of files the calls that read; of the whole process, if it has several streams.
        read_bytes: Bytes that they fetched.
        delivered_bytes: Bytes of the samples that were fetched for the reader, as they lie in their files.
    """

    requests: int = 0
    read_bytes: int = 0
    delivered_bytes: int = 0

    @property
    def amplification(self) -> float:
        """Bytes fetched for each that is delivered; 1 where nothing is delivered."""
        return self.read_bytes / self.delivered_bytes if self.delivered_bytes else 1.0

    def __add__(self, other: Traffic) -> Traffic:
        return Traffic(
            self.requests + other.requests,
            self.read_bytes + other.read_bytes,
            self.delivered_bytes + other.delivered_bytes,
        )


class Counter:
    """Counts from now on."""

    def __init__(self, data: PlanData) -> None:
        sources = to_numpy(data.files.column("source"))
        firsts = [0, *(np.flatnonzero(np.diff(sources)) + 1).tolist()] if len(sources) else []
        urls = [data.files.column("url")[first].as_py() for first in firsts]
        storages = {id(storage): storage for storage in (storage_of(url, storage_options(data)) for url in urls)}
        self._counting: Sequence[Counting] = [one for one in storages.values() if isinstance(one, Counting)]
        self._before = self._now()

    def since(self, delivered_bytes: float) -> Traffic:
        """What was asked for since the counter began."""
        requests, read = self._now()
        if not self._counting:
            return Traffic()
        return Traffic(requests - self._before[0], read - self._before[1], round(delivered_bytes))

    def _now(self) -> tuple[int, int]:
        found = [storage.traffic for storage in self._counting]
        return sum(one.requests for one in found), sum(one.read_bytes for one in found)
