"""A plan that takes over from another one in mid-run: what goes on, what begins, and what is left out.

A component whose samples and order are what they were goes on exactly where it stood. Any other component leaves out,
in its first epoch, what the other plan has delivered in its current one, under whatever name; from the next epoch on it
delivers everything. Positions go on from where the other plan stopped.

Where documents are cut into sequences of tokens, what is left out are documents: those of which a part was delivered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from mixtera.arrow import to_numpy
from mixtera.artifact.model import ROW_BITS, Beginning, PlanData
from mixtera.artifact.pointers import PointerMap
from mixtera.cached import cached_property
from mixtera.compiler.cursors import BLOCK, Cursor
from mixtera.compiler.dense import dense_of
from mixtera.compiler.files import FileIndex, Int64s
from mixtera.compiler.matching import rows_of_ids, same_files, same_segments
from mixtera.compiler.scratch import scratch
from mixtera.compiler.stop import Stop
from mixtera.compiler.taken import Used, check_kinds, same_tokens
from mixtera.errors import PlanError
from mixtera.order.leftout import LeftOut
from mixtera.order.places import Start

Bools: TypeAlias = npt.NDArray[np.bool_]
Fate: TypeAlias = Literal["goes on", "changed", "new"]


@dataclass(frozen=True, slots=True)
class Taken:
    """What becomes of a component of the new plan.

    Attributes:
        name: Its full name.
        fate: `goes on` where it stood; `changed` or `new`: without what was delivered.
        delivered: Samples of it that the other plan has delivered, or a part of them, in the epoch that it was in.
        consumed: Places of it that are used up, earlier epochs among them.
    """

    name: str
    fate: Fate
    delivered: int
    consumed: int


@dataclass(frozen=True)
class Takeover:
    """A plan that takes over: what differs from one that begins at the beginning.

    Attributes:
        data: The plan; its components' places and its timeline are still those of a beginning.
        taken: What becomes of its components, in their order.
        gone: Components of the other plan that the new one does not have.
    """

    data: PlanData
    taken: tuple[Taken, ...]
    gone: tuple[str, ...]


def take_over(stop: Stop, data: PlanData, index: FileIndex, limits: Sequence[int | None]) -> Takeover:
    """Let a plan take over from another one.

    Args:
        stop: The other plan, and the position.
        data: The new plan, as if it began at the beginning.
        index: Its files.
        limits: [K] tokens that each component's places are cut from, where they are sequences; None without end.

    Raises:
        PlanError: No plan of its kind can take over from one of the other's.
    """
    check_kinds(stop.plan.data, data)
    return _TakingOver(stop, data, index, limits).result()


class _TakingOver:
    def __init__(self, stop: Stop, data: PlanData, index: FileIndex, limits: Sequence[int | None]) -> None:
        self._stop, self._old, self._data, self._index, self._limits = stop, stop.plan.data, data, index, limits
        self._files = same_files(self._old, data)
        self._segments = same_segments(self._old, data, self._files)
        self._new = PointerMap(data)
        names = [component.name for component in self._old.components]
        self._before = [names.index(c.name) if c.name in names else None for c in data.components]
        self._goes_on = [
            before is not None and self._is_unchanged(before, number) for number, before in enumerate(self._before)
        ]

    def result(self) -> Takeover:
        left_out = self._left_out()
        taken = tuple(self._taken(number, left_out) for number in range(len(self._data.components)))
        components = tuple(
            replace(component, consumed=one.consumed)
            for component, one in zip(self._data.components, taken, strict=True)
        )
        counts = to_numpy(self._data.entries.column("count")).astype(np.int64)
        variation = replace(
            self._data.variation,
            delivered=None if left_out is None else LeftOut.of(left_out, counts),
            start=self._start(),
            component_keys=self._component_keys(),
            segment_keys=self._keys(_segment_keys(self._old), self._segments, np.arange(len(self._segments))),
            group_keys=self._group_keys(),
        )
        begins = Beginning(self._stop.position, self._stop.plan.digest, self._stop.plan.name)
        names = {component.name for component in self._data.components}
        gone = tuple(component.name for component in self._old.components if component.name not in names)
        data = replace(
            self._data, components=components, variation=variation, begins=begins, remembered=self._remembered()
        )
        return Takeover(data, taken, gone)

    def _cursor(self, number: int) -> Cursor | None:
        before = self._before[number]
        return None if before is None else self._stop.cursors[before]

    def _first_epoch(self, number: int) -> int:
        cursor = self._cursor(number)
        if cursor is None:
            return 0
        return cursor.first_epoch if self._goes_on[number] else cursor.epoch

    def _taken(self, number: int, left_out: Bools | None) -> Taken:
        name, cursor = self._data.components[number].name, self._cursor(number)
        if cursor is not None and self._goes_on[number]:
            consumed = self._old.components[cursor.component].consumed + cursor.given
            used = self._consumed_tokens(number, left_out, cursor.cursor - len(cursor.head))
            delivered = sum(len(entry) for entry, _ in cursor.delivered())
            return Taken(name, "goes on", delivered, consumed if used is None else used)
        gone = 0 if left_out is None else int((left_out & ~self._excluded)[self._numbers(number)].sum())
        consumed = self._first_epoch(number) * self._data.components[number].samples + gone
        used = self._consumed_tokens(number, left_out, 0)
        return Taken(name, "new" if cursor is None else "changed", gone, consumed if used is None else used)

    def _consumed_tokens(self, number: int, left_out: Bools | None, given: int) -> int | None:
        """Sequences of a component that are used up; None where places are samples."""
        tokens = self._data.tokens
        if tokens is None or not tokens.packs:
            return None
        mine = self._numbers(number)
        counts = tokens.counts[mine]
        gone = 0 if left_out is None else int(counts[left_out[mine]].sum(dtype=np.int64))
        used = Used(self._first_epoch(number), int(counts.sum(dtype=np.int64)), gone, given)
        parameters, places = tokens.parameters, self._data.components[number].places
        return used.consumed(parameters.stride, parameters.overlap, places, self._limits[number])

    def _numbers(self, number: int) -> slice:
        """The samples of a component, excluded ones too."""
        edges = self._new.permutation.sample_first[self._data.component_entries[number : number + 2]]
        return slice(int(edges[0]), int(edges[1]))

    def _old_numbers(self, number: int) -> slice:
        """The same for the component of the other plan that has its name."""
        before = self._before[number]
        assert before is not None
        return self._old_numbers_of(before)

    def _old_numbers_of(self, before: int) -> slice:
        edges = self._stop.map.permutation.sample_first[self._old.component_entries[before : before + 2]]
        return slice(int(edges[0]), int(edges[1]))

    @cached_property
    def _excluded(self) -> Bools:
        """[samples] whether each is excluded in all epochs."""
        return _unpacked(self._data.variation.excluded, len(self._data.rows))

    def _left_out(self) -> Bools | None:
        """[samples] what the first epoch of each component leaves out; None where it is what all of them do."""
        result = self._excluded.copy()
        changed = [number for number, goes_on in enumerate(self._goes_on) if not goes_on]
        if changed:
            delivered, dense = self._delivered[0], dense_of(self._data, self._index)
            for number in changed:
                mine = self._numbers(number)
                for low in range(mine.start, mine.stop, BLOCK):
                    high = min(low + BLOCK, mine.stop)
                    result[low:high] |= delivered[dense.rows(low, high)]
        before = self._old.variation.delivered
        for number, goes_on in enumerate(self._goes_on):
            if goes_on and before is not None:
                theirs = self._old_numbers(number)
                result[self._numbers(number)] = before.holds(np.arange(theirs.start, theirs.stop))
        return None if (result == self._excluded).all() else result

    @cached_property
    def _delivered(self) -> tuple[Bools, Int64s]:
        """What was delivered in the current epoch: [rows of the new plan's files] whether each was; and sample ids of
        files that the new plan does not have.
        """
        result: Bools = scratch(self._index.total_rows, np.bool_)
        old, first = self._old, self._index.first
        segment_file = to_numpy(old.segments.column("file")).astype(np.int64)
        segment_row = to_numpy(old.segments.column("row")).astype(np.int64)
        entry_segment = to_numpy(old.entries.column("segment")).astype(np.int64)
        file_id = to_numpy(old.files.column("file_id")).astype(np.int64)
        sample_first = self._stop.map.permutation.sample_first
        known, elsewhere = rows_of_ids(old.remembered, self._index)
        result[known] = True
        others = [elsewhere]
        for cursor in self._stop.cursors:
            for entry, rank in cursor.delivered():
                segment = entry_segment[entry]
                row = segment_row[segment] + old.rows[sample_first[entry] + rank]
                file = self._files[segment_file[segment]]
                here = file >= 0
                result[first[file[here]] + row[here]] = True
                others.append(file_id[segment_file[segment[~here]]] << ROW_BITS | row[~here])
        return result, np.concatenate(others)

    def _remembered(self) -> Int64s:
        """Ids of what was delivered and belongs to no component any more: a later plan may take it in again."""
        old = {before for before, goes_on in zip(self._before, self._goes_on, strict=True) if goes_on}
        if len(old) == len(self._old.components) and not len(self._old.remembered):
            return np.empty(0, np.int64)
        delivered, elsewhere = self._delivered
        mine: Bools = scratch(self._index.total_rows, np.bool_)
        dense, total = dense_of(self._data, self._index), len(self._data.rows)
        for low in range(0, total, BLOCK):
            mine[dense.rows(low, min(low + BLOCK, total))] = True
        row = np.flatnonzero(delivered & ~mine)
        file = np.searchsorted(self._index.first, row, side="right") - 1
        return np.unique(
            np.concatenate([self._index.file_id[file] << ROW_BITS | row - self._index.first[file], elsewhere])
        )

    def _start(self) -> Start:
        cursors = [self._cursor(number) if self._goes_on[number] else None for number in range(len(self._goes_on))]
        heads = [np.empty(0, np.int64) if cursor is None else cursor.head for cursor in cursors]
        return Start(
            np.array([self._first_epoch(number) for number in range(len(cursors))], np.int64),
            np.array([0 if cursor is None else cursor.cursor for cursor in cursors], np.int64),
            np.concatenate([np.empty(0, np.int64), *heads]),
            np.array([len(head) for head in heads], np.int64),
        )

    def _component_keys(self) -> Int64s:
        old = self._old.variation.component_keys
        old = np.arange(len(self._old.components)) if old is None else old
        same = np.array([-1 if before is None else before for before in self._before], np.int64)
        return self._keys(old, same, np.arange(len(same)))

    def _group_keys(self) -> Int64s:
        old = self._old.variation.group_keys
        old = to_numpy(self._old.segments.column("group")).astype(np.int64) if old is None else old
        return self._keys(old, self._segments, to_numpy(self._data.segments.column("group")).astype(np.int64))

    def _keys(self, old: Int64s, same: Int64s, new: Int64s) -> Int64s:
        """The keys of what was there before, and keys that nothing has had for the rest."""
        fresh = (int(old.max()) + 1 if len(old) else 0) + new
        return np.where(same >= 0, old[np.maximum(same, 0)], fresh) if len(old) else fresh

    def _is_unchanged(self, before: int, number: int) -> bool:
        """Whether a component has the samples that it had, in the order that they had."""
        return (
            self._same_order(before, number)
            and self._same_entries(before, number)
            and self._same_samples(before, number)
            and self._same_sequence(before, number)
            and same_tokens(self._old.tokens, self._data.tokens, self._old_numbers_of(before), self._numbers(number))
        )

    def _same_order(self, before: int, number: int) -> bool:
        one, other = self._old.order, self._data.order
        if (one.seed, one.shuffle, one.window_segments) != (other.seed, other.shuffle, other.window_segments):
            return False
        return (before in self._old.variation.in_file_order) == (number in self._data.variation.in_file_order)

    def _same_entries(self, before: int, number: int) -> bool:
        old, new = self._old, self._data
        mine, theirs = _entries(new, number), _entries(old, before)
        segments, counts = (to_numpy(new.entries.column(name))[mine] for name in ("segment", "count"))
        old_segments, old_counts = (to_numpy(old.entries.column(name))[theirs] for name in ("segment", "count"))
        return np.array_equal(self._segments[segments], old_segments) and np.array_equal(counts, old_counts)

    def _same_samples(self, before: int, number: int) -> bool:
        rows, old_rows = self._numbers(number), self._old_numbers(number)
        excluded = self._old.variation.excluded
        numbers = np.arange(old_rows.start, old_rows.stop)
        gone = np.zeros(len(numbers), np.bool_) if excluded is None else excluded.holds(numbers)
        return np.array_equal(self._data.rows[rows], self._old.rows[old_rows]) and np.array_equal(
            self._excluded[rows], gone
        )

    def _same_sequence(self, before: int, number: int) -> bool:
        mine, theirs = self._data.variation.sequences.get(number), self._old.variation.sequences.get(before)
        if mine is None or theirs is None:
            return mine is None and theirs is None
        return np.array_equal(mine, theirs)


def _entries(data: PlanData, number: int) -> slice:
    first, last = data.component_entries[number : number + 2].tolist()
    return slice(first, last)


def _unpacked(left_out: LeftOut | None, samples: int) -> Bools:
    if left_out is None:
        return np.zeros(samples, np.bool_)
    return np.unpackbits(left_out.bits[:], count=samples, bitorder="little").view(np.bool_)


def _segment_keys(data: PlanData) -> Int64s:
    keys = data.variation.segment_keys
    return np.arange(data.segments.num_rows) if keys is None else keys


def check_left(stop: Stop, total: int | None) -> None:
    """Refuse a plan that has nothing to deliver.

    Raises:
        PlanError: It ends where it takes over.
    """
    if total == 0:
        raise PlanError(
            f"the new plan ends where it takes over from {stop.plan.name!r}, at position {stop.position:,}: a "
            "component has nothing left there, or the budget ends there; give it `on_exhaust: repeat` or "
            "`redistribute`, more data, or a larger budget"
        )
