"""Pauses between attempts."""

from __future__ import annotations

import random

from tenacity import Retrying, stop_after_attempt

from mixtera.pauses import pauses


def paused(attempts: int, *limits: float) -> list[float]:
    """The pauses before attempts that all fail."""
    found: list[float] = []
    tries = Retrying(stop=stop_after_attempt(attempts), wait=pauses(*limits), sleep=found.append, retry=lambda _: True)
    tries.retry_error_callback = lambda _: None
    tries(int)
    return found


def test_their_limit_doubles_and_ends() -> None:
    most = [max(found) for found in zip(*(paused(8, 0.5, 4.0) for _ in range(300)), strict=True)]
    for limit, found in zip([0.5, 1, 2, 4, 4, 4, 4], most, strict=True):
        assert limit / 2 < found <= limit


def test_none_is_shorter_than_it_may_be() -> None:
    assert all(0.4 <= pause <= 0.5 for pause in paused(100, 0.5, 0.5, 0.4))
    assert paused(4, 0.1, 9.0, 1.0)[0] == 1.0
    assert len(paused(2000, 0.1, 2.0)) == 1999  # no power of two is too large


def test_what_others_draw_stays_the_same() -> None:
    state = random.getstate()
    paused(100, 0.5, 4.0)
    assert random.getstate() == state
