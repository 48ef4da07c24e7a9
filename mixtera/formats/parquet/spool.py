"""Decoded row groups of a process: the last ones in memory, and on temporary disk where they come again.

Components that pass through the files at different speeds need one row group at different times, too far apart for
memory. Decoding it again for each of them costs 1.2 µs per row of 765 bytes and component, writing it once 0.4 µs, and
reading chosen rows back about as much as reading records of a JSONL file does. So once a row group comes again that
memory had given up, those that are decoded from then on are copied. A process has one spool for all of its readers. It
lies in unnamed files, of which the oldest makes room when there is no more; whatever it does not hold is decoded again.
"""

from __future__ import annotations

import os
import shutil
import weakref
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from threading import Lock
from typing import Final, TypeAlias, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mixtera.arrow import from_numpy
from mixtera.errors import StorageError
from mixtera.formats.ranges import RangedFile
from mixtera.formats.temporary import spool_directory, unnamed_file

VOLUME_BYTES: Final = 256 << 20
"""Bytes of one file of the spool, about: what is given up at a time."""
VOLUMES: Final = 16
FREE_SHARE: Final = 4
"""A new volume is only begun where the disk has room for this many."""
PIECE_ROWS: Final = 512
"""Rows that are read back at once: with what lies between them they stay in the processor's cache."""
RUN_BYTES: Final = 1 << 29
"""Bytes that are read back as one array: its offsets end at 2 GiB."""
REMEMBERED: Final = 1 << 14
"""Row groups given up last, by which a reader notices that one comes again."""

Rows = npt.NDArray[np.int64]
Edges: TypeAlias = tuple[Rows, Rows]
GroupKey: TypeAlias = tuple[object, int]


@dataclass(frozen=True, slots=True)
class Block:
    """Consecutive rows of a row group in the spool.

    Attributes:
        first: First row, counted in the row group.
        stop: Row after the last.
        edges: Per column where its int64 edges lie: the first byte of each value in the volume, and one for the end.
        nulls: Rows with a column that is NULL, counted in the row group.
    """

    first: int
    stop: int
    edges: tuple[int, ...]
    nulls: Rows


class Volume:
    """One unnamed file: row groups one after the other."""

    def __init__(self, directory: str) -> None:
        self._file = unnamed_file(directory)
        self._descriptor = self._file.fileno()
        self.ranges = RangedFile(self._file, f"the temporary copy of decoded row groups in {directory}")
        self.size = 0

    def write(self, first: int, batch: pa.RecordBatch) -> Block:
        """Append some rows of a row group: per column its values back to back, then their edges.

        Raises:
            OSError: There is no room.
        """
        edges = tuple(self._write_column(array) for array in batch.columns)
        return Block(first, first + batch.num_rows, edges, _null_rows(batch) + first)

    def edges(self, block: Block, column: int, rows: Rows) -> tuple[Rows, Rows]:
        """First byte, and byte after the last, of some rows of a block; rows ascending, counted in the row group."""
        low, high = int(rows[0]), int(rows[-1])
        wanted = 8 * (high - low + 2)
        data = os.pread(self._descriptor, wanted, block.edges[column] + 8 * (low - block.first))
        if len(data) != wanted:
            raise StorageError("the temporary copy of decoded row groups cannot be read back")
        edges = np.frombuffer(data, np.int64)
        return edges[rows - low], edges[rows - low + 1]

    def _write_column(self, array: pa.Array) -> int:
        _, offsets, data = array.buffers()
        edges = np.frombuffer(offsets, np.int32)[array.offset : array.offset + len(array) + 1].astype(np.int64)
        start = self.size
        if data is not None:
            self._append(memoryview(data)[int(edges[0]) : int(edges[-1])])
        place = self.size
        self._append(memoryview(edges + (start - edges[0])).cast("B"))
        return place

    def _append(self, data: memoryview) -> None:
        while len(data):
            written = os.pwrite(self._descriptor, data, self.size)
            data = data[written:]
            self.size += written


@dataclass(frozen=True, slots=True)
class Copy:
    """A row group in the spool; it can be read as long as this is held."""

    volume: Volume
    blocks: tuple[Block, ...]

    def lacks(self, rows: Rows) -> bool:
        """Whether any of some rows, counted in the row group, has a NULL, which the spool does not keep."""
        return any(len(block.nulls) and bool(np.isin(block.nulls, rows).any()) for block in self.blocks)


