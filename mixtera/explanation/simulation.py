"""Simulation: how much readers read for what they deliver, over the beginning of the plan.

The model. A reader works through its fetches as `Plan.stream` does. A record at a byte offset is read alone. A row
group, a frame or a compressed file is read and decoded whole, and kept until others, used later, need its place: as
many bytes are kept as the stream keeps. A row group larger than that is not kept; the plain copy of a compressed file
always is. Once a row group or a frame is decoded for the second time, copies of those that are decoded from then on are
kept on disk (taken for text, with room for them). Bytes are those of decoded records. Not counted: pages of the
operating system, gaps between near records that are read through, reading what is kept, and caches of the storage.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from mixtera.artifact.model import PlanData
from mixtera.artifact.pointers import PointerMap, Pointers
from mixtera.artifact.sequences import SequenceMap
from mixtera.explanation.model import Reads
from mixtera.explanation.units import Units
from mixtera.order.seats import Int64s
from mixtera.stream.batches import fetch_bytes, mean_position_bytes
from mixtera.stream.consumer import Consumer
from mixtera.stream.fetch import POINTER_FIELDS, joined_pointers
from mixtera.stream.pieces import Piece, cutting, fetches, pieces
from mixtera.stream.stream import BUDGET_BYTES

POSITIONS: Final = 1 << 18
"""Positions that are looked at for one number of readers, about."""
READERS: Final = 16
"""Readers that are simulated where there are more: they are alike. They stand side by side, as those of a machine."""
FEW: Final = 4
"""Where readers have lanes in common, each looks at the positions of all who have: so many times as many altogether."""
CACHE_BYTES: Final = BUDGET_BYTES // 2
"""Bytes that the files of a reader keep."""

Watch: TypeAlias = Callable[[Pointers, Int64s, int], None]
"""Told of each fetch: the records that are read alone, the whole units that have to be read for it, and the reader."""


@dataclass
class _Counts:
    """What some readers did so far; `lone_visits` is what their part of the visits of a lone reader would be."""

    positions: int = 0
    delivered_bytes: float = 0.0
    read_bytes: float = 0.0
    visits: int = 0
    lone_visits: float = 0.0


def simulate(data: PlanData, units: Units, readers: int, watch: Watch | None = None) -> Reads:
    """Let readers work through the beginning of the plan, and count.

    Args:
        data: The plan.
        units: Its units.
        readers: Readers in total; at most `READERS` of them, the first ones, are simulated.
        watch: Told of what is read.
    """
    find, counts = _finder(data), _Counts()
    chunks = data.order.chunk_size * max(1, data.order.lanes // readers)  # of a reader, at least
    chosen = min(readers, READERS, max(1, POSITIONS // chunks))
    each = POSITIONS // min(chosen, max(FEW, data.order.lanes))
    each = each // chunks * chunks or each  # what is read ahead for a chunk counts with all of it
    for rank in range(chosen):
        consumer = Consumer(data.order.granule, rank, readers, data.timeline.phases[0].first, data.timeline.total)
        _read(data, units, find, consumer, each, counts, watch)
    return Reads(
        readers=readers,
        lanes=data.order.lanes,
        positions=counts.positions,
        amplification=counts.read_bytes / counts.delivered_bytes if counts.delivered_bytes else 1.0,
        visits=counts.visits / counts.lone_visits if counts.lone_visits else 1.0,
    )


def _read(
    data: PlanData,
    units: Units,
    find: Callable[[Piece], Pointers],
    consumer: Consumer,
    positions: int,
    counts: _Counts,
    watch: Watch | None,
) -> None:
    """One reader: fetch by fetch, until it has looked at enough positions."""
    kept, seen = _Kept(units), 0
    for fetch in _fetches(data, consumer):
        found = joined_pointers([find(piece) for piece in fetch])
        now = _different(found.position)
        if 2 * seen >= positions and seen + now > positions:
            return
        _count(units, found, consumer.owns(found.position), kept, counts, watch, consumer.rank, once=data.packs)
        seen += now


def _finder(data: PlanData) -> Callable[[Piece], Pointers]:
    """What finds the documents of a piece."""
    if not data.packs:
        pointers = PointerMap(data)
        return lambda piece: pointers.lane(piece.round, piece.lane, piece.first, piece.last)
    sequences = SequenceMap(data)
    return lambda piece: sequences.lane(piece.round, piece.lane, piece.first, piece.last).documents


def _different(positions: npt.NDArray[np.int64]) -> int:
    """How many positions stand in a list in which equal ones follow each other."""
    return int(np.count_nonzero(np.diff(positions))) + 1 if len(positions) else 0


def _fetches(data: PlanData, consumer: Consumer) -> Iterator[tuple[Piece, ...]]:
    """What a reader reads in one go, as the stream does it."""
    position_bytes = mean_position_bytes(data)
    cut = cutting(consumer, data.order, BUDGET_BYTES / position_bytes, fetch_bytes(data) / position_bytes)
    return fetches(pieces(consumer, data.order, cut), cut)


def _count(
    units: Units,
    found: Pointers,
    own: npt.NDArray[np.bool_],
    kept: _Kept,
    counts: _Counts,
    watch: Watch | None,
    reader: int,
    *,
    once: bool,
) -> None:
    """One fetch: what is delivered of it and read for it; with `once`, a sample that comes again is the same one."""
    if not own.any():
        return
    delivered, every = _different(found.position[own]), _different(found.position)
    if once:
        own = own & _first_of_each(found)
    segment = units.segments(found)
    mine = segment[own]
    bytes_ = np.where(found.start[own] >= 0, found.stop[own] - found.start[own], units.row_bytes[found.file[own]])
    unit = units.unit[mine]
    counts.positions += delivered
    counts.delivered_bytes += float(bytes_.sum())
    missed = kept.missed(np.unique(unit[unit >= 0]))
    counts.read_bytes += float(bytes_[unit < 0].sum()) + float(units.bytes[missed].sum())
    if watch is not None:
        alone = np.flatnonzero(own)[unit < 0]
        watch(Pointers(*(getattr(found, field)[alone] for field in POINTER_FIELDS)), missed, reader)
    counts.visits += len(np.unique(mine))
    counts.lone_visits += len(np.unique(segment)) * delivered / every


def _first_of_each(found: Pointers) -> npt.NDArray[np.bool_]:
    """Which pointers are the first of their sample: a document that several sequences have a part of is read once."""
    first: npt.NDArray[np.bool_] = np.zeros(len(found.sample), np.bool_)
    first[np.unique(found.sample, return_index=True)[1]] = True
    return first


class _Kept:
    """The whole units that a reader keeps; those unused for longest make room."""

    def __init__(self, units: Units) -> None:
        self._units = units
        self._kept: OrderedDict[int, int] = OrderedDict()
        self._bytes = 0
        self._given_up: set[int] = set()
        self._drifting = False
        self._spooled: set[int] = set()

    def missed(self, units: Int64s) -> Int64s:
        """Have some units; returns those that had to be read for it."""
        return np.array([unit for unit in units.tolist() if self._read(unit)], np.int64)

    def _read(self, unit: int) -> bool:
        if unit in self._spooled:
            return False
        if not self._drifting and unit in self._kept:
            self._kept.move_to_end(unit)
            return False
        size = int(self._units.bytes[unit])
        if self._units.on_disk[unit] or self._drifting:
            self._spooled.add(unit)
            return True
        self._drifting = unit in self._given_up
        if size <= CACHE_BYTES:
            self._kept[unit] = size
            self._bytes += size
            while self._bytes > CACHE_BYTES and len(self._kept) > 1:
                given_up, given_up_bytes = self._kept.popitem(last=False)
                self._given_up.add(given_up)
                self._bytes -= given_up_bytes
        else:
            self._given_up.add(unit)
        return True
