"""Rates: how much one token, or one address, may ask."""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import Final

MOST_BUCKETS: Final = 10_000
"""Callers that are remembered: those that have asked last."""


class Rates:
    """A bucket of requests for each caller that fills again with time. Reads the monotonic clock."""

    def __init__(self, per_second: float, burst: float) -> None:
        """Make the buckets.

        Args:
            per_second: Requests that a bucket gains in a second.
            burst: Requests that it holds at most.
        """
        self._rate, self._burst = per_second, burst
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, caller: str) -> float:
        """Take one request out: 0 where there is one, else the seconds until there is."""
        now = time.monotonic()
        held, since = self._buckets.pop(caller, (self._burst, now))
        held = min(self._burst, held + (now - since) * self._rate)
        left = held - 1 if held >= 1 else held
        self._buckets[caller] = left, now
        if len(self._buckets) > MOST_BUCKETS:
            self._buckets.popitem(last=False)
        return 0.0 if held >= 1 else (1 - held) / self._rate
