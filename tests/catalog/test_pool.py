from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pyarrow.parquet as pq
import pytest
import zstandard

from mixtera.catalog.bundles import Bundle, NumberedFile, Scanned
from mixtera.catalog.children import NOT_FORKED, Child, Forked, Interpreter, may_fork
from mixtera.catalog.columns import numbered, sample_columns
from mixtera.catalog.pool import WorkerProcess, Workers
from mixtera.catalog.scan import scan_bundle
from mixtera.contracts.format import ContentColumn, PropertyColumn
from mixtera.contracts.storage import FileInfo
from mixtera.errors import SampleError, StorageError
from mixtera.registry import storage_of
from tests.catalog.corpus import append, write_lines
from tests.waiting import gone, until

PROPERTIES = (PropertyColumn("year", "meta.year", "int64"), PropertyColumn("tags", "tags", "list<string>"))
COLUMNS = numbered(sample_columns({column.name: column.type for column in PROPERTIES}))

DYING_PARENT = """
import os, sys
from mixtera.catalog import children
from mixtera.catalog.pool import WorkerProcess

worker = WorkerProcess(getattr(children, sys.argv[1]))
other = WorkerProcess(getattr(children, sys.argv[1]))
worker.wait_until_ready()
print(worker.pid, flush=True)
os.kill(os.getpid(), 9)
"""


def bundle(directory: Path, name: str, files: list[Path], policy: str = "fail", format_: str = "jsonl") -> Bundle:
    directory.mkdir(exist_ok=True)
    found = tuple(NumberedFile(storage_of(str(file)).stat(str(file)), number) for number, file in enumerate(files))
    content = (ContentColumn("text", "text"),)
    return Bundle("web", format_, PROPERTIES, content, (), COLUMNS, policy, found, str(directory), name)


def ignore(_bytes: int, _rows: int) -> None:
    """Progress nobody looks at."""


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    return [write_lines(tmp_path / f"{number}.jsonl", range(50 * number, 50 * number + 40)) for number in range(3)]


Start = Callable[[], Child]


@pytest.fixture(params=[Forked, Interpreter], ids=["forked", "interpreter"])
def start(request: pytest.FixtureRequest) -> Start:
    """Both ways to start a child; this process has one thread."""
    return cast(Start, request.param)


