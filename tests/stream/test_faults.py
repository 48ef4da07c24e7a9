"""What goes wrong underneath: files that changed, vanished or hold something else; forks, threads, memory."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from mixtera.artifact import digest, layout
from mixtera.artifact.model import PlanData
from mixtera.artifact.pointers import PointerMap
from mixtera.errors import SampleError, StateError, StorageError
from mixtera.stream.contents import _plain_array
from tests.forks import status_in_a_child
from tests.opened import opened_below
from tests.stream.big import big_plan
from tests.stream.written import RECORD_BYTES, expected, open_stream, rows_of, written_plan
from tests.waiting import until


@pytest.fixture
def fresh(tmp_path: Path) -> PlanData:
    return written_plan(tmp_path)


def first_file(data: PlanData) -> Path:
    return Path(data.files.column("url")[0].as_py())


def read_all(data: PlanData) -> None:
    with open_stream(data, batch_size=8) as stream:
        for _ in stream:
            pass


@pytest.fixture
def fetching() -> Callable[[], set[threading.Thread]]:
    """The threads that fetch, but for those that tests before left, and that end when their streams are collected."""
    before = set(threading.enumerate())
    return lambda: {thread for thread in threading.enumerate() if thread.name.startswith("mixtera-fetch")} - before


def test_a_file_of_another_size_is_refused(fresh: PlanData) -> None:
    with first_file(fresh).open("a") as file:
        file.write("{}\n")
    with pytest.raises(StorageError, match=r"part-0.jsonl changed since it was indexed \(40103 bytes, were 40100"):
        read_all(fresh)


def test_a_file_that_was_touched_is_refused(fresh: PlanData) -> None:
    os.utime(first_file(fresh), ns=(1, 1))
    with pytest.raises(StorageError, match=r"changed since it was indexed .*run `mixtera index` and compile again"):
        read_all(fresh)


def test_a_missing_file_is_named_with_the_way_out(fresh: PlanData) -> None:
    first_file(fresh).unlink()
    with pytest.raises(StorageError, match=r"source 'data': .*part-0.jsonl.*remap="):
        read_all(fresh)


def test_a_record_that_is_no_longer_json_names_file_and_row(fresh: PlanData) -> None:
    found = PointerMap(fresh).range(0, 100)
    row = int(found.row[found.file == 0][0])
    path = first_file(fresh)
    stat = path.stat()
    with path.open("r+b") as file:
        file.seek(row * RECORD_BYTES)
        file.write(b"?")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    with pytest.raises(SampleError, match=rf"part-0\.jsonl, line {row + 1}: malformed JSON"):
        read_all(fresh)


def test_an_error_comes_once_and_the_stream_stays_failed(
    fresh: PlanData, fetching: Callable[[], set[threading.Thread]]
) -> None:
    first_file(fresh).unlink()
    stream = open_stream(fresh, batch_size=8)
    with pytest.raises(StorageError):
        next(stream)
    with pytest.raises(StateError, match="failed at position 0"):
        next(stream)
    assert not fetching()


def test_batches_before_a_broken_file_are_delivered(fresh: PlanData) -> None:
    os.utime(first_file(fresh), ns=(1, 1))
    got = []
    with open_stream(fresh, batch_size=1) as stream, pytest.raises(StorageError):
        got.extend(row for batch in stream for row in rows_of(batch))
    assert got == expected(fresh, 0, len(got))


def test_closing_ends_the_thread_and_the_next_batch_opens_again(
    data: PlanData, fetching: Callable[[], set[threading.Thread]]
) -> None:
    stream = open_stream(data, batch_size=8)
    first = rows_of(next(stream))
    assert len(fetching()) == 1
    stream.close()
    assert not fetching()
    assert first + rows_of(next(stream)) == expected(data, 0, 16)
    stream.close()


def test_an_abandoned_stream_leaves_no_thread_and_no_file(
    fresh: PlanData, tmp_path: Path, fetching: Callable[[], set[threading.Thread]]
) -> None:
    for _ in range(5):
        next(open_stream(fresh, batch_size=8))
    gc.collect()
    until(lambda: not fetching(), "the end of the threads")
    until(lambda: opened_below(tmp_path) == [], "the end of the files")


COLLECTED = """
import sys, threading
from mixtera.plan import Plan
stream = Plan.open(sys.argv[1]).stream(batch_size=8)
next(stream)
with threading._active_limbo_lock:  # a thread needs it to start and to end
    del stream
