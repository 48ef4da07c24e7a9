"""The laws of a storage. Subclass `StorageLaws` and say how to put bytes there without the code under test."""

# ruff: noqa: D102 - the name of a law says what it is

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest

from mixtera.contracts.storage import Storage
from mixtera.errors import StorageError


class StorageLaws:
    """What every storage must do. A subclass sets `storage` and defines the fixture `root` and `put`."""

    storage: ClassVar[Storage]

    def put(self, url: str, data: bytes) -> None:
        """Write a file, with a client that is not the code under test."""
        raise AssertionError(f"{type(self).__name__} must define put(url, data)")

    def test_one_file_is_itself(self, root: str) -> None:
        self.put(f"{root}/a.txt", b"abc")
        (file,) = self.storage.expand([f"{root}/a.txt"])
        assert (file.name, file.size) == ("a.txt", 3)

    def test_names_are_below_the_fixed_part(self, root: str) -> None:
        for name in ("b/2.txt", "a/x/1.txt", "a/0.txt", "a/0.md"):
            self.put(f"{root}/{name}", b"-")
        assert [f.name for f in self.storage.expand([f"{root}/*/*.txt"])] == ["a/0.txt", "b/2.txt"]
        assert [f.name for f in self.storage.expand([f"{root}/**/*.txt"])] == ["a/0.txt", "a/x/1.txt", "b/2.txt"]
        assert [f.name for f in self.storage.expand([f"{root}/a/**"])] == ["0.md", "0.txt", "x/1.txt"]

    def test_question_marks_and_sets(self, root: str) -> None:
        for name in ("a1.txt", "a2.txt", "b1.txt", "a10.txt"):
            self.put(f"{root}/{name}", b"-")
        assert [f.name for f in self.storage.expand([f"{root}/a?.txt"])] == ["a1.txt", "a2.txt"]
        assert [f.name for f in self.storage.expand([f"{root}/[b]1.txt"])] == ["b1.txt"]

    def test_each_file_once_and_sorted(self, root: str) -> None:
        for name in ("c.txt", "a.txt", "b.txt"):
            self.put(f"{root}/{name}", b"-")
        found = self.storage.expand([f"{root}/b.txt", f"{root}/*.txt", f"{root}/**/*.txt"])
        assert [f.name for f in found] == ["a.txt", "b.txt", "c.txt"]

    def test_a_missing_file_is_named(self, root: str) -> None:
        self.put(f"{root}/present.txt", b"-")
        for call in (self.storage.stat, self.storage.open, self.storage.random_access):
            with pytest.raises(StorageError, match=r"presemt\.txt"):
                call(f"{root}/presemt.txt")
        with pytest.raises(StorageError, match=r"presemt\.txt"):
            self.storage.expand([f"{root}/presemt.txt"])

    def test_a_pattern_that_matches_nothing_is_named(self, root: str) -> None:
        self.put(f"{root}/a.txt", b"-")
        with pytest.raises(StorageError, match=r"\*\.parquet"):
            self.storage.expand([f"{root}/*.txt", f"{root}/*.parquet"])

    def test_stat_agrees_with_expand(self, root: str) -> None:
        self.put(f"{root}/a.txt", b"abc")
        (file,) = self.storage.expand([f"{root}/*.txt"])
        assert self.storage.stat(file.url) == file

    def test_the_fingerprint_tells_a_changed_file(self, root: str) -> None:
        self.put(f"{root}/a.txt", b"abc")
        before = self.storage.stat(f"{root}/a.txt")
        self.put(f"{root}/a.txt", b"abcd")
        assert self.storage.stat(f"{root}/a.txt") != before

    def test_an_open_file_is_read_and_sought(self, root: str) -> None:
        data = bytes(range(256)) * 40
        self.put(f"{root}/a.bin", data)
        with self.storage.open(f"{root}/a.bin") as file:
            assert file.read(10) == data[:10]
            file.seek(100)
            assert file.read(5) == data[100:105]
            assert file.tell() == 105

    def test_ranges_are_those_of_the_file(self, root: str) -> None:
        random = np.random.default_rng(3)
        data = random.integers(0, 256, 3_000_000, np.uint8).tobytes()
        self.put(f"{root}/a.bin", data)
        access = self.storage.random_access(f"{root}/a.bin")
        assert access.size == len(data)
        for count in (1, 2, 10, 1_000):
            edges = np.sort(random.integers(0, len(data) + 1, 2 * count))
            starts, stops = edges[0::2].astype(np.int64), edges[1::2].astype(np.int64)
            found = access.gather(starts, stops)
            assert found.to_pylist() == [data[a:b] for a, b in zip(starts.tolist(), stops.tolist(), strict=True)]
        access.close()

    def test_values_stand_back_to_back(self, root: str) -> None:
        data = bytes(range(200))
        self.put(f"{root}/a.bin", data)
        access = self.storage.random_access(f"{root}/a.bin")
        found = access.gather(np.array([0, 10, 20, 50]), np.array([10, 20, 30, 50]))
        _, offsets, values = found.buffers()
        edges = np.frombuffer(offsets, np.int64)[found.offset : found.offset + len(found) + 1]
        assert bytes(memoryview(values)[edges[0] : edges[-1]]) == data[:30]
        access.close()

    def test_no_ranges_and_empty_files(self, root: str) -> None:
        self.put(f"{root}/empty.bin", b"")
        access = self.storage.random_access(f"{root}/empty.bin")
        nothing = np.empty(0, np.int64)
        assert access.size == 0
        assert access.gather(nothing, nothing).to_pylist() == []
        access.close()
        with self.storage.open(f"{root}/empty.bin") as file:
            assert file.read(1) == b""

    def test_a_range_beyond_the_end_is_refused(self, root: str) -> None:
        self.put(f"{root}/a.bin", b"0123456789")
        access = self.storage.random_access(f"{root}/a.bin")
        with pytest.raises(StorageError, match="changed"):
            access.gather(np.array([0, 5]), np.array([3, 11]))
        access.close()
