"""The files of a plan and their segments: a pure function of what the catalog knows of the files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mixtera.artifact.model import FILES, FRAMES, SEGMENT_ROWS
from mixtera.catalog.indexed import IndexedSource
from mixtera.errors import PlanError

Int64s = npt.NDArray[np.int64]
_COPIED = ("name", "url", "file_id", "rows", "size", "modified_ns", "etag", "content_bytes")


@dataclass(frozen=True)
class Segments:
    """Segments in plan order, and where their rows and record starts lie in the dense arrays of all rows.

    Attributes:
        file: [S] index of the segment's file.
        row: [S] first row in the file.
        rows: [S] rows.
        group: [S] segments of one group are read together.
        first: [S + 1] dense number of the segment's first row; rows of all files are numbered through.
        slot: [S] index of the segment's first value in `starts`; −1 where the format has no offsets.
        slots: Values in `starts`.
    """

    file: Int64s
    row: Int64s
    rows: Int64s
    group: Int64s
    first: Int64s
    slot: Int64s
    slots: int


@dataclass(frozen=True)
class FileIndex:
    """All files of a plan, numbered through in plan order: by source, then name.

    Attributes:
        table: Table of FILES.
        file_id: [F] the catalog's ids.
        rows: [F] rows.
        first: [F + 1] dense number of each file's first row.
        source_files: [sources + 1] files of source s are [source_files[s], source_files[s + 1]).
        segments: Their segments.
        line_end: [F] bytes behind each record of a file that are read along with it.
        frames: Table of FRAMES: where compressed files can be entered.
    """

    table: pa.Table
    file_id: Int64s
    rows: Int64s
    first: Int64s
    source_files: Int64s
    segments: Segments
    line_end: Int64s
    frames: pa.Table

    @property
    def total_rows(self) -> int:
        """Rows of all files."""
        return int(self.first[-1])


def file_index(indexed: Sequence[IndexedSource], offsets: Sequence[bool], line_ends: Sequence[int]) -> FileIndex:
    """Number the files of some sources and cut them into segments.

    Args:
        indexed: The sources, in the order of the spec.
        offsets: For each, whether its format has byte offsets.
        line_ends: For each, the bytes behind a record that are read along with it.

    Raises:
        PlanError: The catalog contradicts itself: an id is given twice, or row groups do not add up.
    """
    table = _files(indexed)
    file_id, rows = (table.column(name).to_numpy() for name in ("file_id", "rows"))
    _check_unique(table, file_id)
    sizes = [source.files.num_rows for source in indexed]
    groups = [value for source in indexed for value in source.files.column("group_rows").to_pylist()]
    segments = _segments(table, rows, groups, np.repeat(np.array(offsets, bool), sizes))
    line_end = np.repeat(np.array(line_ends, np.int64), sizes)
    source_files = _sums(np.array(sizes, np.int64))
    frames = _frames(indexed)
    return FileIndex(table, file_id, rows, _sums(rows), source_files, segments, line_end, frames)


def _frames(indexed: Sequence[IndexedSource]) -> pa.Table:
    """Where the files of some sources can be entered, those of a source by name."""
    found = [
        np.array(pairs or (), np.int64).reshape(-1, 2) for source in indexed for pairs in _frame_lists(source.files)
    ]
    file = np.repeat(np.arange(len(found)), [len(pairs) for pairs in found]).astype(np.int32)
    packed, plain = np.concatenate([*found, np.empty((0, 2), np.int64)]).T
    return pa.table({"file": file, "packed": packed, "plain": plain}, schema=FRAMES)


def _frame_lists(files: pa.Table) -> Sequence[Sequence[int] | None]:
    if files.column("frames").null_count == files.num_rows:
        return [None] * files.num_rows
    found: list[Sequence[int] | None] = files.sort_by("name").column("frames").to_pylist()
    return found


def _sums(values: Int64s) -> Int64s:
    return np.concatenate(([0], np.cumsum(values, dtype=np.int64)))


def _files(indexed: Sequence[IndexedSource]) -> pa.Table:
    """The files of all sources, by source, then name."""
    whole = pa.concat_tables([source.files.select(_COPIED) for source in indexed], promote_options="permissive")
    sizes = [source.files.num_rows for source in indexed]
    owner = pa.array(np.repeat(np.arange(len(indexed), dtype=np.int32), sizes))
    whole = whole.add_column(0, "source", owner).sort_by([("source", "ascending"), ("name", "ascending")])
    return whole.cast(FILES).combine_chunks()


def _check_unique(table: pa.Table, file_id: Int64s) -> None:
    values, first, counts = np.unique(file_id, return_index=True, return_counts=True)
    if (counts > 1).any():
        which = first[counts > 1][0]
        twins = np.flatnonzero(file_id == file_id[which])[:2].tolist()
        names = " and ".join(table.column("url")[twin].as_py() for twin in twins)
        raise PlanError(
            f"the catalog is inconsistent: {names} have the same file id {file_id[which]}; if they are one file, take "
            "it out of one of the sources; otherwise drop the sources from the catalog and index them again"
        )
    if len(values) and not 0 <= values[0] <= values[-1] < 1 << 32:
        raise PlanError(f"the catalog is inconsistent: file ids lie in {values[0]} … {values[-1]}, beyond 32 bits")


def _segments(
    table: pa.Table, rows: Int64s, groups: Sequence[Sequence[int] | None], offsets: npt.NDArray[np.bool_]
) -> Segments:
    """Cut files into units that segments do not cross (row groups, or the whole file), and units into segments."""
    counts = np.array([len(group or ()) for group in groups], np.int64)
    grouped = counts > 0
    unit_file = np.repeat(np.arange(len(rows)), np.maximum(counts, 1))
    unit_rows = rows[unit_file]
    unit_rows[grouped[unit_file]] = [size for group in groups for size in group or ()]
    _check_groups(table, rows, np.bincount(unit_file, unit_rows, len(rows)).astype(np.int64))
    unit_first = _sums(unit_rows)[:-1]

    pieces = -(-unit_rows // SEGMENT_ROWS)
    unit = np.repeat(np.arange(len(unit_rows)), pieces)
    skipped = (np.arange(len(unit)) - np.repeat(_sums(pieces)[:-1], pieces)) * SEGMENT_ROWS
    file = unit_file[unit]
    size = np.minimum(unit_rows[unit] - skipped, SEGMENT_ROWS)
    alone = ~grouped[file] | (skipped == 0)
    values = np.where(offsets[file], size + 1, 0)
    return Segments(
        file=file,
        row=unit_first[unit] + skipped - _sums(rows)[:-1][file],
        rows=size,
        group=np.cumsum(alone) - 1,
        first=_sums(size),
        slot=np.where(offsets[file], _sums(values)[:-1], -1),
        slots=int(values.sum()),
    )


def _check_groups(table: pa.Table, rows: Int64s, summed: Int64s) -> None:
    wrong = np.flatnonzero(summed != rows)
    if len(wrong):
        url = table.column("url")[int(wrong[0])].as_py()
        raise PlanError(
            f"the catalog is inconsistent: the row groups of {url} have {summed[wrong[0]]} rows, the file has "
            f"{rows[wrong[0]]}; drop its source from the catalog and index it again"
        )
