import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixtera.errors import StorageError
from mixtera.formats import ranges
from mixtera.registry import storage_of
from mixtera.testing.storage import StorageLaws
from mixtera_backends.storage.local import LocalStorage


class TestLocal(StorageLaws):
    storage = LocalStorage()

    @pytest.fixture
    def root(self, tmp_path):
        return str(tmp_path)

    def put(self, url, data):
        Path(url).parent.mkdir(parents=True, exist_ok=True)
        Path(url).write_bytes(data)


class TestFileUrls(TestLocal):
    @pytest.fixture
    def root(self, tmp_path):
        (tmp_path / "with space").mkdir()
        return f"file://{tmp_path}/with%20space"

    def put(self, url, data):
        super().put(url.removeprefix("file://").replace("%20", " "), data)


storage = LocalStorage()


def test_it_is_registered_for_paths_and_file_urls():
    assert isinstance(storage_of("some/path"), LocalStorage)
    assert isinstance(storage_of("file:///some/path"), LocalStorage)


def test_a_directory_is_refused_with_a_pattern_to_use(tmp_path):
    with pytest.raises(StorageError, match=r"is a directory.*/\*\.jsonl"):
        storage.expand([str(tmp_path)])
    with pytest.raises(StorageError, match="is a directory"):
        storage.open(str(tmp_path))
    with pytest.raises(StorageError, match="is a directory"):
        storage.random_access(str(tmp_path))


