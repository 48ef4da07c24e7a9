"""Files, segments and samples that two plans have in common."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mixtera.arrow import to_numpy
from mixtera.artifact.model import ROW_BITS, PlanData
from mixtera.compiler.files import FileIndex, Int64s


def same_files(old: PlanData, new: PlanData) -> Int64s:
    """[files of the old plan] the new plan's number of each file that is what it was; −1 for the others."""
    known = {file: number for number, file in enumerate(_identities(new))}
    return np.array([known.get(file, -1) for file in _identities(old)], np.int64)


def _identities(data: PlanData) -> Sequence[tuple[object, ...]]:
    names = [source.name for source in data.sources]
    columns = (data.files.column(name).to_pylist() for name in ("source", "name", "rows", "size", "etag"))
    return [(names[source], *rest) for source, *rest in zip(*columns, strict=True)]


def same_segments(old: PlanData, new: PlanData, files: Int64s) -> Int64s:
    """[segments of the new plan] the old plan's number of each segment; −1 for those of files that it lacks.

    A file of the same rows and groups is cut in the same places.
    """
    columns = ("file", "row", "rows")
    old_file, old_row, old_rows = (to_numpy(old.segments.column(name)).astype(np.int64) for name in columns)
    new_file, new_row, new_rows = (to_numpy(new.segments.column(name)).astype(np.int64) for name in columns)
    back = np.full(new.files.num_rows, -1, np.int64)
    known = np.flatnonzero(files >= 0)
    back[files[known]] = known
    result = np.full(len(new_file), -1, np.int64)
    firsts = np.searchsorted(old_file, np.arange(old.files.num_rows + 1))
    starts = np.searchsorted(new_file, np.arange(new.files.num_rows + 1))
    for file in np.flatnonzero(back >= 0).tolist():
        mine, theirs = slice(starts[file], starts[file + 1]), slice(firsts[back[file]], firsts[back[file] + 1])
        same = np.array_equal(new_row[mine], old_row[theirs]) and np.array_equal(new_rows[mine], old_rows[theirs])
        if same:
            result[mine] = np.arange(theirs.start, theirs.stop)
    return result


def rows_of_ids(ids: Int64s, index: FileIndex) -> tuple[Int64s, Int64s]:
    """Sample ids as rows among all rows, ascending and each once; and the ids of files that are not there."""
    if not len(ids) or not len(index.file_id):
        return np.empty(0, np.int64), ids
    order = np.argsort(index.file_id)
    known = index.file_id[order]
    at = np.minimum(np.searchsorted(known, ids >> ROW_BITS), len(known) - 1)
    file, row = order[at], ids & ((1 << ROW_BITS) - 1)
    mine = (known[at] == ids >> ROW_BITS) & (row < index.rows[file])
    return np.unique(index.first[file[mine]] + row[mine]), ids[~mine]
