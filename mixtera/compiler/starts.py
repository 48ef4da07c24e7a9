"""Where records start, kept small: 32 bits per row, relative to the segment's first byte.

While rows arrive, in any order, the array holds the low bits of absolute offsets: differences inside a segment are
right whatever was cut off, as long as the segment spans less than 4 GiB. `finish` makes them relative.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from mixtera import mapped
from mixtera.compiler.blocks import blocks
from mixtera.compiler.files import FileIndex, Int64s
from mixtera.compiler.rows import Rows
from mixtera.compiler.scratch import scratch

Unsigned: TypeAlias = npt.NDArray[np.unsignedinteger[Any]]

_UNSET = np.iinfo(np.int64).max


class Starts:
    """The starts of all records of a plan.

    The range of a record ends where the next row's begins if that row is selected too; otherwise after the record and
    its line feed, where the format has lines, so that it never reaches into a record that was not asked for.
    """

    def __init__(self, index: FileIndex, wide: bool) -> None:
        """Make room for the starts, 32 bits each, or 64 where `wide`."""
        self._index, self._segments = index, index.segments
        self._values = scratch(index.segments.slots, np.uint64 if wide else np.uint32)
        self._offset = np.full(len(index.segments.file), _UNSET)
        self._end = np.zeros(len(index.segments.file), np.int64)
        self._wide = wide

    def add(self, rows: Rows, taken: npt.NDArray[np.bool_]) -> None:
        """Take rows in.

        Args:
            rows: Selected rows, ascending.
            taken: For each, whether the row behind it is selected as well, as far as is known by now.
        """
        segment, sizes = self._runs(rows.number)
        heads = np.cumsum(sizes) - sizes
        tails = heads + sizes - 1
        slot = rows.number + np.repeat(self._segments.slot[segment] - self._segments.first[segment], sizes)
        end = rows.offset + rows.length + self._line_ends(rows.number, segment, sizes)
        free = ~taken
        free[tails] |= rows.number[tails] + 1 == self._segments.first[segment + 1]
        self._values[slot[free] + 1] = end[free].astype(self._values.dtype)
        self._values[slot] = rows.offset.astype(self._values.dtype)
        self._offset[segment] = np.minimum(self._offset[segment], np.minimum.reduceat(rows.offset, heads))
        self._end[segment] = np.maximum(self._end[segment], np.maximum.reduceat(end, heads))

    def forget(self) -> None:
        """Let go of what was written so far."""
        mapped.forget(self._values)

    def _runs(self, number: Int64s) -> tuple[Int64s, Int64s]:
        """The segments that ascending rows lie in, and how many rows lie in each."""
        first = self._segments.first
        low, high = np.searchsorted(first, (number[0], number[-1]), "right") - 1
        sizes = np.diff(np.searchsorted(number, first[low : high + 2]))
        return np.flatnonzero(sizes) + low, sizes[sizes > 0]

    def _line_ends(self, number: Int64s, segment: Int64s, sizes: Int64s) -> Int64s:
        """One byte behind every record of a format of lines, but the last of a file, which may lack it."""
        file = self._segments.file[segment]
        last = np.repeat(self._index.first[file + 1] - 1, sizes)
        return np.where(number == last, 0, np.repeat(self._index.line_end[file], sizes))

    @property
    def overflow(self) -> bool:
        """Whether a segment spans more than 32 bits can say."""
        used = self._offset != _UNSET
        return not self._wide and bool((self._end[used] - self._offset[used] >= 1 << 32).any())

    def finish(self, labels: Unsigned, none: int) -> tuple[Int64s, Unsigned]:
        """Make the starts relative, and give rows that are not selected their predecessor's end.

        Args:
            labels: Label of every row.
            none: The label of rows that are not selected.

        Returns:
            First byte of each segment (−1 for formats without offsets), and the starts.
        """
        segments = self._segments
        offset = np.where(segments.slot < 0, -1, np.where(self._offset == _UNSET, 0, self._offset))
        for block in blocks(segments):
            inside = np.flatnonzero(segments.slot[block.segments] >= 0) + block.segments.start
            if len(inside):
                whole = slice(inside[0], inside[-1] + 1)
                selected = labels[segments.first[inside[0]] : segments.first[inside[-1] + 1]] != none
                has_starts = np.repeat(segments.slot[whole] >= 0, segments.rows[whole])
                self._finish_run(inside, selected[has_starts], offset)
                mapped.forget(self._values, labels)
        return offset, self._values

    def _finish_run(self, run: Int64s, selected: npt.NDArray[np.bool_], offset: Int64s) -> None:
        """Finish segments of formats with offsets, consecutive among these."""
        sizes = self._segments.rows[run]
        low = self._segments.slot[run[0]]
        heads = self._segments.slot[run] - low
        values = self._values[low : low + heads[-1] + sizes[-1] + 1]
        base = offset[run].astype(values.dtype)
        if not selected.all():
            _fill(values, heads, np.flatnonzero(selected) + np.repeat(np.arange(len(run)), sizes)[selected], base)
        values -= np.repeat(base, sizes + 1)


def _fill(values: Unsigned, heads: Int64s, taken: Int64s, base: Unsigned) -> None:
    """Carry values forward over places that nothing was written to.

    Args:
        values: Changed in place.
        heads: First place of each segment.
        taken: Places of selected rows; the place behind each was written as well.
        base: Value for the head of a segment whose first row is not selected.
    """
    written = np.zeros(len(values), bool)
    written[taken] = True
    written[taken + 1] = True
    empty = ~written[heads]
    values[heads[empty]] = base[empty]
    written[heads] = True
    values[:] = values[np.maximum.accumulate(np.where(written, np.arange(len(values)), 0))]
