"""Decompressed copies that processes share: made once, given up when unused, nothing left by those that die."""

import fcntl
import gzip
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from mixtera.errors import StorageError
from mixtera.formats import spool, temporary
from mixtera.formats.copies import Copies
from mixtera.formats.jsonl import Jsonl
from mixtera.registry import storage_of
from mixtera.testing.format import CONTENT, request, scan_file
from tests.forks import bystander
from tests.waiting import patience_with

jsonl = Jsonl()
LINE = json.dumps({"text": "x" * 987}).encode() + b"\n"  # 1,000 bytes


@pytest.fixture
def directory(tmp_path, monkeypatch) -> Path:
    found = tmp_path / "spool"
    found.mkdir()
    monkeypatch.setenv(temporary.SPOOL_VARIABLE, str(found))
    return found


def written(directory: Path, name: str, rows: int = 100) -> Path:
    path = directory / name
    path.write_bytes(gzip.compress(LINE * rows, 1))
    return path


def opened(path: Path):
    storage = storage_of(str(path))
    return jsonl.reader(storage, storage.stat(str(path)), CONTENT, 0)


def copies(directory: Path) -> list[Path]:
    return sorted(directory.glob("mixtera-copies-*/*.plain"))


def unfinished(directory: Path) -> list[Path]:
    return sorted(directory.glob("mixtera-copies-*/*.part"))


def test_a_copy_is_kept_for_others_and_for_later(tmp_path, directory):
    path = written(tmp_path, "a.jsonl.gz")
    table = scan_file(jsonl, path, ())[0]
    first = opened(path)
    (copy,) = copies(directory)
    assert copy.read_bytes() == LINE * 100
    first.close()
    del first
    made = copy.stat()
    again = opened(path)
    assert again.read(request(table, [7]))["text"].to_pylist() == ["x" * 987]
    assert [found.stat().st_ino for found in copies(directory)] == [made.st_ino]
    again.close()


def test_a_changed_file_has_a_copy_of_its_own(tmp_path, directory):
    path = written(tmp_path, "a.jsonl.gz")
    opened(path).close()
    path = written(tmp_path, "a.jsonl.gz", 50)
    reader = opened(path)
    assert sorted(copy.stat().st_size for copy in copies(directory)) == [50_000, 100_000]
    reader.close()


def test_those_unused_for_longest_make_room(tmp_path, directory, monkeypatch):
    monkeypatch.setenv(temporary.SIZE_VARIABLE, "350000")
    paths = [written(tmp_path, f"{name}.jsonl.gz") for name in "abcd"]
    for path in paths[:3]:
        opened(path).close()
        time.sleep(0.01)
    opened(paths[0]).close()  # used again: b is the oldest now
    names = {path.name: {copy.name for copy in copies(directory)} for path in paths[:1]}
    opened(paths[3]).close()
    left = {copy.name for copy in copies(directory)}
    assert len(left) == 3
    assert len(names["a.jsonl.gz"] - left) == 1
    before = copies(directory)
    opened(paths[0]).close()
    assert copies(directory) == before  # a was still there
    opened(paths[1]).close()
    assert copies(directory) != before  # b was not


def test_what_is_in_use_is_never_given_up(tmp_path, directory, monkeypatch):
    monkeypatch.setenv(temporary.SIZE_VARIABLE, "250 KB")
    first, second = opened(written(tmp_path, "a.jsonl.gz")), opened(written(tmp_path, "b.jsonl.gz"))
    third = written(tmp_path, "c.jsonl.gz")
    with pytest.raises(spool.SpoolFullError, match=r"c\.jsonl\.gz .*300,000 bytes and 256,000 are allowed"):
        opened(third)
    assert unfinished(directory) == []
    table = scan_file(jsonl, third, ())[0]
    first.close()
    del first
    reader = opened(third)
    assert reader.read(request(table, [99])).num_rows == 1
    assert len(copies(directory)) == 2
    second.close()


def _open_in_child(path: Path, barrier) -> tuple[int, int]:
    barrier.wait(600)
    reader = opened(path)
    inode = os.fstat(reader._records.access._descriptor).st_ino
    barrier.wait(600)
    reader.close()
    return inode, os.getpid()


def _child(path: Path, barrier, results) -> None:
    results.put(_open_in_child(path, barrier))


def test_processes_that_open_a_file_together_share_one_copy(tmp_path, directory):
    path = written(tmp_path, "a.jsonl.gz", 30_000)
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(3), context.Queue()
    children = [context.Process(target=_child, args=(path, barrier, results)) for _ in range(3)]
    for child in children:
        child.start()
    found = [results.get(timeout=600) for _ in children]
    for child in children:
        child.join(600)
        assert child.exitcode == 0
    (copy,) = copies(directory)
    assert {inode for inode, _ in found} == {copy.stat().st_ino}
    assert len({pid for _, pid in found}) == 3
    assert unfinished(directory) == []


