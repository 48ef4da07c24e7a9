"""Many small reads given to the system together: the same bytes as one by one, also where the system refuses."""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mixtera.errors import StorageError
from mixtera.formats import submitted
from mixtera.formats.ranges import MANY_READS, RangedFile
from mixtera.formats.submitted import CALLS, DEPTH, read_many
from tests.forked import ended

SIZE = 50_000
CONTENT = np.random.default_rng(3).integers(0, 256, SIZE, np.uint8)

NO_SANDBOX = 3
"""How a child ends that cannot have the system refuse anything."""


def can_submit() -> bool:
    """Whether this system takes many reads at a time."""
    with open(os.devnull, "rb") as file:  # noqa: PTH123 - nothing is read
        return read_many(file.fileno(), np.zeros(1, np.uint8), *(np.zeros(1, np.int64) for _ in range(3))) is not None


submitting = pytest.mark.skipif(not can_submit(), reason="this system does not take many reads at a time")


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("submitted") / "data"
    path.write_bytes(CONTENT.tobytes())
    return path


def ranges(count: int, seed: int = 0, longest: int = 300) -> tuple[np.ndarray, np.ndarray]:
    """Starts and lengths of ranges that go back, overlap, and are empty now and then."""
    random = np.random.default_rng(seed)
    lengths = random.integers(0, longest, count)
    return random.integers(0, SIZE - longest, count), lengths


def expected(starts: np.ndarray, lengths: np.ndarray) -> bytes:
    parts = zip(starts.tolist(), (starts + lengths).tolist(), strict=True)
    return b"".join(CONTENT[start:stop].tobytes() for start, stop in parts)


def read(path: Path, starts: np.ndarray, lengths: np.ndarray) -> bytes:
    """What a file that is opened for ranges reads of them, back to back."""
    with path.open("rb") as opened:
        file = RangedFile(opened, str(path))
        target = np.zeros(int(lengths.sum()), np.uint8)
        file.read_each(target, np.cumsum(lengths) - lengths, starts, starts + lengths)
    return target.tobytes()


def in_a_child(check: Callable[[], bool]) -> None:
    """Make a check in a fork of this process, which must end well."""
    code = ended(check)
    if code == NO_SANDBOX:
        pytest.skip("this system lets no process forbid itself a call")
    assert code == 0


@submitting
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(count=st.integers(0, 3 * DEPTH), seed=st.integers(0, 1000))
def test_ranges_come_as_they_stand_in_the_file(path, count, seed):
    starts, lengths = ranges(count, seed)
    with path.open("rb") as file:
        target = np.zeros(int(lengths.sum()), np.uint8)
        done = read_many(file.fileno(), target, np.cumsum(lengths) - lengths, starts, lengths)
    assert done is not None
    assert done.tolist() == lengths.tolist()
    assert target.tobytes() == expected(starts, lengths)


@pytest.mark.parametrize("count", [1, MANY_READS - 1, MANY_READS, DEPTH, DEPTH + 1])
def test_few_and_many_ranges_are_read_alike(path, count):
    starts, lengths = ranges(count)
    assert read(path, starts, lengths) == expected(starts, lengths)


def test_what_lies_between_the_places_is_left_alone(path):
    starts, lengths = np.arange(100) * 400, np.full(100, 30)
    target = np.full(4000, 7, np.uint8)
    with path.open("rb") as opened:
        RangedFile(opened, "data").read_each(target, np.arange(100) * 40, starts, starts + lengths)
    rows = target.reshape(100, 40)
    assert (rows[:, :30] == CONTENT[starts[:, None] + np.arange(30)]).all()
    assert (rows[:, 30:] == 7).all()


@submitting
def test_ranges_beyond_the_end_give_what_there_is(path):
    starts, lengths = np.array([SIZE - 10, SIZE + 5, 0]), np.array([30, 30, 30])
    with path.open("rb") as file:
        done = read_many(file.fileno(), np.zeros(90, np.uint8), np.array([0, 30, 60]), starts, lengths)
    assert done is not None
    assert done.tolist() == [10, 0, 30]


def test_a_file_that_was_cut_short_is_named(tmp_path):
    path = tmp_path / "short"
    path.write_bytes(bytes(1000))
    with path.open("rb") as opened:
        file = RangedFile(opened, str(path))
        os.truncate(path, 500)
        starts = np.arange(20) * 50
        with pytest.raises(StorageError, match=f"{path} changed since it was indexed: byte 530 .* it has 500"):
            file.read_each(np.zeros(1000, np.uint8), starts, starts, starts + 30)


