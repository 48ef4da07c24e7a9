"""Statistics of a stream: how long whoever reads it waits, and what for."""

from __future__ import annotations

import json
import time
from concurrent.futures import Future
from pathlib import Path

import pytest

from mixtera.artifact.model import OrderParameters
from mixtera.stream.metered import MeteredThread
from mixtera.stream.statistics import SAYS, Limit, Statistics, Work, limit
from mixtera.stream.traffic import Traffic
from tests.jobs.skipping import parquet_plan
from tests.stream.written import open_stream, written_plan

ORDER = OrderParameters(seed=3, shuffle="global", chunk_size=32, lanes=2, granule=4)


@pytest.mark.parametrize(
    ("batches", "share", "work", "expected"),
    [
        (0, 0.0, Work(), "unknown"),
        (2, 0.9, Work(storage_seconds=9.0), "unknown"),
        (3, 0.05, Work(storage_seconds=9.0), "training"),
        (3, 0.0501, Work(storage_seconds=9.0, decoding_seconds=8.9), "storage"),
        (3, 0.6, Work(storage_seconds=1.0, decoding_seconds=1.1), "decoding"),
        (3, 0.6, Work(storage_seconds=1.0, decoding_seconds=1.1, promise_seconds=1.2), "promises"),
        (3, 0.6, Work(), "unknown"),
        (10**9, 0.0, Work(promise_seconds=1.0), "training"),
    ],
)
def test_what_sets_the_pace(batches: int, share: float, work: Work, expected: Limit) -> None:
    assert limit(batches, share, work) == expected
    assert expected in SAYS


def test_the_time_of_the_training_and_of_the_waiting_are_told_apart(tmp_path: Path) -> None:
    with open_stream(written_plan(tmp_path, order=ORDER), batch_size=8) as stream:
        assert stream.statistics() == Statistics(0, 0.0, 0.0, Work(), Traffic())
        begun = time.perf_counter()
        for _ in range(5):
            next(stream)
            time.sleep(0.03)
        found, wall = stream.statistics(), time.perf_counter() - begun
    assert found.batches == 5
    assert found.between_seconds >= 4 * 0.03
    assert found.waited_seconds > 0
    assert found.waited_seconds + found.between_seconds <= wall
    assert found.wait_share == pytest.approx(found.waited_seconds / (found.waited_seconds + found.between_seconds))
    assert found.work.decoding_seconds > 0
    assert json.loads(json.dumps(found.json()))["limit"] == found.limit


def test_what_was_done_is_kept_when_a_stream_closes_and_opens_again(tmp_path: Path) -> None:
    with open_stream(written_plan(tmp_path, order=ORDER), batch_size=8) as stream:
        next(stream)
        next(stream)
        before = stream.statistics()
        stream.close()
        time.sleep(0.05)
        closed = stream.statistics()
        assert closed.work.decoding_seconds >= before.work.decoding_seconds > 0
        assert (closed.work.queue, closed.work.held_bytes) == (0, 0)
        assert (closed.batches, closed.waited_seconds) == (before.batches, before.waited_seconds)
        next(stream)
        assert stream.statistics().batches == 3
        assert stream.statistics().between_seconds == before.between_seconds  # what lies between is no training


def test_a_thread_that_stands_still_and_one_that_computes() -> None:
    thread = MeteredThread("test")

    def computes() -> int:
        until = time.thread_time() + 0.05
        while time.thread_time() < until:
            pass
        return 7

    thread.submit(time.sleep, 0.1).result()
    assert thread.still_seconds >= 0.09
    assert thread.computed_seconds < 0.05
    answer: Future[int] = thread.submit(computes)
    assert answer.result() == 7
    with pytest.raises(ZeroDivisionError):
        thread.submit(lambda: 1 // 0).result()
    thread.shutdown()
    assert 0.05 <= thread.computed_seconds < 0.15


def test_row_groups_that_are_decoded_already_are_counted(tmp_path: Path) -> None:
    plan = parquet_plan(tmp_path)
    with plan.stream(4) as stream:
        for _ in stream:
            pass
        work = stream.statistics().work
        assert (work.cache_misses, work.cache_hits > 0) == (12, True)
        stream.close()
        stream.load_state_dict(plan.state_at(0))
        next(stream)
        assert stream.statistics().work.cache_misses > 12
    (tmp_path / "lines").mkdir()
    with open_stream(written_plan(tmp_path / "lines", order=ORDER), batch_size=8) as lines:
        next(lines)
        assert (lines.statistics().work.cache_misses, lines.statistics().work.cache_hits) == (0, 0)
