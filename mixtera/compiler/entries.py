"""Labels → entries and rows: for every component its segments, and the rows of it inside each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mixtera.artifact.model import ENTRIES
from mixtera.compiler.blocks import Block, blocks
from mixtera.compiler.files import Int64s, Segments
from mixtera.compiler.scratch import scratch
from mixtera.compiler.starts import Unsigned
from mixtera.mapped import forget


@dataclass(frozen=True)
class Selection:
    """Which rows belong to which component, as a plan holds it; see `mixtera.artifact.model.PlanData`."""

    entries: pa.Table
    component_entries: Int64s
    rows: npt.NDArray[np.uint16]


@dataclass(frozen=True)
class _Sorted:
    """The selected rows of a block, by component, then segment, then row."""

    component: Unsigned
    segment: Int64s
    row: npt.NDArray[np.uint16]


def select(segments: Segments, codes: Unsigned, none: int, members: Sequence[tuple[int, int]]) -> Selection:
    """Group the selected rows by component and segment, block by block.

    Args:
        segments: The segments.
        codes: [rows] code of each row.
        none: The code of rows that are not selected.
        members: Code and number of samples of every component.
    """
    lookup = _lookup(none, [code for code, _ in members])
    ends = np.cumsum([0, *(samples for _, samples in members)])
    cursor = ends[:-1].copy()
    rows = scratch(int(ends[-1]), np.uint16)
    found: list[tuple[Unsigned, Int64s, Int64s]] = []
    for block in blocks(segments):
        part = _sorted(segments, block, lookup[codes[block.rows]], len(members))
        found.append(_entries(part))
        _copy(part, rows, cursor)
        forget(rows, codes)
    component, segment, count = (np.concatenate(columns) for columns in zip(*found, strict=True))
    order = np.argsort(component, kind="stable")
    entries = pa.table({"segment": segment[order], "count": count[order]}).cast(ENTRIES)
    sizes = np.bincount(component, minlength=len(members))
    return Selection(entries, np.concatenate(([0], np.cumsum(sizes, dtype=np.int64))), rows)


def _lookup(none: int, members: Sequence[int]) -> Unsigned:
    """Code → number of the component; one more than the last for rows that belong to none."""
    lookup: Unsigned = np.full(none + 1, len(members), np.uint8 if len(members) < 255 else np.uint16)
    lookup[members] = np.arange(len(members))
    return lookup


def _sorted(segments: Segments, block: Block, component: Unsigned, none: int) -> _Sorted:
    sizes = segments.rows[block.segments]
    row = np.arange(len(component), dtype=np.int32)
    row -= np.repeat((segments.first[block.segments] - block.rows.start).astype(np.int32), sizes)
    segment = np.repeat(np.arange(block.segments.start, block.segments.stop, dtype=np.int32), sizes)
    order = np.argsort(component, kind="stable")
    component = component[order]
    order = order[: np.searchsorted(component, none)]
    return _Sorted(component[: len(order)], segment[order], row.astype(np.uint16)[order])


def _entries(part: _Sorted) -> tuple[Unsigned, Int64s, Int64s]:
    """Component, segment and number of rows of every pair that has rows."""
    if not len(part.row):
        return part.component, part.segment, np.empty(0, np.int64)
    changed = (part.component[1:] != part.component[:-1]) | (part.segment[1:] != part.segment[:-1])
    heads = np.concatenate(([0], np.flatnonzero(changed) + 1))
    return part.component[heads], part.segment[heads], np.diff(heads, append=len(part.row))


def _copy(part: _Sorted, rows: npt.NDArray[np.uint16], cursor: Int64s) -> None:
    """Append the block's rows of each component to what earlier blocks had of it."""
    sizes = np.bincount(part.component, minlength=len(cursor))
    stops = np.cumsum(sizes)
    for component in np.flatnonzero(sizes):
        stop, size, place = stops[component], sizes[component], cursor[component]
        rows[place : place + size] = part.row[stop - size : stop]
    cursor += sizes
