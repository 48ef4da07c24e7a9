"""Blocks that are kept: right bytes at any capacity, each fetched once, none of another object."""

import os
import tempfile
from concurrent.futures import Future

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixtera.errors import StorageError
from mixtera_backends.storage.s3 import S3Storage
from mixtera_backends.storage.s3 import blocks as kept
from mixtera_backends.storage.s3.blocks import BLOCK_BYTES, Blocks, Sought
from tests.storage.objects import new_root

DATA = np.random.default_rng(9).integers(0, 256, 5 * BLOCK_BYTES + 777, np.uint8).tobytes()


class Source:
    """Objects in memory, which count what is fetched."""

    def __init__(self) -> None:
        self.fetched: list[tuple[int, int]] = []

    def reader(self, shift: int):
        def fetch(ranges):
            self.fetched += ranges
            return [bytes((np.frombuffer(DATA[a:b], np.uint8) + shift).astype(np.uint8)) for a, b in ranges]

        return fetch


def read(blocks, source, shift, starts, stops, most):
    """The bytes of ranges, back to back; None where they are more than can be kept."""

    def begin(start, stop):
        asked = Future()
        asked.set_result(source.reader(shift)([(start, stop)])[0])
        return asked

    target = bytearray(sum(b - a for a, b in zip(starts, stops, strict=True)))
    sought = Sought(("b", "k", str(shift)), len(DATA), np.array(starts), np.array(stops), most * BLOCK_BYTES, begin)
    return bytes(target) if blocks.read_into(memoryview(target), sought) else None


@given(
    st.integers(1, 12),
    st.integers(0, 3),
    st.integers(1, 3),
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2**32)), max_size=12),
)
def test_any_reads_at_any_capacity(capacity, memory, most, reads):
    blocks, source = Blocks(capacity * BLOCK_BYTES, memory * BLOCK_BYTES), Source()
    for shift, seed in reads:
        edges = np.sort(np.random.default_rng(seed).integers(0, len(DATA) + 1, 8))
        starts, stops = edges[0::2].tolist(), edges[1::2].tolist()
        found = read(blocks, source, shift, starts, stops, most)
        if found is None:
            assert capacity < 6
        else:
            assert found == b"".join(source.reader(shift)(list(zip(starts, stops, strict=True))))
    assert all(b - a <= most * BLOCK_BYTES or a % BLOCK_BYTES for a, b in source.fetched)


@pytest.mark.parametrize("memory", [0, 64])
def test_a_block_is_fetched_once_while_there_is_room(memory):
    blocks, source = Blocks(6 * BLOCK_BYTES, memory * BLOCK_BYTES), Source()
    read(blocks, source, 0, [10, 4 * BLOCK_BYTES + 5], [20, 4 * BLOCK_BYTES + 6], 4)
    assert source.fetched == [(0, BLOCK_BYTES), (4 * BLOCK_BYTES, 5 * BLOCK_BYTES)]
    source.fetched.clear()
    assert read(blocks, source, 0, [0], [len(DATA)], 8) == DATA
    assert source.fetched == [(BLOCK_BYTES, 4 * BLOCK_BYTES), (5 * BLOCK_BYTES, len(DATA))]
    source.fetched.clear()
    assert read(blocks, source, 0, [3], [len(DATA) - 3], 1) == DATA[3:-3]
    assert source.fetched == []


def test_a_large_run_is_kept_on_disk_only(monkeypatch):
    monkeypatch.setattr(kept, "LARGE_RUN_BYTES", 3 * BLOCK_BYTES)
    blocks, source = Blocks(100 * BLOCK_BYTES, 100 * BLOCK_BYTES), Source()
    for start, stop, in_memory in (
        (0, BLOCK_BYTES, 1),
        (2 * BLOCK_BYTES, len(DATA), 1),
        (BLOCK_BYTES, BLOCK_BYTES + 9, 2),
    ):
        assert read(blocks, source, 0, [start], [stop], 8) == DATA[start:stop]
        assert blocks._run_bytes == in_memory * BLOCK_BYTES
    fetched = list(source.fetched)
    assert read(blocks, source, 0, [0], [len(DATA)], 8) == DATA
    assert source.fetched == fetched


