"""Lustre, as far as it can be had without one: a table of mounts that names it, an `lfs`, and counts of requests."""

import os
import stat
import subprocess
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mixtera
from mixtera.errors import StorageError
from mixtera.registry import storage_of, storage_of_file
from mixtera_backends.storage.local import LocalStorage
from mixtera_backends.storage.lustre import LustreStorage, access, mounts
from mixtera_backends.storage.lustre.stripes import DEFAULT_BYTES, Stripes
from tests.storage.test_local import TestFileUrls, TestLocal

MIB = 1 << 20
_TABLE = """21 1 254:0 / / rw,relatime - ext4 /dev/vda rw
40 21 0:50 / {point} rw shared:1 - lustre 10.0.0.1@o2ib:/scratch rw,flock
41 40 0:51 / {point}/inside rw - tmpfs tmpfs rw
"""


class TestLustre(TestLocal):
    storage = LustreStorage()


class TestLustreUrls(TestFileUrls):
    storage = LustreStorage()


@pytest.fixture
def table(tmp_path):
    """A table of mounts by which a directory is a Lustre file system."""
    path = tmp_path / "mountinfo"
    path.write_text(_TABLE.format(point=str(tmp_path / "lu stre").replace(" ", "\\040")))
    (tmp_path / "lu stre" / "inside").mkdir(parents=True)
    return str(path)


@pytest.fixture
def scratch(tmp_path, table, monkeypatch):
    """That directory; the registry sees it as Lustre."""
    monkeypatch.setattr(mounts, "TABLE", table)
    return tmp_path / "lu stre"


@pytest.fixture
def lfs(tmp_path, monkeypatch):
    """An `lfs` on the path that says what a file holds, and writes down what it was asked."""

    def install(script: str) -> Path:
        asked, program = tmp_path / "asked", tmp_path / "bin" / "lfs"
        program.parent.mkdir(exist_ok=True)
        program.write_text(f'#!/bin/sh\necho "$@" >> {asked}\n{script}\n')
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        return asked

    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    return install


class Counting:
    """Counts what a process asks of the files below a directory; reads are (start, bytes)."""

    def __init__(self, directory: Path, patched: pytest.MonkeyPatch) -> None:
        self.calls: Counter[str] = Counter()
        self.reads: list[tuple[int, int]] = []
        self._directory = str(directory)
        self._open: set[int] = set()
        real = {name: getattr(os, name) for name in ("open", "stat", "lstat", "fstat", "scandir", "preadv", "listdir")}

        def opened(path, *more, **named):
            handle = real["open"](path, *more, **named)
            self._open.discard(handle)
            if self._note("open", path):
                self._open.add(handle)
            return handle

        def by_handle(handle, *more, **named):
            self.calls["fstat"] += handle in self._open
            return real["fstat"](handle, *more, **named)

        def read(handle, parts, start):
            if handle in self._open:
                self.reads.append((start, sum(len(part) for part in parts)))
            return real["preadv"](handle, parts, start)

        def by_path(name):
            def call(path=".", *more, **named):
                self._note(name, path)
                return real[name](path, *more, **named)

            return call

        for name in ("stat", "lstat", "scandir", "listdir"):
            patched.setattr(os, name, by_path(name))
        patched.setattr(os, "open", opened)
        patched.setattr(os, "fstat", by_handle)
        patched.setattr(os, "preadv", read)

    def _note(self, name: str, path: object) -> bool:
        inside = isinstance(path, str | os.PathLike) and os.fspath(path).startswith(self._directory)
        self.calls[name] += inside
        return inside

    def taken(self) -> dict[str, int]:
        """The counts since the last call of this."""
        found = {name: count for name, count in self.calls.items() if count}
        self.calls.clear()
        return found


def test_paths_on_lustre_are_recognised_by_the_table_of_mounts(scratch, tmp_path):
    (scratch / "data").mkdir()
    (tmp_path / "link").symlink_to(scratch / "data")
    (tmp_path / "lu stre-2").mkdir()
    for path in (
        scratch / "data" / "a.jsonl",
        scratch / "data" / "**" / "*.jsonl",
        f"file://{tmp_path}/lu%20stre/data/a.jsonl",
        tmp_path / "link" / "*.jsonl",
        scratch / "not there yet" / "a.jsonl",
    ):
        assert isinstance(storage_of(str(path)), LustreStorage), path
    for path in (tmp_path / "a.jsonl", scratch / "inside" / "a.jsonl", tmp_path / "lu stre-2" / "a.jsonl"):
        assert type(storage_of(str(path))) is LocalStorage, path


def test_without_a_table_nothing_is_lustre(tmp_path, monkeypatch):
    monkeypatch.setattr(mounts, "TABLE", str(tmp_path / "nowhere"))
    assert type(storage_of(str(tmp_path / "a.jsonl"))) is LocalStorage


