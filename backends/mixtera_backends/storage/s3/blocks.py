"""Blocks of objects that a process reads: in flight, then in memory, then in a temporary file that has no name.

A mixture asks for the records of a segment in many small requests, some of them seconds apart, and different readers
ask for different ones. Read one by one they cost a request each, read with what lies between them the same bytes come
again and again. A block is read once while there is room. What is announced is on its way before it is asked for, from
all files of a fetch at a time.
"""

from __future__ import annotations

import os
import tempfile
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from mixtera.errors import StorageError
from mixtera.formats.temporary import SPOOL_VARIABLE

if TYPE_CHECKING:
    from mixtera_backends.storage.s3.clients import Buffer

BLOCK_BYTES: Final = 32 << 10
"""Small, since a segment begins and ends anywhere: half a block is read in vain at each end."""
BRIDGED_BLOCKS: Final = 4
"""Blocks between two that are wanted, which are read along: they cost less than a request, and are kept too."""
MEMORY_BYTES: Final = 8 << 20
"""Six times as much took the same processor time, and 75 MB more: what the client allocates falls to pieces."""
LARGE_RUN_BYTES: Final = 1 << 20
"""A run of so many bytes, such as a row group, is not kept in memory: who reads it decodes it, and keeps that."""
DEFAULT_MEBIBYTES: Final = 1024
SIZE_VARIABLE: Final = "MIXTERA_S3_CACHE_MB"
"""Environment variable: mebibytes of blocks that a process keeps on disk; 0 for none, in memory neither."""

Object: TypeAlias = tuple[str, str, str]
"""Bucket, key and etag."""
Place: TypeAlias = tuple[Object, int]
Positions = npt.NDArray[np.int64]
Begin: TypeAlias = "Callable[[int, int], Future[Buffer]]"
"""Begins to fetch a range of an object."""


@dataclass(frozen=True, slots=True)
class Sought:
    """Ranges of an object.

    Attributes:
        object: The object.
        size: Its bytes.
        starts: First byte of each range.
        stops: Byte after the last of each.
        most: Bytes of one request, at most.
        begin: Begins to fetch a range of the object.
    """

    object: Object
    size: int
    starts: Positions
    stops: Positions
    most: int
    begin: Begin

    def blocks(self) -> list[int]:
        """The blocks that the ranges lie in, ascending."""
        filled = self.stops > self.starts
        first, last = self.starts[filled] // BLOCK_BYTES, (self.stops[filled] - 1) // BLOCK_BYTES
        counts = last - first + 1
        number = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
        found: list[int] = np.unique(np.repeat(first, counts) + number).tolist()
        return found


class Run:
    """Blocks of an object that follow each other and were asked for in one request."""

    def __init__(self, wanted: Object, first: int, last: int, asked: Future[Buffer]) -> None:
        self.wanted, self.first, self.last = wanted, first, last
        self._asked: Future[Buffer] | None = asked
        self._data: memoryview | None = None

    @property
    def bytes(self) -> int:
        """Its bytes, about."""
        return (self.last - self.first) * BLOCK_BYTES

    @property
    def is_here(self) -> bool:
        """Whether nobody has to wait for it."""
        return self._asked is None or self._asked.done()

    @property
    def has_failed(self) -> bool:
        """Whether it could not be fetched; it may be cancelled."""
        asked = self._asked
        return asked is not None and asked.done() and (asked.cancelled() or asked.exception() is not None)

    def data(self) -> memoryview:
        """Its bytes, waited for.

        Raises:
            StorageError: It could not be fetched.
        """
        if self._data is None:
            assert self._asked is not None
            self._data = memoryview(self._asked.result()).cast("B")
            self._asked = None
        return self._data