def test_a_few_blocks_between_are_read_along_and_kept():
    blocks, source = Blocks(6 * BLOCK_BYTES), Source()
    read(blocks, source, 0, [10, 3 * BLOCK_BYTES], [20, 3 * BLOCK_BYTES + 6], 4)
    assert source.fetched == [(0, 4 * BLOCK_BYTES)]
    assert read(blocks, source, 0, [BLOCK_BYTES], [2 * BLOCK_BYTES], 4) == DATA[BLOCK_BYTES : 2 * BLOCK_BYTES]
    assert len(source.fetched) == 1


def test_what_failed_is_asked_for_again():
    blocks, source = Blocks(6 * BLOCK_BYTES), Source()

    def failing(start, stop):
        asked = Future()
        asked.set_exception(StorageError("cut off"))
        return asked

    wanted = ("b", "k", "0"), len(DATA), np.array([0]), np.array([9]), BLOCK_BYTES
    assert blocks.expect(Sought(*wanted, failing))
    with pytest.raises(StorageError, match="cut off"):
        read(blocks, source, 0, [0], [9], 1)
    assert read(blocks, source, 0, [0], [9], 1) == DATA[:9]


def test_what_is_expected_is_asked_for_once(objects, proxy):
    """Small records in blocks, large ones alone."""
    url = f"{new_root()}/a.bin"
    objects.put(url, DATA)
    for length in (10, 2 * BLOCK_BYTES):
        access = S3Storage().random_access(url)
        proxy.requests.clear()
        starts = np.array([5, 3 * BLOCK_BYTES])
        access.expect(starts, starts + length)
        access.expect(starts, starts + length)
        assert access.gather(starts, starts + length).to_pylist() == [DATA[a : a + length] for a in starts.tolist()]
        assert len(proxy.requests) == (1 if length == 10 else 2)


def test_a_second_gather_asks_for_nothing(objects, proxy):
    url = f"{new_root()}/a.bin"
    objects.put(url, DATA)
    access = S3Storage().random_access(url)
    proxy.requests.clear()
    starts = np.arange(0, len(DATA) - 100, 1000)
    for _ in range(2):
        assert access.gather(starts, starts + 10).to_pylist() == [DATA[a : a + 10] for a in starts.tolist()]
    assert len(proxy.requests) == 1


def test_a_replaced_object_gets_blocks_of_its_own(objects, s3):
    url, storage = f"{new_root()}/a.bin", S3Storage()
    ranges = np.array([0]), np.array([5])
    for content in (b"first", b"other"):
        objects.put(url, content)
        assert storage.random_access(url).gather(*ranges).to_pylist() == [content]


def test_a_place_that_cannot_be_written_is_named(objects, s3, monkeypatch, tmp_path):
    url = f"{new_root()}/a.bin"
    objects.put(url, b"abc")
    monkeypatch.setattr(kept, "MEMORY_BYTES", 0)
    monkeypatch.setenv("MIXTERA_SPOOL", str(tmp_path / "nowhere"))
    with pytest.raises(StorageError, match=r"nowhere.*MIXTERA_SPOOL.*MIXTERA_S3_CACHE_MB"):
        S3Storage().random_access(url).gather(np.array([0]), np.array([1]))


def test_a_full_disk_is_named_and_what_was_written_is_not_used(objects, s3, monkeypatch, tmp_path):
    """A file of /dev/full, where every write fails for want of room."""
    url = f"{new_root()}/a.bin"
    objects.put(url, b"abc")
    monkeypatch.setattr(kept, "MEMORY_BYTES", 0)
    access = S3Storage().random_access(url)
    with monkeypatch.context() as full:
        full.setattr(tempfile, "TemporaryFile", lambda **_: os.fdopen(os.open("/dev/full", os.O_RDWR), "r+b", 0))
        with pytest.raises(StorageError, match="No space left on device"):
            access.gather(np.array([0]), np.array([1]))
    assert access.gather(np.array([0]), np.array([1])).to_pylist() == [b"a"]


@pytest.mark.parametrize("text", ["", "much", "-1", "1.5"])
def test_a_size_that_is_no_number_is_refused(s3, monkeypatch, text):
    monkeypatch.setenv("MIXTERA_S3_CACHE_MB", text)
    with pytest.raises(StorageError, match=r"MIXTERA_S3_CACHE_MB is .*whole number"):
        S3Storage().stat("s3://mix/a.bin")
