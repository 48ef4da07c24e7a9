"""Blocks that are kept: right bytes at any capacity, each fetched once, none of another object."""

import os
import tempfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixtera.errors import StorageError
from mixtera_backends.storage.s3 import S3Storage
from mixtera_backends.storage.s3.blocks import BLOCK_BYTES, Blocks
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


@given(
    st.integers(1, 12), st.integers(1, 3), st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2**32)), max_size=12)
)
def test_any_reads_at_any_capacity(capacity, most, reads):
    blocks, source = Blocks(capacity * BLOCK_BYTES), Source()
    for shift, seed in reads:
        edges = np.sort(np.random.default_rng(seed).integers(0, len(DATA) + 1, 8))
        starts, stops = edges[0::2].tolist(), edges[1::2].tolist()
        fetch = source.reader(shift)
        found = blocks.read(("b", "k", str(shift)), len(DATA), starts, stops, most * BLOCK_BYTES, fetch)
        if found is None:
            assert capacity < 6
        else:
            assert found == [fetch([(a, b)])[0] for a, b in zip(starts, stops, strict=True)]
    assert all(b - a <= most * BLOCK_BYTES or a % BLOCK_BYTES for a, b in source.fetched if b - a > len(DATA))


def test_a_block_is_fetched_once_while_there_is_room():
    blocks, source = Blocks(6 * BLOCK_BYTES), Source()
    wanted, fetch = ("b", "k", "e"), source.reader(0)
    blocks.read(wanted, len(DATA), [10, 2 * BLOCK_BYTES + 5], [20, 2 * BLOCK_BYTES + 6], 4 * BLOCK_BYTES, fetch)
    assert source.fetched == [(0, BLOCK_BYTES), (2 * BLOCK_BYTES, 3 * BLOCK_BYTES)]
    source.fetched.clear()
    assert blocks.read(wanted, len(DATA), [0], [len(DATA)], 8 * BLOCK_BYTES, fetch) == [DATA]
    assert source.fetched == [(BLOCK_BYTES, 2 * BLOCK_BYTES), (3 * BLOCK_BYTES, len(DATA))]
    source.fetched.clear()
    assert blocks.read(wanted, len(DATA), [3], [len(DATA) - 3], BLOCK_BYTES, fetch) == [DATA[3:-3]]
    assert source.fetched == []


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
    monkeypatch.setenv("MIXTERA_SPOOL", str(tmp_path / "nowhere"))
    with pytest.raises(StorageError, match=r"nowhere.*MIXTERA_SPOOL.*MIXTERA_S3_CACHE_MB"):
        S3Storage().random_access(url).gather(np.array([0]), np.array([1]))


def test_a_full_disk_is_named_and_what_was_written_is_not_used(objects, s3, monkeypatch, tmp_path):
    """A file of /dev/full, where every write fails for want of room."""
    url = f"{new_root()}/a.bin"
    objects.put(url, b"abc")
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
