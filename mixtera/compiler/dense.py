"""From the samples of a plan to their rows among all rows of its files."""

from __future__ import annotations

import numpy as np

from mixtera.arrow import to_numpy
from mixtera.artifact.model import PlanData
from mixtera.compiler.files import FileIndex, Int64s
from mixtera.mapped import Column
from mixtera.order.epochs import sums


class Dense:
    """From a sample of the selection to its row among all rows."""

    def __init__(self, segment: Int64s, segment_first: Int64s, rows: Column, entry_first: Int64s) -> None:
        """Prepare.

        Args:
            segment: [E] segment of each entry.
            segment_first: [S + 1] dense number of each segment's first row.
            rows: [samples] row of each sample inside its segment.
            entry_first: [E + 1] number of each entry's first sample.
        """
        self._base = segment_first[segment]
        self._rows, self._first = rows, entry_first

    def rows(self, first: int, last: int) -> Int64s:
        """Dense rows of the samples [first, last)."""
        low = int(np.searchsorted(self._first, first, side="right")) - 1
        high = int(np.searchsorted(self._first, last, side="left"))
        edges = np.clip(self._first[low : high + 1], first, last)
        found: Int64s = np.repeat(self._base[low:high], np.diff(edges)) + self._rows[first:last]
        return found


def dense_of(data: PlanData, index: FileIndex) -> Dense:
    """Where the samples of a plan lie among all rows."""
    segment, count = (to_numpy(data.entries.column(name)).astype(np.int64) for name in ("segment", "count"))
    return Dense(segment, index.segments.first, data.rows, sums(count))
