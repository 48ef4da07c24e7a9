"""Pointers: the order applied to the plan's tables, position → (file, row, bytes)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import count

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mixtera.arrow import to_numpy
from mixtera.artifact.model import ROW_BITS, PlanData
from mixtera.artifact.pages import PagedArray
from mixtera.artifact.replaced import Replaced
from mixtera.cached import cached_property
from mixtera.errors import PlanError
from mixtera.order.epochs import Entries
from mixtera.order.lanes import Chunk, Lanes
from mixtera.order.permute import Permutation
from mixtera.order.seats import Int64s


@dataclass(frozen=True)
class Pointers:
    """Where some samples lie; all arrays are [n] int64, in the order asked.

    Attributes:
        position: Position in the global order.
        component: Index into the plan's components.
        file: Index into the plan's files.
        row: Row in the file.
        start: First byte of the record, −1 for formats without offsets.
        stop: Byte after the record and its line end, −1 likewise.
        sample: The sample's id.
    """

    position: Int64s
    component: Int64s
    file: Int64s
    row: Int64s
    start: Int64s
    stop: Int64s
    sample: Int64s


@dataclass(frozen=True)
class Standing:
    """Where a sample stands in the component that has it.

    Attributes:
        component: Index into the plan's components.
        excluded: Whether an exclusion leaves it out.
        earlier: Whether the plan that this one continues has delivered it in the component's first epoch.
        place: The first place that it has, counted as the plan gives places out; None for none.
    """

    component: int
    excluded: bool
    earlier: bool
    place: int | None


class PointerMap:
    """Positions → pointers, for one plan. Cheap to make; caches a few rounds and epochs."""

    def __init__(self, data: PlanData) -> None:
        self.data = data
        self.total = data.timeline.total
        order = data.order
        self.lanes = Lanes(data.timeline, order.chunk_size, order.lanes, order.granule)
        self._found = lru_cache(maxsize=self.lanes.kept_chunks)(self._chunk)
        shuffled = order.shuffle == "global"
        self.permutation = Permutation(entries_of(data), order.seed, shuffled, order.window_segments, data.variation)
        self._entry_row = self.permutation.sample_first
        self._segment_file = _column(data.segments, "file")
        self._segment_row = _column(data.segments, "row")
        self._segment_offset = _column(data.segments, "offset")
        self._segment_start = _column(data.segments, "start")
        self._file_id = _column(data.files, "file_id")
        self._has_offsets = self._segment_start >= 0
        self._is_paged = isinstance(data.rows, PagedArray) or isinstance(data.starts, PagedArray)

    def range(self, start: int, stop: int) -> Pointers:
        """Pointers of the positions [start, stop), cut at the end of the plan."""
        chunk = self.lanes.range(start, stop)
        return self._delivered(self._pointers(chunk, *self.permutation.find(chunk.component, chunk.place)))

    def components(self, start: int, stop: int) -> Int64s:
        """[n] the component of each of the positions [start, stop), cut at the end of the plan."""
        return self.lanes.range(start, stop).component

    def lane(self, round_: int, lane: int, first_granule: int, last_granule: int) -> Pointers:
        """Pointers of granules [first, last) of the chunk (round, lane), cut at the end of the plan."""
        first, last = first_granule * self.data.order.granule, last_granule * self.data.order.granule
        entry, rank = (found[first:last].astype(np.int64) for found in self._found(round_, lane))
        return self._delivered(self._pointers(self.lanes.chunk(round_, lane).part(first, last), entry, rank))

    def documents(self, position: Int64s, component: Int64s, entry: Int64s, rank: Int64s) -> Pointers:
        """Pointers of samples that were found already; all arguments are [n] int64."""
        return self._pointers(Chunk(position, component, position), entry, rank)

    def expect(self, entry: Int64s, rank: Int64s) -> None:
        """Fetch what the pointers of some samples need, all of it together, where the plan's arrays come in pages."""
        if self._is_paged:
            self._bytes(self.permutation.entries.segment[entry], self._inside(entry, rank))

    def of(self, samples: Sequence[int]) -> Pointers:
        """Pointers of samples, by their ids; all at position 0.

        Raises:
            PlanError: The plan has not chosen one of them.
        """
        found = [self.entry_of(sample) for sample in samples]
        if None in found:
            raise PlanError(f"plan {self.data.name!r} has not chosen the sample {samples[found.index(None)]}")
        component, entry, rank = np.array(found, np.int64).reshape(-1, 3).T.copy()
        return self.documents(np.zeros(len(found), np.int64), component, entry, rank)

    @cached_property
    def _replaced(self) -> Replaced:
        return Replaced(self)

    def _delivered(self, found: Pointers) -> Pointers:
        """The pointers, but for positions at which a job has delivered something else."""
        return self._replaced.put(found) if self.data.skips else found

    def _chunk(self, round_: int, lane: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
        """Entry and rank of each sample of a chunk: found for all at once, since each window is permuted whole."""
        chunk = self.lanes.chunk(round_, lane)
        entry, rank = self.permutation.find(chunk.component, chunk.place)
        self.expect(entry, rank)
        return entry.astype(np.int32), rank.astype(np.int32)

    def locate(self, sample: int, stop: int | None = None) -> list[int]:
        """The positions before `stop` (or the end) at which a sample is delivered, ascending.

        Raises:
            ValueError: The plan has no end and `stop` is None.
        """
        limit = self.total if stop is None else stop if self.total is None else min(stop, self.total)
        if limit is None:
            raise ValueError("the plan has no end: give `stop`")
        found = self.entry_of(sample)
        if found is None:
            return []
        positions = sorted(p for p in self._deliveries(*found, limit) if p < limit)
        return self._replaced.located(sample, positions, limit) if self.data.skips else positions

    def standing(self, sample: int) -> Standing | None:
        """Where a sample stands, delivered or not; None if the plan has not chosen it. Positions must be samples."""
        found = self.entry_of(sample)
        if found is None:
            return None
        component, entry, rank = found
        if self.permutation.is_excluded(entry, rank):
            return Standing(component, excluded=True, earlier=False, place=None)
        first = self.first_epoch(component)
        place = self.permutation.place_of(first, component, entry, rank)
        if place is not None:
            return Standing(component, excluded=False, earlier=False, place=place)
        again = self.permutation.place_of(first + 1, component, entry, rank)
        return Standing(component, excluded=False, earlier=True, place=again)

    def first_epoch(self, component: int) -> int:
        """Number of the first epoch of a component: 0, but for plans that continue another."""
        start = self.data.variation.start
        return 0 if start is None else int(start.first_epoch[component])

    def _deliveries(self, component: int, entry: int, rank: int, limit: int) -> Iterator[int]:
        """The sample's position in each epoch, up to the end of the round that `limit` lies in.

        Lanes of one round are ahead of each other: inside it a later epoch may come first.
        """
        for epoch in count(self.first_epoch(component)):
            place = self.permutation.place_of(epoch, component, entry, rank)
            if place is None:
                if self.permutation.is_excluded(entry, rank):
                    return
                continue
            position = self.lanes.position_of(component, place)
            if position is None or position - position % self.lanes.round_size >= limit:
                return
            yield position

    def entry_of(self, sample: int) -> tuple[int, int, int] | None:
        """Component, entry and rank of a sample; None if the plan has not chosen it."""
        files = np.flatnonzero(self._file_id == sample >> ROW_BITS)
        if not len(files):
            return None
        row = sample & ((1 << ROW_BITS) - 1)
        low, high = np.searchsorted(self._segment_file, [files[0], files[0] + 1])
        segment = int(low + np.searchsorted(self._segment_row[low:high], row, side="right") - 1)
        inside = row - int(self._segment_row[segment])
        entries = self.permutation.entries
        for entry in np.flatnonzero(entries.segment == segment).tolist():
            rows = self.data.rows[self._entry_row[entry] : self._entry_row[entry + 1]]
            rank = int(np.searchsorted(rows, inside)) if inside < 1 << 16 else len(rows)
            if rank < len(rows) and int(rows[rank]) == inside:
                return int(entries.component[entry]), entry, rank
        return None

    def _pointers(self, chunk: Chunk, entry: Int64s, rank: Int64s) -> Pointers:
        segment = self.permutation.entries.segment[entry]
        inside = self._inside(entry, rank)
        file, row = self._segment_file[segment], self._segment_row[segment] + inside
        start, stop = self._bytes(segment, inside)
        sample = (self._file_id[file] << ROW_BITS) | row
        return Pointers(chunk.position, chunk.component, file, row, start, stop, sample)

    def _inside(self, entry: Int64s, rank: Int64s) -> Int64s:
        """Rows inside their segments."""
        return self.data.rows[self._entry_row[entry] + rank].astype(np.int64)

    def _bytes(self, segment: Int64s, inside: Int64s) -> tuple[Int64s, Int64s]:
        has = self._has_offsets[segment]
        if not has.any():
            nowhere = np.full(len(segment), -1, np.int64)
            return nowhere, nowhere
        at = np.where(has, self._segment_start[segment] + inside, 0)
        offset = self._segment_offset[segment]
        start = offset + self.data.starts[at].astype(np.int64)
        stop = offset + self.data.starts[at + 1].astype(np.int64)
        return np.where(has, start, -1), np.where(has, stop, -1)


def kept_counts(data: PlanData) -> Int64s:
    """[E] samples of each entry that are not excluded."""
    counts = _column(data.entries, "count")
    excluded = data.variation.excluded
    return counts if excluded is None else counts - excluded.count


def entries_of(data: PlanData) -> Entries:
    """The entries of a plan, as the order needs them: views of its table, where they can be."""
    sizes = np.diff(data.component_entries)
    component = np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)
    segment, count_ = (_view(data.entries, name) for name in ("segment", "count"))
    return Entries(component, segment, count_, _column(data.segments, "group"), len(data.components))


def _column(table: pa.Table, name: str) -> Int64s:
    return _view(table, name).astype(np.int64)


def _view(table: pa.Table, name: str) -> npt.NDArray[np.int32]:
    view: npt.NDArray[np.int32] = to_numpy(table.column(name))  # type: ignore[assignment]  # or int64, as the table says
    return view