print("went on")
"""


def test_a_stream_may_be_collected_anywhere(tmp_path: Path, fresh: PlanData) -> None:
    """The collector runs in the middle of anything, `threading.enumerate` for instance: nothing can be waited for."""
    layout.write(str(tmp_path / "plan"), fresh, digest.digest(fresh))
    command = [sys.executable, "-c", COLLECTED, str(tmp_path / "plan")]
    run = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert (run.returncode, run.stdout, run.stderr) == (0, "went on\n", "")


def test_a_forked_child_goes_on_by_itself(data: PlanData) -> None:
    stream = open_stream(data, batch_size=8)
    next(stream)

    def goes_on() -> bool:
        rows = [row for batch in stream for row in rows_of(batch)]
        return rows == expected(data, 8, 8 + len(rows)) and len(rows) > 500

    assert status_in_a_child(goes_on) == 0
    assert rows_of(next(stream)) == expected(data, 8, 16)
    stream.close()


def test_a_batch_is_a_view_where_the_granule_is_the_batch(data: PlanData) -> None:
    granule = data.order.granule
    with open_stream(data, batch_size=granule, start=10 * granule * data.order.lanes) as stream:
        lanes = [next(stream) for _ in range(2 * data.order.lanes)]
    again = [batch for batch in lanes if batch.column("sample").offset > 0]
    assert again, "no batch is a view of a larger piece"


def test_all_batches_share_one_schema_and_one_dictionary(data: PlanData) -> None:
    with open_stream(data, batch_size=7) as stream:
        batches = list(stream)
    schema = pa.schema(
        [("text", pa.string()), ("component", pa.dictionary(pa.int32(), pa.string())), ("sample", pa.int64())]
    )
    assert all(batch.schema.equals(schema) for batch in batches)
    names = [component.name for component in data.components]
    assert all(batch["component"].dictionary.to_pylist() == names for batch in batches)


MEMORY = """
import sys
from mixtera.plan import Plan
for batch in Plan.open(sys.argv[1]).stream(batch_size=32):
    pass
with open("/proc/self/status") as status:
    print(next(line for line in status if line.startswith("VmHWM")).split()[1])
"""


def test_batches_do_not_depend_on_what_the_reader_of_them_keeps(data: PlanData) -> None:
    with open_stream(data, batch_size=8) as stream:
        kept = list(stream)
    total = len(kept) * 8
    assert [row for batch in kept for row in rows_of(batch)] == expected(data, 0, total)
    assert np.unique([batch.num_rows for batch in kept]).tolist() == [8]


def test_streaming_stays_within_its_memory(tmp_path: Path) -> None:
    data = big_plan(tmp_path)
    layout.write(str(tmp_path / "plan"), data, digest.digest(data))
    command = [sys.executable, "-c", MEMORY, str(tmp_path / "plan")]
    run = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert run.returncode == 0, run.stderr
    assert int(run.stdout) < 150 * 1024


LOADED = """
import sys
from mixtera.plan import Plan
next(Plan.open(sys.argv[1]).stream(batch_size=32))
print("pyarrow.compute" in sys.modules)
"""


def test_the_first_batch_does_not_wait_for_all_functions_of_arrow(tmp_path: Path, fresh: PlanData) -> None:
    layout.write(str(tmp_path / "plan"), fresh, digest.digest(fresh))
    command = [sys.executable, "-c", LOADED, str(tmp_path / "plan")]
    run = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert (run.returncode, run.stdout.strip()) == (0, "False"), run.stderr


@pytest.mark.parametrize("kind", [pa.large_binary(), pa.large_string()])
def test_samples_of_more_than_two_gib_say_which_key_to_change(kind: pa.DataType) -> None:
    """Memory that is never touched costs nothing: the offsets alone decide."""
    edges = pa.py_buffer(np.array([0, 1 << 30, (1 << 31) + 5]))
    values = pa.Array.from_buffers(kind, 2, [None, edges, pa.py_buffer(np.zeros((1 << 31) + 5, np.uint8))])
    with pytest.raises(SampleError, match=r"2 samples that are read together hold 2.0 GiB.*smaller `granule`"):
        _plain_array(values)