_SLOWLY = """
import sys, time
from mixtera.formats import spool
write = spool._write
def slowly(*arguments):
    write(*arguments)
    print("written", flush=True)
    time.sleep(600)
spool._write = slowly
from mixtera.formats.jsonl import Jsonl
from mixtera.registry import storage_of
from mixtera.testing.format import CONTENT
storage = storage_of(sys.argv[1])
Jsonl().reader(storage, storage.stat(sys.argv[1]), CONTENT, 0)
"""


@pytest.mark.parametrize("same_file", [True, False])
def test_what_a_killed_process_left_is_cleaned_by_the_next(tmp_path, directory, same_file):
    path = written(tmp_path, "a.jsonl.gz", 10_000)
    process = subprocess.Popen([sys.executable, "-c", _SLOWLY, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with patience_with(process):
        assert process.stdout.readline() == "written\n"
    assert len(unfinished(directory)) == 1
    other = written(tmp_path, "b.jsonl.gz")
    opened(other).close()
    assert len(unfinished(directory)) == 1  # it is alive
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    next_file = path if same_file else written(tmp_path, "c.jsonl.gz")
    reader = opened(next_file)
    assert unfinished(directory) == []
    table = scan_file(jsonl, next_file, ())[0]
    assert reader.read(request(table, [table.num_rows - 1])).num_rows == 1
    reader.close()


def test_one_that_waits_takes_over_from_one_that_is_killed(tmp_path, directory):
    path = written(tmp_path, "a.jsonl.gz", 10_000)
    process = subprocess.Popen([sys.executable, "-c", _SLOWLY, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with patience_with(process):
        assert process.stdout.readline() == "written\n"
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(1), context.Queue()
    waiting = context.Process(target=_child, args=(path, barrier, results))
    waiting.start()
    time.sleep(2)
    assert waiting.exitcode is None
    assert copies(directory) == []
    process.kill()
    process.wait()
    process.stdout.close()
    results.get(timeout=600)
    waiting.join(600)
    assert [copy.stat().st_size for copy in copies(directory)] == [10_000_000]


def test_a_child_that_is_forked_meanwhile_keeps_nobody_waiting(tmp_path, directory):
    """It has all files open that its parent has open, and locks go with the last who has."""
    file = storage_of(str(tmp_path)).stat(str(written(tmp_path, "a.jsonl.gz")))
    ours = Copies(str(directory), 1 << 20)
    with ExitStack() as children:
        made, _ = ours.find_or_begin(file)
        waiting = children.enter_context(unfinished(directory)[0].open("rb"))
        with ours._locked():
            children.enter_context(bystander())
        with (unfinished(directory)[0].parent / "lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        ours.abandon(made, file)
        fcntl.flock(waiting, fcntl.LOCK_SH | fcntl.LOCK_NB)  # as who waits for the copy
        again, is_new = ours.find_or_begin(file)
        assert is_new
        again.close()


def test_a_broken_file_leaves_nothing(tmp_path, directory):
    path = written(tmp_path, "a.jsonl.gz", 30_000)
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(Exception, match=r"a\.jsonl\.gz: the compressed data are cut short"):
        opened(path)
    assert copies(directory) == unfinished(directory) == []


def test_a_disk_that_is_full_is_named_and_freed(tmp_path, monkeypatch):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode:
        pytest.skip("nothing can be mounted here")
    try:
        monkeypatch.setenv(temporary.SPOOL_VARIABLE, str(disk))
        small, large = written(tmp_path, "a.jsonl.gz", 100), written(tmp_path, "b.jsonl.gz", 1_000)
        opened(small).close()
        with pytest.raises(StorageError, match=rf"b\.jsonl\.gz .*{disk}: No space left.*{temporary.SPOOL_VARIABLE}"):
            opened(large)
        assert unfinished(disk) == []
        assert len(copies(disk)) == 1
        opened(small).close()
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.parametrize(
    ("text", "bytes_"),
    [("1", 1), ("500MB", 500 << 20), ("64 GiB", 64 << 30), ("2t", 2 << 40), ("7k", 7 << 10), (" 3 B ", 3)],
)
def test_sizes(monkeypatch, text, bytes_):
    monkeypatch.setenv(temporary.SIZE_VARIABLE, text)
    assert temporary.spool_bytes() == bytes_


@pytest.mark.parametrize("text", ["0", "-1", "1.5G", "much", "GiB", "1 PB"])
def test_what_is_no_size(monkeypatch, text):
    monkeypatch.setenv(temporary.SIZE_VARIABLE, text)
    with pytest.raises(StorageError, match=rf"{temporary.SIZE_VARIABLE}=.*is not a size: write bytes"):
        temporary.spool_bytes()


def test_what_is_no_directory_is_named(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(temporary.SPOOL_VARIABLE, str(tmp_path / "file"))
    with pytest.raises(StorageError, match=r"a\.jsonl\.gz .*file: Not a directory"):
        opened(written(tmp_path, "a.jsonl.gz"))