def test_the_table_of_this_machine_is_read():
    found = mounts._mounts("/proc/self/mountinfo")
    assert found["/proc"] == "proc"
    assert not LustreStorage().recognises("/proc/a.jsonl")


def test_the_width_of_stripes_is_asked_once_for_a_directory(scratch, lfs):
    asked = lfs('case "$3" in */wide/*) echo 8388608;; *) echo "stripe_size: 2097152";; esac')
    known = Stripes(timeout_seconds=600)  # a busy machine may take long to start a program
    for name in ("wide/a", "wide/b", "other/a", "wide/c", "other/b"):
        (scratch / name).parent.mkdir(exist_ok=True)
        (scratch / name).write_bytes(b"-")
    assert [known.unit(str(scratch / name)) for name in ("wide/a", "wide/b", "other/a", "other/b")] == [
        4 * MIB,
        4 * MIB,
        2 * MIB,
        2 * MIB,
    ]
    assert asked.read_text().splitlines() == [
        f"getstripe --stripe-size {scratch}/wide/a",
        f"getstripe --stripe-size {scratch}/other/a",
    ]


@pytest.mark.parametrize("script", ["exit 1", "echo none", "echo 0", "echo 1000", "echo 1.5", "", "echo 9000 >&2"])
def test_what_lfs_does_not_say_well_is_one_mebibyte(scratch, lfs, script):
    lfs(script)
    assert Stripes().unit(str(scratch / "a")) == DEFAULT_BYTES


def test_an_lfs_that_hangs_is_asked_once(scratch, lfs, monkeypatch):
    lfs("exec sleep 600")
    asked: list[list[str]] = []

    def run(command, **options):
        asked.append(command)
        return run_of_subprocess(command, **options)

    run_of_subprocess = subprocess.run
    monkeypatch.setattr(subprocess, "run", run)
    known = Stripes(timeout_seconds=0.3)
    for number in range(5):
        assert known.unit(str(scratch / f"{number}" / "a")) == DEFAULT_BYTES
    assert len(asked) == 1


