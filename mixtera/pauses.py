"""Pauses between attempts, by a chance of their own: what a training draws from `random` stays the same."""

from __future__ import annotations

from collections.abc import Callable
from random import SystemRandom
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tenacity import RetryCallState

_CHANCE: Final = SystemRandom()
_MOST_DOUBLINGS: Final = 30


def pauses(first: float, longest: float, shortest: float = 0.0) -> Callable[[RetryCallState], float]:
    """Pauses for tenacity, between `shortest` and a limit that doubles, so that many do not come again at once.

    As `tenacity.wait_random_exponential`, which draws from the global `random`; see "Exponential Backoff And Jitter"
    (AWS Architecture Blog, 2015), full jitter.

    Args:
        first: The limit of the first pause, in seconds.
        longest: What the limit grows to.
        shortest: No pause is shorter.
    """

    def seconds(state: RetryCallState) -> float:
        limit = first * 2.0 ** min(state.attempt_number - 1, _MOST_DOUBLINGS)
        return _CHANCE.uniform(shortest, max(shortest, min(longest, limit)))

    return seconds
