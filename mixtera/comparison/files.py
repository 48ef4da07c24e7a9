"""The files of two plans as one: which are the same, and where their rows lie in one row of all rows."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mixtera.artifact.model import PlanData
from mixtera.order.seats import Int64s


@dataclass(frozen=True)
class AllFiles:
    """Files of either side, by source and name.

    Attributes:
        first: [F + 1] dense number of each file's first row; a file has as many rows as on the side with more.
        before: [files of the first plan] which of them each file is.
        after: Likewise.
        changed: [F] whether the content is another.
    """

    first: Int64s
    before: Int64s
    after: Int64s
    changed: npt.NDArray[np.bool_]

    def changed_rows(self, start: int, stop: int) -> npt.NDArray[np.bool_]:
        """[stop − start] whether each row of a range lies in a changed file."""
        low, high = np.searchsorted(self.first, [start, stop - 1], side="right") - 1
        bounds = np.clip(self.first[low : high + 2], start, stop)
        found: npt.NDArray[np.bool_] = np.repeat(self.changed[low : high + 1], np.diff(bounds))
        return found


def all_files(before: PlanData, after: PlanData, changed: Collection[tuple[str, str]]) -> AllFiles:
    """Number the files of two plans together.

    Args:
        before: A plan.
        after: Another.
        changed: Source and name of the files whose content is another.
    """
    names = [_names(data) for data in (before, after)]
    numbers = {name: number for number, name in enumerate(dict.fromkeys([*names[0], *names[1]]))}
    mine = [np.array([numbers[name] for name in side], np.int64) for side in names]
    rows = np.zeros(len(numbers), np.int64)
    for data, which in zip((before, after), mine, strict=True):
        np.maximum.at(rows, which, data.files.column("rows").to_numpy())
    flags = np.zeros(len(numbers), bool)
    flags[[numbers[name] for name in changed if name in numbers]] = True
    return AllFiles(np.concatenate(([0], np.cumsum(rows))), mine[0], mine[1], flags)


def _names(data: PlanData) -> list[tuple[str, str]]:
    sources = [source.name for source in data.sources]
    columns = (data.files.column(name).to_pylist() for name in ("source", "name"))
    return [(sources[number], name) for number, name in zip(*columns, strict=True)]