class Spool:
    """The decoded row groups of a process. Any thread may use it."""

    def __init__(self) -> None:
        self.wanted = False
        self._lock = Lock()
        self._copies: dict[GroupKey, Copy] = {}
        self._volumes: deque[tuple[Volume, list[GroupKey]]] = deque()
        self._kept: OrderedDict[GroupKey, pa.RecordBatch] = OrderedDict()
        self._kept_bytes = 0
        self._given_up: OrderedDict[GroupKey, None] = OrderedDict()

    def kept(self, key: GroupKey) -> pa.RecordBatch | None:
        """A decoded row group that is still in memory."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def keep(self, key: GroupKey, batch: pa.RecordBatch, limit_bytes: int) -> None:
        """Keep a row group in memory, now that it is decoded; those unused for longest make room."""
        with self._lock:
            self._drop(key)
            self._kept[key] = batch
            self._kept_bytes += batch.nbytes
            while self._kept_bytes > limit_bytes:
                oldest = next(iter(self._kept))
                self._drop(oldest)
                self._note(oldest)

    def passed(self, key: GroupKey) -> None:
        """Note that a row group is decoded that is too large to be kept."""
        with self._lock:
            self._note(key)

    def decoding(self, key: GroupKey) -> None:
        """Note that a row group is about to be decoded. When it was given up before, the spool is `wanted`."""
        with self._lock:
            if key in self._given_up:
                self.wanted = True
                self._given_up.clear()
                self._kept.clear()
                self._kept_bytes = 0

    def kept_bytes(self, file: object) -> int:
        """Bytes in memory of the row groups of a file."""
        with self._lock:
            return sum(batch.nbytes for key, batch in self._kept.items() if key[0] == file)

    def forget(self, file: object) -> None:
        """Keep nothing more of a file in memory."""
        with self._lock:
            for key in [key for key in self._kept if key[0] == file]:
                self._drop(key)
                self._note(key)

    def _drop(self, key: GroupKey) -> None:
        batch = self._kept.pop(key, None)
        self._kept_bytes -= 0 if batch is None else batch.nbytes

    def _note(self, key: GroupKey) -> None:
        if not self.wanted:
            self._given_up[key] = None
            if len(self._given_up) > REMEMBERED:
                self._given_up.popitem(last=False)

    def find(self, key: GroupKey) -> Copy | None:
        """The copy of a row group, if there is one."""
        return self._copies.get(key)

    def add(self, key: GroupKey, batches: Iterable[pa.RecordBatch]) -> Copy | None:
        """Copy a row group, in one or more batches of `string` and `binary` columns; None where there is no room."""
        with self._lock:
            if key in self._copies:  # another thread was faster
                return self._copies[key]
            found = self._room()
            if found is None:
                return None
            volume, keys = found
            blocks: list[Block] = []
            try:
                for batch in batches:
                    blocks.append(volume.write(blocks[-1].stop if blocks else 0, batch))
            except OSError:  # no room after all
                self._give_up_oldest()
                return None
            keys.append(key)
            copy = self._copies[key] = Copy(volume, tuple(blocks))
            return copy

    def _room(self) -> tuple[Volume, list[GroupKey]] | None:
        if self._volumes and self._volumes[-1][0].size < VOLUME_BYTES:
            return self._volumes[-1]
        directory = spool_directory()
        try:
            if len(self._volumes) >= VOLUMES or shutil.disk_usage(directory).free < FREE_SHARE * VOLUME_BYTES:
                self._give_up_oldest()
            if shutil.disk_usage(directory).free < FREE_SHARE * VOLUME_BYTES:
                return None
            self._volumes.append((Volume(directory), []))
        except OSError:  # no such directory, or a full one
            return None
        return self._volumes[-1]

    def _give_up_oldest(self) -> None:
        if self._volumes:
            for key in self._volumes.popleft()[1]:
                del self._copies[key]


_spools: weakref.WeakValueDictionary[int, Spool] = weakref.WeakValueDictionary()


def process_spool() -> Spool:
    """The spool of this process; it goes with the last reader that holds it. A forked child has one of its own."""
    spool = _spools.get(os.getpid())
    if spool is None:
        spool = _spools[os.getpid()] = Spool()
    return spool


Part: TypeAlias = tuple[Volume, list[Edges]]


class Gathering:
    """Rows of copies, asked for one after the other and read in one go."""

    def __init__(self, schema: pa.Schema) -> None:
        self._schema = schema
        self._parts: list[Part] = []

    def add(self, copy: Copy, rows: Rows) -> None:
        """Ask for some rows of a row group, ascending."""
        for block in copy.blocks:
            low, high = np.searchsorted(rows, [block.first, block.stop]).tolist()
            if low < high:
                columns = range(len(self._schema))
                edges = [copy.volume.edges(block, column, rows[low:high]) for column in columns]
                self._parts.append((copy.volume, edges))

    def read(self) -> list[pa.RecordBatch]:
        """What was asked for, in that order."""
        batches = []
        for volume, run in _runs(self._parts):
            arrays = [_column(volume, [edges[i] for edges in run], field.type) for i, field in enumerate(self._schema)]
            batches.append(pa.RecordBatch.from_arrays(arrays, schema=self._schema))
        self._parts = []
        return batches


def _runs(parts: Sequence[Part]) -> Iterator[tuple[Volume, list[list[Edges]]]]:
    """Parts that follow each other, lie in one volume and are not too large together."""
    run: list[list[Edges]] = []
    size = 0
    for (volume, edges), (following, _) in zip_longest(parts, parts[1:], fillvalue=(None, [])):
        run.append(edges)
        size += max(int((stops - starts).sum()) for starts, stops in edges)
        if following is not volume or size > RUN_BYTES:
            yield cast(Volume, volume), run
            run, size = [], 0


def _column(volume: Volume, edges: Sequence[Edges], kind: pa.DataType) -> pa.Array:
    starts, stops = (np.concatenate(side) for side in zip(*edges, strict=True))
    pieces = (slice(first, first + PIECE_ROWS) for first in range(0, len(starts), PIECE_ROWS))
    arrays = [_narrow(volume.ranges.gather(starts[piece], stops[piece]), kind) for piece in pieces]
    return arrays[0] if len(arrays) == 1 else pa.concat_arrays(arrays)


def _narrow(values: pa.LargeBinaryArray, kind: pa.DataType) -> pa.Array:
    """Values of 64-bit offsets as `string` or `binary`."""
    _, offsets, data = values.buffers()
    edges = np.frombuffer(offsets, np.int64)[values.offset : values.offset + len(values) + 1]
    narrow = from_numpy((edges - edges[0]).astype(np.int32)).buffers()[1]
    start, stop = int(edges[0]), int(edges[-1])
    return pa.Array.from_buffers(kind, len(values), [None, narrow, data.slice(start, stop - start)])


def _null_rows(batch: pa.RecordBatch) -> Rows:
    missing = np.zeros(batch.num_rows, np.bool_)
    for array in batch.columns:
        if array.null_count:
            missing |= array.is_null().to_numpy(zero_copy_only=False)
    return np.flatnonzero(missing)
