"""What became of the samples: the components of every row on both sides, counted in pairs.

Worked on in blocks of rows: the memory does not grow with the plans.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

import numpy as np

from mixtera.artifact.model import PlanData
from mixtera.comparison.files import AllFiles
from mixtera.comparison.model import Flow, Samples
from mixtera.order.seats import Int64s

BLOCK_ROWS: Final = 1 << 19
MOST_SEGMENT_ROWS: Final = 1 << 16
_FEW_PAIRS: Final = 1 << 22
"""Pairs of components that are counted in a table; more are sorted."""
NONE: Final = -1


class _Labels:
    """The component of each row, for one plan; rows are numbered over all files of both."""

    def __init__(self, data: PlanData, files: AllFiles, which: Int64s) -> None:
        segment = data.entries.column("segment").to_numpy().astype(np.int64)
        file, row = (data.segments.column(name).to_numpy().astype(np.int64) for name in ("file", "row"))
        count = data.entries.column("count").to_numpy().astype(np.int64)
        start = (files.first[which[file]] + row)[segment]
        order = np.argsort(start, kind="stable")
        component = np.repeat(np.arange(len(data.components)), np.diff(data.component_entries))
        self._rows, self._excluded = data.rows, data.variation.excluded
        self._start, self._count, self._component = start[order], count[order], component[order]
        self._taken = (np.cumsum(count) - count)[order]

    def of(self, start: int, stop: int) -> Int64s:
        """[stop − start] component of each row; NONE where no component has it."""
        labels = np.full(stop - start, NONE, np.int64)
        low, high = np.searchsorted(self._start, [start - MOST_SEGMENT_ROWS + 1, stop])
        if low == high:
            return labels
        count = self._count[low:high]
        inside = np.arange(int(count.sum())) - np.repeat(np.cumsum(count) - count, count)
        number = np.repeat(self._taken[low:high], count) + inside
        row = np.repeat(self._start[low:high], count) + self._rows[number]
        here = (row >= start) & (row < stop)
        if self._excluded is not None:
            here &= ~self._excluded.holds(number)
        labels[row[here] - start] = np.repeat(self._component[low:high], count)[here]
        return labels


def samples(before: PlanData, after: PlanData, files: AllFiles) -> Samples:
    """What became of the samples from one plan to another.

    Args:
        before: A plan.
        after: Another.
        files: The files of both.
    """
    pairs, in_changed = _pairs(before, after, files)
    names = [[component.name for component in data.components] for data in (before, after)]
    renamed = _renamed(before, after, pairs)
    return _summed(names[0], names[1], pairs, renamed, in_changed)


def _pairs(before: PlanData, after: PlanData, files: AllFiles) -> tuple[Counter[tuple[int, int]], int]:
    """How many rows have each pair of components; and how many, chosen on both sides, lie in changed files."""
    sides = _Labels(before, files, files.before), _Labels(after, files, files.after)
    found: Counter[tuple[int, int]] = Counter()
    in_changed, width = 0, len(after.components) + 1
    total = int(files.first[-1])
    for start in range(0, total, BLOCK_ROWS):
        stop = min(start + BLOCK_ROWS, total)
        one, other = (side.of(start, stop) for side in sides)
        pair = (one + 1) * width + (other + 1)
        for code, count in zip(*_counted(pair, (len(before.components) + 1) * width), strict=True):
            found[code // width - 1, code % width - 1] += count
        if files.changed.any():
            both = (one != NONE) & (other != NONE)
            in_changed += int(np.count_nonzero(both & files.changed_rows(start, stop)))
    del found[NONE, NONE]
    return found, in_changed


def _counted(codes: Int64s, size: int) -> tuple[list[int], list[int]]:
    """The distinct codes, and how often each occurs."""
    if size <= _FEW_PAIRS:
        counts = np.bincount(codes, minlength=size)
        present = np.flatnonzero(counts)
        return present.tolist(), counts[present].tolist()
    present, counts = np.unique(codes, return_counts=True)
    return present.tolist(), counts.tolist()


def _renamed(before: PlanData, after: PlanData, pairs: Counter[tuple[int, int]]) -> tuple[tuple[str, str], ...]:
    """Components that are gone, and those with another name that have the very same samples."""
    old, new = ({component.name for component in data.components} for data in (before, after))
    return tuple(
        (before.components[one].name, after.components[other].name)
        for (one, other), count in sorted(pairs.items())
        if NONE not in (one, other)
        and before.components[one].name not in new
        and after.components[other].name not in old
        and count == before.components[one].samples == after.components[other].samples
    )


def _summed(
    old: list[str],
    new: list[str],
    pairs: Counter[tuple[int, int]],
    renamed: tuple[tuple[str, str], ...],
    in_changed: int,
) -> Samples:
    now = dict(renamed)
    names = [now.get(name, name) for name in old]
    found = {name: [0, 0, 0, 0, 0] for name in dict.fromkeys([*names, *new])}
    kept, gained, lost, moved_in, moved_out = range(5)
    for (one, other), count in pairs.items():
        if one == NONE:
            found[new[other]][gained] += count
        elif other == NONE:
            found[names[one]][lost] += count
        elif names[one] == new[other]:
            found[new[other]][kept] += count
        else:
            found[names[one]][moved_out] += count
            found[new[other]][moved_in] += count
    flows = tuple(Flow(name, *counts) for name, counts in found.items())
    return Samples(
        flows=flows,
        renamed=renamed,
        kept=sum(flow.kept for flow in flows),
        moved=sum(flow.moved_in for flow in flows),
        gained=sum(flow.gained for flow in flows),
        lost=sum(flow.lost for flow in flows),
        in_changed_files=in_changed,
    )