def test_without_lfs_stripes_are_one_mebibyte(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert Stripes().unit(str(tmp_path / "a")) == DEFAULT_BYTES


def test_an_option_is_stronger_than_lfs(scratch, lfs):
    asked = lfs("echo 4194304")
    (scratch / "a.bin").write_bytes(bytes(3 * MIB))
    found = LustreStorage().configured({"stripe_bytes": 256 << 10})
    assert found.random_access(str(scratch / "a.bin")).unit == 256 << 10
    assert not asked.exists()


def test_reads_are_whole_stripes_and_neighbours_one_read(scratch, monkeypatch):
    data = np.random.default_rng(2).integers(0, 256, 10 * MIB + 77, np.uint8).tobytes()
    (scratch / "a.bin").write_bytes(data)
    counting = Counting(scratch, monkeypatch)
    opened = LustreStorage({"stripe_bytes": MIB}).random_access(str(scratch / "a.bin"))
    assert counting.taken() == {"open": 1, "fstat": 1}
    starts = np.array([5, 100, MIB - 3, 5 * MIB, 7 * MIB + 9, 10 * MIB + 70])
    stops = np.array([50, 200, MIB + 3, 5 * MIB, 8 * MIB, 10 * MIB + 77])
    found = opened.gather(starts, stops)
    assert found.to_pylist() == [data[a:b] for a, b in zip(starts.tolist(), stops.tolist(), strict=True)]
    assert [read for read in counting.reads if read[1]] == [(0, 2 * MIB), (7 * MIB, MIB), (10 * MIB, 77)]
    assert counting.taken() == {}
    opened.close()


@given(st.integers(1, 300), st.integers(0, 3000), st.integers(0, 2**32), st.booleans())
def test_any_ranges_with_little_memory_at_a_time(tmp_path_factory, count, length, seed, backwards):
    random = np.random.default_rng(seed)
    data = np.random.default_rng(3).integers(0, 256, 2_000_000, np.uint8).tobytes()
    path = tmp_path_factory.getbasetemp() / "any.bin"
    if not path.exists():
        path.write_bytes(data)
    starts = random.integers(0, len(data), count)
    starts = starts[::-1] if backwards else np.sort(starts)
    stops = np.minimum(starts + length, len(data))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(access, "HELD_BYTES", 256 << 10)
        opened = LustreStorage({"stripe_bytes": 64 << 10}).random_access(str(path))
        found = opened.gather(starts, stops)
    assert found.to_pylist() == [data[a:b] for a, b in zip(starts.tolist(), stops.tolist(), strict=True)]
    opened.close()


def test_a_file_is_read_ahead_in_whole_stripes(scratch, monkeypatch):
    data = np.random.default_rng(2).integers(0, 256, 9 * MIB + 5, np.uint8).tobytes()
    (scratch / "a.bin").write_bytes(data)
    counting = Counting(scratch, monkeypatch)
    with LustreStorage({"stripe_bytes": MIB}).open(str(scratch / "a.bin")) as file:
        file.seek(MIB + 7)
        assert b"".join(iter(lambda: file.read(10_000), b"")) == data[MIB + 7 :]
    assert all(start % MIB == 0 for start, _ in counting.reads)
    assert sum(count for _, count in counting.reads) == 8 * MIB + 5
    assert len(counting.reads) <= 8
    assert counting.taken() == {"open": 1, "fstat": 1}


def test_a_listing_lists_each_directory_once_and_describes_each_match_once(scratch, monkeypatch):
    for folder in range(4):
        for number in range(25):
            path = scratch / "data" / f"d{folder}" / f"{number:02}.jsonl"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"{}\n")
            path.with_suffix(".idx").write_bytes(b"")
    counting = Counting(scratch / "data", monkeypatch)
    found = LustreStorage().expand([f"{scratch}/data/**/*.jsonl", f"{scratch}/data/d1/*.jsonl"])
    assert len(found) == 100
    counts = counting.taken()
    assert counts["scandir"] == 5  # one for both patterns
    assert counts["stat"] <= 100 + 25 + 2
    assert "open" not in counts


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_a_run_lists_and_describes_no_path(scratch, tmp_path, monkeypatch, lfs, kind):
    lfs("echo 1048576")
    made = _written(scratch, kind)
    spec = tmp_path / "spec.yaml"
    spec.write_text(
        f'version: 1\nsources: {{a: {{path: "{scratch}/**/*.{kind}", content: text}}}}\n'
        "mixture: {by: dataset}\norder: {seed: 3, chunk_size: 64, lanes: 2}\n"
    )
    loaded = mixtera.load(str(spec))
    catalog = mixtera.Catalog.open(str(tmp_path / "catalog"))
    counting = Counting(scratch, monkeypatch)
    catalog.index(loaded, workers=1)
    indexing = counting.taken()
    assert indexing["scandir"] == 4  # the directory, and three in it
    assert indexing["open"] <= 2 * 4  # one to guess types, one to scan
    assert indexing["stat"] <= 3 * 4
    plan = mixtera.compile(loaded, catalog)
    counting.taken()
    texts = [text for batch in plan.stream(batch_size=16) for text in batch["text"].to_pylist()]
    assert sorted(texts) == made
    training = counting.taken()
    opens = 8 if kind == "jsonl" else 4  # the first bytes of JSONL are asked whether it is compressed
    assert training == {"open": opens, "fstat": opens}
    assert all(start % MIB == 0 for start, _ in counting.reads)


def _written(scratch: Path, kind: str) -> list[str]:
    texts = []
    for number in range(4):
        path = scratch / f"d{number % 2}" / f"{number}.{kind}"
        path.parent.mkdir(exist_ok=True)
        own = [f"text {number} {row}" for row in range(100)]
        if kind == "parquet":
            pq.write_table(pa.table({"text": own}), path)
        else:
            path.write_text("".join(f'{{"text": "{text}"}}\n' for text in own))
        texts += own
    return sorted(texts)


@pytest.mark.parametrize("change", ["longer", "later"])
def test_a_file_that_was_replaced_is_refused(scratch, change):
    path = scratch / "a.bin"
    path.write_bytes(b"0123456789")
    indexed = LustreStorage().stat(str(path))
    pinned = storage_of_file(indexed)
    assert pinned.random_access(indexed.url).gather(np.array([2]), np.array([4])).to_pylist() == [b"23"]
    if change == "longer":
        path.write_bytes(b"0123456789a")
    os.utime(path, ns=(indexed.modified_ns, indexed.modified_ns + (change == "later")))
    for call in (pinned.open, pinned.random_access):
        with pytest.raises(StorageError, match=r"a\.bin changed since it was indexed.*run `mixtera index`"):
            call(indexed.url)
    path.unlink()
    with pytest.raises(StorageError, match=r"no file .*a\.bin"):
        pinned.open(indexed.url)


def test_a_directory_that_cannot_be_listed_is_named(scratch, monkeypatch):
    (scratch / "closed").mkdir()
    real = os.scandir
    monkeypatch.setattr(
        os,
        "scandir",
        lambda path: (
            real(path) if "closed" not in path else (_ for _ in ()).throw(PermissionError(13, "Permission denied"))
        ),
    )
    with pytest.raises(StorageError, match=r"closed cannot be listed: Permission denied"):
        LustreStorage().expand([f"{scratch}/**/*.jsonl"])


del TestLocal, TestFileUrls
