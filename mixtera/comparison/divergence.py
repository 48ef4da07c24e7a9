"""How far two plans deliver the same samples.

The order is a function of the position, and two orders may agree, differ and agree again: so positions are compared
from the first on, in blocks that grow, up to a bound. Plans of one digest need no look.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from mixtera.artifact.model import PlanData
from mixtera.comparison.files import AllFiles
from mixtera.comparison.identities import identities
from mixtera.comparison.model import Delivery, Divergence
from mixtera.plan import Plan

FIRST_BLOCK: Final = 1 << 12
LARGEST_BLOCK: Final = 1 << 18
"""Positions of a block: bounds the memory."""
ROW_PARTS: Final = 16
"""Parts of documents that a row of tokens has, about, where blocks of rows are sized."""
MOST_POSITIONS: Final = 1 << 26
"""Positions that are compared unless another bound is given."""


def divergence(
    before: Plan, after: Plan, files: AllFiles, *, batch: int | None = None, until: int | None = None
) -> Divergence:
    """Where two plans begin to deliver different samples.

    Args:
        before: A plan.
        after: Another.
        files: The files of both.
        batch: Samples of a step over all ranks, to tell the step.
        until: Look at positions before this one only; by default MOST_POSITIONS of them.
    """
    first = max(first_position(before.data), first_position(after.data))
    ends = [plan.end for plan in (before, after)]
    end = min((total for total in ends if total is not None), default=None)
    bound = first + MOST_POSITIONS if until is None else max(first, until)
    stop = bound if end is None else max(first, min(bound, end))
    if before.digest == after.digest:
        stop = stop if end is None or until is not None else max(first, end)
        return _result(before, after, first, stop, None, _first_changed(before, files, first, stop), batch, end)
    position, changed = _scanned(before, after, files, first, stop)
    if position is None and end is not None and stop >= end and ends[0] != ends[1]:
        position = stop  # one of them goes on
    return _result(before, after, first, stop, position, changed, batch, end)


def first_position(data: PlanData) -> int:
    """The position that a plan begins with: a plan that continues another begins where that was left."""
    return data.first


def _result(
    before: Plan,
    after: Plan,
    first: int,
    stop: int,
    position: int | None,
    changed: int | None,
    batch: int | None,
    end: int | None,
) -> Divergence:
    there = None if position is None else (_delivery(before, position), _delivery(after, position))
    return Divergence(
        first=first,
        stop=stop if position is None else position,
        complete=position is not None or (before.digest == after.digest if end is None else stop >= end),
        position=position,
        step=None if position is None or batch is None else position // batch,
        before=None if there is None else there[0],
        after=None if there is None else there[1],
        changed_file=changed,
    )


def _scanned(before: Plan, after: Plan, files: AllFiles, first: int, stop: int) -> tuple[int | None, int | None]:
    """The first position with different samples, and the first before it whose sample is of a changed file."""
    changed, block, largest = None, FIRST_BLOCK, _largest_block(before, after)
    while first < stop:
        last = min(first + block, stop)
        one = identities(before, files.before, files.changed, first, last)
        other = identities(after, files.after, files.changed, first, last)
        differs = np.flatnonzero(one.value != other.value)
        same = int(differs[0]) if len(differs) else last - first
        found = one.first_changed(same)
        changed = first + found if changed is None and found is not None else changed
        if len(differs):
            return first + same, changed
        first, block = last, min(2 * block, largest)
    return None, changed


def _first_changed(plan: Plan, files: AllFiles, first: int, stop: int) -> int | None:
    """The first position whose sample is of a changed file; the plan is the same on both sides."""
    block, largest = FIRST_BLOCK, _largest_block(plan)
    while first < stop and files.changed.any():
        last = min(first + block, stop)
        found = identities(plan, files.before, files.changed, first, last).first_changed(last - first)
        if found is not None:
            return first + found
        first, block = last, min(2 * block, largest)
    return None


def _largest_block(*plans: Plan) -> int:
    """Positions of a block at most: a row of tokens has parts of several documents."""
    return LARGEST_BLOCK // ROW_PARTS if any(plan.data.packs for plan in plans) else LARGEST_BLOCK


def _delivery(plan: Plan, position: int) -> Delivery | None:
    rows = plan.samples(position, position + 1).to_pylist()
    if not rows:
        return None
    row = rows[0]
    sample, more = f"{row['source']}/{row['file']}#{row['row']}", {}
    if plan.data.packs and row["last_token"]:
        more = {name: row[name] for name in ("first_token", "last_token")} | {"documents": len(rows)}
    return Delivery(sample, row["component"], **more)
