"""Processes that share a directory as long as one of them reads."""

import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import pytest

from mixtera.errors import StorageError
from mixtera_backends.storage.s3.company import Company
from mixtera_backends.storage.s3.shared import Directory, keeper
from mixtera_backends.storage.s3.stretches import Stripe
from tests.forks import bystander
from tests.waiting import patience_with

STRIPE, OTHER = (Stripe(("bucket", "key", "etag"), start, start + 10) for start in (0, 10))
MEMBER = """
import sys
from pathlib import Path
from mixtera_backends.storage.s3.company import Company
company = Company(Path(sys.argv[1]))
company.join()
print(company.size(), flush=True)
sys.stdin.read()
"""


@contextmanager
def member(directory):
    """Another process that shares it; gives how many they are then, and the process."""
    words = [sys.executable, "-c", MEMBER, str(directory)]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with process, patience_with(process):
        yield int(process.stdout.readline()), process
        process.communicate()


def test_the_last_one_removes_the_directory(tmp_path):
    directory = tmp_path / "shared"
    company = Company(directory)
    company.join()
    assert directory.stat().st_mode & 0o777 == 0o700
    with member(directory) as (size, _):
        assert size == company.size() == 2
        company.leave()
        assert directory.exists()
    assert not directory.exists()


def test_one_that_is_gone_has_left(tmp_path):
    company = Company(tmp_path / "shared")
    company.join()
    del company
    assert not list(tmp_path.iterdir())


def test_what_killed_ones_left_is_used_and_then_removed(tmp_path):
    directory = tmp_path / "shared"
    with member(directory) as (_, process):
        (directory / "a.stripe").write_bytes(b"kept")
        process.send_signal(signal.SIGKILL)
    assert (directory / "a.stripe").exists()
    company = Company(directory)
    company.join()
    assert company.size() == 1
    assert (directory / "a.stripe").exists()
    company.leave()
    assert not directory.exists()


def test_all_may_leave_and_come_at_any_time(tmp_path):
    """Many threads, as so many processes: nobody is in a directory that another one has removed."""
    directory = tmp_path / "shared"

    def come_and_go(_):
        for _ in range(20):
            company = Company(directory)
            company.join()
            assert directory.exists()
            assert company.size() >= 1
            company.leave()

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(come_and_go, range(8)))
    assert not directory.exists()


def test_threads_of_one_process_join_once(tmp_path):
    company = Company(tmp_path / "shared")
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: company.join(), range(8)))
    assert company.size() == 1
    company.leave()


def test_a_child_that_was_forked_is_none_of_them_and_keeps_nothing_locked(tmp_path):
    company = Company(tmp_path / "shared")
    company.join()
    with bystander():
        assert company.size() == 1
        company.leave()
        assert not (tmp_path / "shared").exists()


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_worker_that_ends_has_left(tmp_path, method):
    """Workers of a loader end without what `atexit` would do."""
    worker = multiprocessing.get_context(method).Process(target=_keep, args=(tmp_path / "shared",))
    worker.start()
    worker.join(600)
    assert worker.exitcode == 0
    assert not (tmp_path / "shared").exists()


def _keep(directory):
    _kept.append(Company(directory))
    _kept[0].join()
    assert directory.exists()


_kept: list[Company] = []


@pytest.mark.parametrize("kind", ["open to others", "a link", "a file"])
@pytest.mark.parametrize("stays", [False, True])
def test_a_directory_of_somebody_else_is_refused(tmp_path, kind, stays):
    directory = tmp_path / "shared"
    if kind == "open to others":
        directory.mkdir()
        directory.chmod(0o777)
    elif kind == "a link":
        (tmp_path / "theirs").mkdir()
        directory.symlink_to(tmp_path / "theirs")
    else:
        directory.write_bytes(b"")
    stripes = Directory(str(tmp_path), 1 << 20, stays)
    directory.rename(stripes._directory)
    said = r"mixtera-s3-\d+(\.now)?, .*not this user's alone.*TMPDIR"
    with pytest.raises(StorageError, match=said):
        stripes.holds(STRIPE)  # what somebody else may have put there is never read
    with pytest.raises(StorageError, match=said):
        stripes.have(STRIPE, lambda: iter([b"0123456789"]))


def test_each_who_shares_brings_room(tmp_path):
    one = Directory(str(tmp_path), 100, stays=False)
    one.have(STRIPE, lambda: iter([b"0123456789"]))
    with ExitStack() as others:
        for count in (2, 3):
            others.enter_context(member(one._directory))
            one.make_room()
            assert one.capacity_bytes == 100 * count
    one.make_room()
    assert one.capacity_bytes == 100


def test_several_share_and_nothing_stays(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.delenv("MIXTERA_SPOOL", raising=False)
    one, other = keeper(alone=False), keeper(alone=False)
    one.have(STRIPE, lambda: iter([b"0123456789"]))
    other.have(OTHER, lambda: iter([b"0123456789"]))
    assert one.holds(OTHER)
    assert other.holds(STRIPE)
    del one
    assert list(tmp_path.rglob("*.stripe"))
    del other
    assert not list(tmp_path.iterdir())


def test_a_directory_that_is_cleaned_away_is_made_again(tmp_path):
    """As a cleaner of temporary files does it."""
    shared = Directory(str(tmp_path), 1 << 20, stays=False)
    shared.have(STRIPE, lambda: iter([b"0123456789"]))
    for path in shared._directory.iterdir():
        path.unlink()
    shared._directory.rmdir()
    shared.have(OTHER, lambda: iter([b"0123456789"]))
    with shared.reading:
        ((file, place),) = shared.places([OTHER])
        assert os.pread(file, 10, place) == b"0123456789"