MAY_FORK = """
import multiprocessing, sys, threading
from mixtera.catalog.children import may_fork

over = threading.Event()
thread = threading.Thread(target=over.wait)
print(may_fork())
thread.start()
print(may_fork())
over.set()
thread.join()
print(may_fork(), flush=True)
daemon = multiprocessing.get_context("fork").Process(target=lambda: print(may_fork(), flush=True), daemon=True)
daemon.start()
daemon.join()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux forks")
def test_a_process_forks_while_it_has_one_thread_and_is_no_daemon() -> None:
    done = subprocess.run([sys.executable, "-c", MAY_FORK], capture_output=True, text=True)
    assert done.stdout.split() == ["True", "False", "True", "False"], done.stderr


@pytest.mark.parametrize("library", sorted(NOT_FORKED))
def test_a_process_that_uses_some_libraries_is_not_forked(monkeypatch: pytest.MonkeyPatch, library: str) -> None:
    monkeypatch.setitem(sys.modules, library, sys)
    assert not may_fork()


def test_what_a_child_prints_goes_to_stderr_and_nothing_is_printed_twice() -> None:
    code = (
        "import sys\n"
        "from mixtera.catalog.children import Forked\n"
        "print('once', end='')\n"
        "child = Forked()\n"
        "child.answers.readline()\n"
        "child.requests.close()\n"
        "sys.exit(child.wait())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "once", "")


def test_a_worker_process_writes_what_this_process_would(tmp_path: Path, files: list[Path], start: Start) -> None:
    here = scan_bundle(bundle(tmp_path / "here", "0", files), ignore)
    progress: list[tuple[int, int]] = []
    with WorkerProcess(start) as worker:
        worker.wait_until_ready()
        there = worker.scan(bundle(tmp_path / "there", "0", files), lambda *step: progress.append(step))
        again = worker.scan(bundle(tmp_path / "there", "1", files[:1]), ignore)
    assert there == here
    assert again.files == here.files[:1]
    assert sum(rows for _, rows in progress) == 120
    assert sum(bytes_ for bytes_, _ in progress) == sum(file.stat().st_size for file in files)
    assert pq.read_table(tmp_path / "there" / "0.parquet").equals(pq.read_table(tmp_path / "here" / "0.parquet"))


def test_an_error_in_a_worker_arrives_as_what_it_was(tmp_path: Path, files: list[Path], start: Start) -> None:
    work = bundle(tmp_path / "there", "0", files)
    files[0].unlink()
    with WorkerProcess(start) as worker:
        worker.wait_until_ready()
        with pytest.raises(StorageError, match=r"0\.jsonl"):
            worker.scan(work, ignore)


def test_a_worker_that_is_killed_is_an_error_that_says_so(tmp_path: Path, files: list[Path], start: Start) -> None:
    with WorkerProcess(start) as worker:
        worker.wait_until_ready()
        os.kill(worker.pid, signal.SIGKILL)
        with pytest.raises(StorageError, match=r"a worker process was killed by signal 9 while .* fewer --workers"):
            worker.scan(bundle(tmp_path / "there", "0", files), ignore)


@pytest.mark.parametrize("kind", ["Forked", "Interpreter"])
def test_a_worker_ends_when_its_parent_is_killed(kind: str) -> None:
    pid = int(subprocess.run([sys.executable, "-c", DYING_PARENT, kind], stdout=subprocess.PIPE).stdout)
    until(lambda: gone(pid), "the end of the worker")


def test_all_bundles_are_scanned_each_once(tmp_path: Path, files: list[Path]) -> None:
    bundles = [bundle(tmp_path / "out", str(number), [file]) for number, file in enumerate(files * 4)]
    found: list[str] = []

    def finished(work: Bundle, scanned: Scanned) -> bool:
        found.append(work.name)
        assert sum(file.samples for file in scanned.files) == 40
        return True

    with Workers(2) as workers:
        workers.start(len(bundles), 0)
        workers.scan(bundles, ignore, finished, lambda: None)
    assert sorted(found, key=int) == [str(number) for number in range(12)]


def test_the_first_error_stops_everybody(tmp_path: Path, files: list[Path]) -> None:
    bundles = [bundle(tmp_path / "out", str(number), [file]) for number, file in enumerate(files * 4)]
    files[1].unlink()
    finished: list[str] = []
    with Workers(2) as workers:
        workers.start(len(bundles), 0)
        with pytest.raises(StorageError, match=r"1\.jsonl"):
            workers.scan(bundles, ignore, lambda work, scanned: not finished.append(work.name), lambda: None)
    assert not {"0", "3", "6", "9"} & set(finished), "the smallest come last, behind four that fail"


def test_a_file_that_changed_after_it_was_listed_is_refused(tmp_path: Path, files: list[Path]) -> None:
    work = bundle(tmp_path / "out", "0", files)
    append(files[1], b'{"text": "late"}\n')
    with pytest.raises(StorageError, match=r"1\.jsonl changed"):
        scan_bundle(work, ignore)


def test_a_file_that_vanished_after_it_was_listed_is_refused(tmp_path: Path, files: list[Path]) -> None:
    work = bundle(tmp_path / "out", "0", files)
    files[2].unlink()
    with pytest.raises(StorageError, match=r"2\.jsonl"):
        scan_bundle(work, ignore)


def test_scanning_stops_after_the_first_file_with_bad_records(tmp_path: Path, files: list[Path]) -> None:
    append(files[0], b"nonsense\n")
    scanned = scan_bundle(bundle(tmp_path / "out", "0", files), ignore)
    assert (len(scanned.files), scanned.bad) == (1, 1)
    assert scanned.first_bad[0].place == "0.jsonl:41"


def test_a_compressed_file_that_was_cut_short(tmp_path: Path, files: list[Path]) -> None:
    path = tmp_path / "0.jsonl.zst"
    path.write_bytes(zstandard.compress(files[0].read_bytes())[:-20])
    with pytest.raises(SampleError, match=r"0\.jsonl\.zst"):
        scan_bundle(bundle(tmp_path / "out", "0", [path]), ignore)


def test_a_file_id_of_32_bits_fits(tmp_path: Path, files: list[Path]) -> None:
    info: FileInfo = storage_of(str(files[0])).stat(str(files[0]))
    work = bundle(tmp_path / "out", "0", files[:1])
    scanned = scan_bundle(
        Bundle(
            "web",
            "jsonl",
            PROPERTIES,
            work.content,
            (),
            COLUMNS,
            "fail",
            (NumberedFile(info, 2**32 - 1),),
            work.directory,
            "9",
        ),
        ignore,
    )
    assert set(pq.read_table(tmp_path / "out" / scanned.data_file)["file_id"].to_pylist()) == {2**32 - 1}