class Blocks:
    """The blocks of one process; those used last are kept."""

    def __init__(self, capacity_bytes: int, memory_bytes: int | None = None) -> None:
        self._capacity = capacity_bytes // BLOCK_BYTES
        self._memory_bytes = MEMORY_BYTES if memory_bytes is None else memory_bytes
        self._runs: OrderedDict[Run, None] = OrderedDict()
        self._run_of: dict[Place, Run] = {}
        self._run_bytes = 0
        self._slots: OrderedDict[Place, int] = OrderedDict()
        self._file: BinaryIO | None = None
        self._closed: weakref.finalize[..., Blocks] | None = None
        self._lock = threading.Lock()

    def expect(self, sought: Sought) -> bool:
        """Begin to fetch those blocks that are not here; False, and nothing is fetched, where they cannot be kept."""
        needed = sought.blocks()
        if len(needed) > self._capacity:
            return False
        with self._lock:
            self._expect(sought, needed)
        return True

    def read_into(self, target: memoryview, sought: Sought) -> bool:
        """Read ranges into memory that has their size, back to back.

        Returns:
            Whether it was done; False where there are more blocks than can be kept.

        Raises:
            StorageError: The file cannot be written, or what fetching raises.
        """
        needed = sought.blocks()
        if len(needed) > self._capacity:
            return False
        with self._lock:
            self._expect(sought, needed)
            waiting = list(self._copy_kept(target, sought))
        try:
            for run, skipped, part in waiting:
                part[:] = run.data()[skipped : skipped + len(part)]
        except BaseException:
            with self._lock:
                self._drop_failed()
            raise
        with self._lock:
            for run in {run for run, _, _ in waiting if run.bytes >= LARGE_RUN_BYTES}:
                if run in self._runs:  # else another thread was faster
                    self._move(run)
            self._trim()
        return True

    def _expect(self, sought: Sought, needed: Sequence[int]) -> None:
        wanted, missing = sought.object, []
        for block in needed:
            place = wanted, block
            if (run := self._run_of.get(place)) is not None:
                self._runs.move_to_end(run)
            elif place in self._slots:
                self._slots.move_to_end(place)
            else:
                missing.append(block)
        most = max(1, sought.most // BLOCK_BYTES)
        for first, last in _runs(missing, most, lambda block: self._is_here((wanted, block))):
            asked = sought.begin(first * BLOCK_BYTES, min(last * BLOCK_BYTES, sought.size))
            run = Run(wanted, first, last, asked)
            self._runs[run] = None
            self._run_bytes += run.bytes
            self._run_of.update(((wanted, block), run) for block in range(first, last))

    def _is_here(self, place: Place) -> bool:
        return place in self._slots or place in self._run_of

    def _copy_kept(self, target: memoryview, sought: Sought) -> Iterator[tuple[Run, int, memoryview]]:
        """Copy what lies in the file; for the rest its run, its place in the run, and where it goes."""
        wanted = sought.object
        done = 0
        for start, stop in zip(sought.starts.tolist(), sought.stops.tolist(), strict=True):
            while start < stop:
                block, skipped = divmod(start, BLOCK_BYTES)
                run = self._run_of.get((wanted, block))
                if run is not None:
                    length = min(stop, run.last * BLOCK_BYTES) - start
                    yield run, start - run.first * BLOCK_BYTES, target[done : done + length]
                else:
                    length = min(stop - start, BLOCK_BYTES - skipped)
                    place = self._slots[wanted, block] * BLOCK_BYTES + skipped
                    os.preadv(self._opened().fileno(), [target[done : done + length]], place)
                start, done = start + length, done + length

    def _drop_failed(self) -> None:
        """Forget runs that failed, so that they are asked for again."""
        for run in [run for run in self._runs if run.has_failed]:
            self._forget_run(run)

    def _forget_run(self, run: Run) -> None:
        del self._runs[run]
        self._run_bytes -= run.bytes
        for block in range(run.first, run.last):
            del self._run_of[run.wanted, block]

    def _trim(self) -> None:
        """Write what was unused for longest to the file until memory is within bounds."""
        while self._run_bytes > self._memory_bytes:
            run = next((run for run in self._runs if run.is_here), None)
            if run is None:
                return
            self._move(run)

    def _move(self, run: Run) -> None:
        """Write a run that is here to the file, and have it in memory no more."""
        self._forget_run(run)
        if not run.has_failed:  # whoever needs one that has asks again
            self._keep(run.wanted, run.first, run.data())

    def _keep(self, wanted: Object, first: int, data: memoryview) -> None:
        """Write a run of blocks; each takes a free slot, or that of the block unused for longest."""
        for number, begin in enumerate(range(0, len(data), BLOCK_BYTES)):
            full = len(self._slots) >= self._capacity
            slot = self._slots.popitem(last=False)[1] if full else len(self._slots)
            try:
                _write(self._opened().fileno(), data[begin : begin + BLOCK_BYTES], slot * BLOCK_BYTES)
            except OSError as error:
                self._forget()
                raise StorageError(
                    f"blocks of S3 objects cannot be kept in {_directory()}: {error.strerror}; make room there, set "
                    f"{SPOOL_VARIABLE} to another directory, or {SIZE_VARIABLE} to fewer mebibytes, 0 for none"
                ) from error
            self._slots[wanted, first + number] = slot

    def _opened(self) -> BinaryIO:
        if self._file is None:
            self._file = tempfile.TemporaryFile(dir=_directory(), buffering=0)  # noqa: SIM115 - closed with the blocks
            self._closed = weakref.finalize(self, self._file.close)
        return self._file

    def _forget(self) -> None:
        self._slots.clear()
        self._file = None
        if self._closed is not None:
            self._closed()


def kept_bytes() -> int:
    """Bytes of blocks that a process may keep, as the environment says.

    Raises:
        StorageError: It says no number.
    """
    text = os.environ.get(SIZE_VARIABLE, str(DEFAULT_MEBIBYTES))
    if not (text.isascii() and text.isdecimal()):
        raise StorageError(f"{SIZE_VARIABLE} is {text!r}: it must be a whole number of mebibytes, 0 for no cache")
    return int(text) << 20


def _directory() -> str:
    return os.environ.get(SPOOL_VARIABLE) or tempfile.gettempdir()


def _write(file: int, data: memoryview, place: int) -> None:
    while data:
        written = os.pwrite(file, data, place)
        data, place = data[written:], place + written


def _runs(blocks: Iterable[int], most: int, is_here: Callable[[int], bool]) -> Iterable[tuple[int, int]]:
    """Neighbours together: the first block of each run and the one after its last; none longer than `most`.

    Blocks between two that are wanted are part of the run where they are few, and none of them is here.
    """
    first = last = None
    for block in blocks:
        if first is not None and last is not None and block - first < most:
            between = range(last, block)
            if len(between) <= BRIDGED_BLOCKS and not any(map(is_here, between)):
                last = block + 1
                continue
        if first is not None and last is not None:
            yield first, last
        first, last = block, block + 1
    if first is not None and last is not None:
        yield first, last