def test_a_file_that_cannot_be_read_is_named(path):
    with os.fdopen(os.open(path, os.O_WRONLY), "wb") as opened:
        starts = np.arange(20) * 50
        with pytest.raises(StorageError, match=f"{path} cannot be read: Bad file descriptor"):
            RangedFile(opened, str(path)).read_each(np.zeros(1000, np.uint8), starts, starts, starts + 30)


@pytest.mark.parametrize(
    ("place", "length"), [(-1, 10), (95, 10), (0, -1)], ids=["before the memory", "behind it", "less than nothing"]
)
def test_places_outside_of_the_memory_are_refused(path, place, length):
    places, lengths = np.zeros(20, np.int64), np.ones(20, np.int64)
    places[7], lengths[7] = place, length
    with path.open("rb") as file, pytest.raises(ValueError, match="no place in the memory"):
        read_many(file.fileno(), np.zeros(100, np.uint8), places, np.arange(20), lengths)


def test_memory_that_must_not_be_written_is_refused(path):
    target = np.zeros(100, np.uint8)
    target.flags.writeable = False
    with path.open("rb") as file, pytest.raises(ValueError, match="writable memory"):
        read_many(file.fileno(), target, np.zeros(20, np.int64), np.arange(20), np.ones(20, np.int64))


def test_threads_do_not_get_what_others_read(path):
    failed: list[int] = []
    begin = threading.Barrier(4)

    def many(seed: int) -> None:
        begin.wait()
        for number in range(20):
            starts, lengths = ranges(DEPTH + 20, 100 * seed + number)
            if read(path, starts, lengths) != expected(starts, lengths):
                failed.append(seed)

    threads = [threading.Thread(target=many, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed


@submitting
def test_a_forked_child_has_queues_of_its_own(path):
    starts, lengths = ranges(100)
    assert read(path, starts, lengths) == expected(starts, lengths)
    assert submitted._free

    def whole() -> bool:
        nothing_inherited = not submitted._free
        target = np.zeros(int(lengths.sum()), np.uint8)
        with path.open("rb") as file:
            done = read_many(file.fileno(), target, np.cumsum(lengths) - lengths, starts, lengths)
        same = done is not None and target.tobytes() == expected(starts, lengths)
        return nothing_inherited and same and read(path, starts, lengths) == expected(starts, lengths)

    in_a_child(whole)


@submitting
@pytest.mark.parametrize("call", ["setup", "submit"])
def test_where_the_system_refuses_ranges_are_read_one_by_one(path, call):
    starts, lengths = ranges(DEPTH + 20)

    def whole() -> bool:
        _forbid(getattr(CALLS[platform.machine()], call))
        target = np.zeros(int(lengths.sum()), np.uint8)
        with path.open("rb") as file:
            done = read_many(file.fileno(), target, np.cumsum(lengths) - lengths, starts, lengths)
        refused = done is None if call == "setup" else done is not None and not done.any()
        return refused and read(path, starts, lengths) == expected(starts, lengths)

    in_a_child(whole)


def _forbid(number: int) -> None:
    """Have the system refuse a call in this process from now on, as a sandbox does (seccomp)."""
    load, equal, give = 0x20, 0x15, 0x06  # BPF: the call's number; is it this one; the answer
    refused, allowed = 0x00050000 | 1, 0x7FFF0000  # EPERM; yes
    program = b"".join(
        struct.pack("<HBBI", *line)
        for line in ((load, 0, 0, 0), (equal, 0, 1, number), (give, 0, 0, refused), (give, 0, 0, allowed))
    )
    memory = ctypes.create_string_buffer(program)
    filters = ctypes.create_string_buffer(struct.pack("<HxxxxxxQ", 4, ctypes.addressof(memory)))
    library = ctypes.CDLL(None, use_errno=True)
    no_new_privileges, use_filter, one = 38, 22, ctypes.c_ulong(1)
    if library.prctl(no_new_privileges, one, 0, 0, 0) or library.prctl(use_filter, ctypes.c_ulong(2), filters, 0, 0):
        os._exit(NO_SANDBOX)