def test_a_pattern_of_directories_says_so(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(StorageError, match=r"only directories.*\*/\*\.jsonl"):
        storage.expand([f"{tmp_path}/*"])


def test_a_missing_file_comes_with_the_nearest_name(tmp_path):
    (tmp_path / "train.jsonl").write_text("")
    with pytest.raises(StorageError, match=r"did you mean .*/train\.jsonl\?"):
        storage.expand([str(tmp_path / "trian.jsonl")])
    with pytest.raises(StorageError, match=r"directory .*nowhere does not exist"):
        storage.expand([str(tmp_path / "nowhere" / "a.jsonl")])
    with pytest.raises(StorageError, match=r"directory .*nowhere.* does not exist"):
        storage.expand([str(tmp_path / "nowhere" / "*.jsonl")])


def test_a_name_with_wildcard_characters_is_found_as_it_is(tmp_path):
    (tmp_path / "a[1].jsonl").write_text("x")
    (tmp_path / "a1.jsonl").write_text("x")
    assert [file.name for file in storage.expand([f"{tmp_path}/a[1].jsonl"])] == ["a[1].jsonl"]


def test_links_are_followed_and_broken_ones_named(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.txt").write_text("abc")
    (tmp_path / "link").symlink_to(tmp_path / "data")
    assert [file.name for file in storage.expand([f"{tmp_path}/**/*.txt"])] == ["data/a.txt", "link/a.txt"]
    (tmp_path / "gone.txt").symlink_to(tmp_path / "nowhere")
    with pytest.raises(StorageError, match=r"gone\.txt is a broken link"):
        storage.expand([f"{tmp_path}/*.txt"])


def test_pipes_are_no_files(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(StorageError, match="not a regular file"):
        storage.expand([str(tmp_path / "pipe")])
    with pytest.raises(StorageError, match="not a regular file"):
        storage.random_access(str(tmp_path / "pipe"))


def test_relative_paths_become_absolute(tmp_path, monkeypatch):
    (tmp_path / "a.txt").write_text("abc")
    monkeypatch.chdir(tmp_path)
    (file,) = storage.expand(["*.txt"])
    assert (file.url, file.name) == (str(tmp_path / "a.txt"), "a.txt")


def test_a_file_cut_while_it_is_open_is_refused_and_not_a_crash(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(bytes(100_000))
    access = storage.random_access(str(path))
    os.truncate(path, 10)
    with pytest.raises(StorageError, match=r"a\.bin changed since it was indexed.*99000"):
        access.gather(np.array([0, 90_000]), np.array([5, 99_000]))
    access.close()
    access.close()
    with pytest.raises(StorageError, match="closed"):
        access.gather(np.array([0]), np.array([5]))


LARGE = np.random.default_rng(1).integers(0, 256, 40_000_000, np.uint8)


@pytest.fixture(scope="module")
def large_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("large") / "large.bin"
    path.write_bytes(LARGE.tobytes())
    return path


@given(st.integers(1, 4_000), st.integers(0, 2_000), st.floats(0.001, 1), st.integers(0, 2**32))
def test_any_ranges_of_a_large_file(large_file, count, length, spread, seed):
    """Dense requests are read along with their gaps, sparse ones each on its own."""
    random = np.random.default_rng(seed)
    starts = np.sort(random.integers(0, int(len(LARGE) * spread), count))
    stops = np.minimum(np.minimum(starts + length, np.append(starts[1:], len(LARGE))), len(LARGE))
    access = storage.random_access(str(large_file))
    found = access.gather(starts, stops)
    assert len(found) == count
    assert found.to_pylist() == [LARGE[a:b].tobytes() for a, b in zip(starts, stops, strict=True)]
    access.close()


def test_gaps_up_to_a_bound_are_read_along(large_file, monkeypatch):
    reads = []
    preadv = os.preadv
    monkeypatch.setattr(
        os, "preadv", lambda file, parts, start: reads.append((start, len(parts[0]))) or preadv(file, parts, start)
    )
    access = storage.random_access(str(large_file))
    far = 100 + ranges.GAP_BYTES + 101
    access.gather(np.array([0, 100 + ranges.GAP_BYTES, far + ranges.GAP_BYTES]), np.array([100, far - 1, far + 90_000]))
    assert reads == [(0, far - 1), (far + ranges.GAP_BYTES, 90_000 - ranges.GAP_BYTES)]
    access.close()


def test_reads_that_give_less_than_asked_are_completed(large_file, monkeypatch):
    preadv = os.preadv
    monkeypatch.setattr(os, "preadv", lambda file, parts, start: preadv(file, [parts[0][:1000]], start))
    access = storage.random_access(str(large_file))
    found = access.gather(np.array([5, 500_000]), np.array([7_000, 501_500]))
    assert found.to_pylist() == [LARGE[5:7_000].tobytes(), LARGE[500_000:501_500].tobytes()]
    access.close()


def test_ranges_are_read_to_any_places(large_file, monkeypatch):
    """Back, again, overlapping, empty; what goes on in the file and in memory is one read."""
    reads = []
    preadv = os.preadv
    monkeypatch.setattr(
        os, "preadv", lambda file, parts, start: reads.append((start, len(parts[0]))) or preadv(file, parts, start)
    )
    access = storage.random_access(str(large_file))
    starts, stops = np.array([70, 100, 100, 30, 60, 95, 500]), np.array([90, 140, 140, 60, 95, 130, 500])
    places = np.array([0, 40, 120, 160, 190, 225, 260])
    target = np.zeros(260, np.uint8)
    access.read_each(target, places, starts, stops)
    for place, start, stop in zip(places, starts, stops, strict=True):
        assert (target[place : place + stop - start] == LARGE[start:stop]).all()
    assert not target[20:40].any()
    assert not target[80:120].any()
    assert reads == [(70, 20), (100, 40), (100, 40), (30, 100), (500, 0)]
    access.read_each(target, np.arange(0), np.arange(0), np.arange(0))
    with pytest.raises(StorageError, match=r"large\.bin: a range to be read ends before it starts"):
        access.read_each(target, np.array([0]), np.array([9]), np.array([8]))
    access.close()


def test_a_file_cut_while_it_is_read_to_places_is_refused(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(bytes(100_000))
    access = storage.random_access(str(path))
    os.truncate(path, 10)
    with pytest.raises(StorageError, match=r"a\.bin changed since it was indexed.*99000"):
        access.read_each(np.zeros(9_005, np.uint8), np.array([0, 5]), np.array([0, 90_000]), np.array([5, 99_000]))
    access.close()
