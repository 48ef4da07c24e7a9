"""Decoded row groups of a process: the last ones in memory, and on temporary disk where they come again.

Components that pass through the files at different speeds need one row group at different times, too far apart for
memory. Decoding it again for each of them costs 1.2 µs per row of 765 bytes and component, writing it once 0.4 µs, and
reading chosen rows back about as much as reading records of a JSONL file does. So once a row group comes again that
memory had given up, those that are decoded from then on are copied: see `mixtera.formats.kept`.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Final, TypeAlias, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mixtera.arrow import from_numpy
from mixtera.formats.columnar.sound import holds_text, unsound
from mixtera.formats.kept import Kept, Volume

PIECE_ROWS: Final = 512
"""Rows that are read back at once: with what lies between them they stay in the processor's cache."""
RUN_BYTES: Final = 1 << 29
"""Bytes that are read back as one array: its offsets end at 2 GiB."""

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
        lacking: Rows with a column that is NULL, or no valid UTF-8, counted in the row group.
    """

    first: int
    stop: int
    edges: tuple[int, ...]
    lacking: Rows


def _write(volume: Volume, first: int, batch: pa.RecordBatch) -> Block:
    """Append some rows of a row group: per column its values back to back, then their edges."""
    edges = tuple(_write_column(volume, array) for array in batch.columns)
    return Block(first, first + batch.num_rows, edges, _lacking(batch) + first)


def _write_column(volume: Volume, array: pa.Array) -> int:
    _, offsets, data = array.buffers()
    edges = np.frombuffer(offsets, np.int32)[array.offset : array.offset + len(array) + 1].astype(np.int64)
    start = volume.size
    if data is not None:
        volume.append(memoryview(data)[int(edges[0]) : int(edges[-1])])
    return volume.append(memoryview(edges + (start - edges[0])).cast("B"))


def _edges(volume: Volume, block: Block, column: int, rows: Rows) -> Edges:
    """First byte, and byte after the last, of some rows of a block; rows ascending, counted in the row group."""
    low, high = int(rows[0]), int(rows[-1])
    data = volume.read(block.edges[column] + 8 * (low - block.first), 8 * (high - low + 2))
    edges = np.frombuffer(data, np.int64)
    return edges[rows - low], edges[rows - low + 1]


@dataclass(frozen=True, slots=True)
class Copy:
    """A row group in the spool; it can be read as long as this is held."""

    volume: Volume
    blocks: tuple[Block, ...]

    def lacks(self, rows: Rows) -> bool:
        """Whether any of some rows, counted in the row group, is one that the spool does not keep."""
        return any(len(block.lacking) and bool(np.isin(block.lacking, rows).any()) for block in self.blocks)


class Group:
    """A decoded row group in memory.

    Attributes:
        batches: Its rows.
        edges: The first row of each batch, and the row after the last.
        nbytes: Its bytes in memory.
    """

    def __init__(self, batches: Sequence[pa.RecordBatch]) -> None:
        self.batches = batches
        self.edges: Rows = np.cumsum([0, *(batch.num_rows for batch in batches)], dtype=np.int64)
        self.nbytes = sum(int(batch.nbytes) for batch in batches)


class Spool(Kept[Group, Copy]):
    """The decoded row groups of a process."""

    def add(self, key: GroupKey, batches: Iterable[pa.RecordBatch]) -> Copy | None:
        """Copy a row group, in one or more batches of `string` and `binary` columns; None where there is no room."""

        def write(volume: Volume) -> Copy:
            blocks: list[Block] = []
            for batch in batches:
                blocks.append(_write(volume, blocks[-1].stop if blocks else 0, batch))
            return Copy(volume, tuple(blocks))

        return self.copy(key, write)


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
                edges = [_edges(copy.volume, block, column, rows[low:high]) for column in columns]
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


def _lacking(batch: pa.RecordBatch) -> Rows:
    missing = np.zeros(batch.num_rows, np.bool_)
    for array in batch.columns:
        if array.null_count:
            missing |= array.is_null().to_numpy(zero_copy_only=False)
        if holds_text(array.type):
            missing[unsound(array)] = True
    return np.flatnonzero(missing)
