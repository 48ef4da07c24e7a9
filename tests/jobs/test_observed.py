"""What a process says of its readers."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest

from mixtera.artifact.model import OrderParameters
from mixtera.jobs.beats import Beats
from mixtera.jobs.connection import Access, Connection
from mixtera.jobs.messages import AliveRequest, Reader, ReaderNumbers
from mixtera.service.readers import Readers, lately
from tests.forks import answer_of_a_child
from tests.stream.written import open_stream, written_plan

ORDER = OrderParameters(seed=3, shuffle="global", chunk_size=32, lanes=2, granule=4)


def test_readers_are_told_of_until_they_are_gone(tmp_path: Path) -> None:
    beats = Beats(Connection("http://127.0.0.1:9", Access(None)), "/alive", 0)
    assert beats.readers() == ()
    stream = open_stream(written_plan(tmp_path, order=ORDER), batch_size=8)
    beats.add(3, 1, stream)
    next(stream)
    (reader,) = beats.readers()
    assert (reader.rank, reader.worker, reader.position) == (3, 1, 8)
    assert reader.numbers is not None
    assert reader.numbers.batches == 1
    assert answer_of_a_child(lambda: str(len(beats.readers())).encode()) == b"0"  # it has readers of its own
    stream.close()
    del stream
    gc.collect()
    assert beats.readers() == ()
    beats.close()


def test_a_child_forked_while_somebody_looks_at_the_readers_has_its_own(tmp_path: Path) -> None:
    beats = Beats(Connection("http://127.0.0.1:9", Access(None)), "/alive", 0)
    with open_stream(written_plan(tmp_path, order=ORDER), batch_size=8) as stream:

        def said() -> bytes:
            beats.add(0, 0, stream)
            return b"%d" % len(beats.readers())

        with beats._own.here.guard:  # as the thread that says it does, now and then
            assert answer_of_a_child(said) == b"1"
    beats.close()


def test_lately_is_what_came_since_the_last_time() -> None:
    before = ReaderNumbers(100, 50.0, 50.0, storage=40.0, read_bytes=1_000)
    now = ReaderNumbers(120, 51.0, 59.0, storage=40.5, decoding=3.0, queue=2, held_bytes=7, read_bytes=6_000)
    found = lately(before, now, 10.0)
    assert found.wait_share == pytest.approx(0.1)
    assert found.limit == "decoding"
    assert found.batches_per_second == pytest.approx(2.0)
    assert found.bytes_per_second == pytest.approx(500.0)
    assert (found.queue, found.held_bytes) == (2, 7)


@pytest.mark.parametrize("seconds", [None, 10.0, 0.0])
def test_a_reader_that_begins_anew_is_measured_anew(seconds: float | None) -> None:
    found = lately(ReaderNumbers(100, 50.0, 50.0), ReaderNumbers(4, 1.0, 3.0, storage=1.0), seconds)
    assert (found.wait_share, found.limit, found.batches_per_second) == (0.25, "storage", 1.0)
    nothing = lately(None, ReaderNumbers(0, 0.0, 0.0), seconds)
    assert (nothing.wait_share, nothing.limit, nothing.batches_per_second) == (0.0, "unknown", 0.0)


def test_who_says_only_where_he_is_keeps_what_he_said_before() -> None:
    readers = Readers(100)
    readers.note(AliveRequest("host:1", (Reader(0, 0, 8, ReaderNumbers(5, 1.0, 1.0, storage=2.0)),)))
    readers.note(AliveRequest("host:1", (Reader(0, 0, 16),)))
    (seen,) = readers.list()
    assert seen.position == 116
    assert seen.lately is not None
    assert seen.lately.limit == "storage"
