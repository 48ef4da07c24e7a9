"""Cost: requests and bytes of a run on every installed storage, by its profile.

Each storage is asked as if all files lay on it, so that "what if this were on S3" is answered before anything is moved.
A record that is read alone is a range; ranges of one fetch that lie close together become one request. Where a storage
keeps blocks, each reader fetches a block once (there is room for all of them in the model); segments that it wants
whole come in stripes, which the readers have in common where the processes of a machine share them. Row groups, frames
and compressed files are read whole, in requests of the storage's good size.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from mixtera.artifact.model import ROW_BITS, PlanData
from mixtera.artifact.pointers import Pointers
from mixtera.contracts.storage import AccessProfile, AnyScheme
from mixtera.errors import PluginError
from mixtera.explanation.blocks import KeptBlocks, WantedWhole, opening
from mixtera.explanation.forecast import Cost
from mixtera.explanation.model import Reads
from mixtera.explanation.units import Float64s, Units, stored_bytes
from mixtera.formats.temporary import spool_bytes
from mixtera.order.seats import Int64s
from mixtera.registry import names, storage_named, storage_of
from mixtera.stream.consumer import Consumer
from mixtera.stream.stretches import Stretches

_KIND: Final = "storage"
_SHARED: Final = "shared:"
"""Before the name of a storage: as if its readers shared what they fetch."""


Wanted: TypeAlias = Callable[[int, AccessProfile], WantedWhole]
"""Reader → what it wants whole of each file."""


def wanted_whole(data: PlanData, readers: int, here: int = 1) -> Wanted:
    """What each of some readers wants whole, of which so many are on one machine."""

    def wanted(reader: int, profile: AccessProfile) -> WantedWhole:
        first, total = data.timeline.phases[0].first, data.timeline.total
        return Stretches(data, Consumer(data.order.granule, reader, readers, first, total), here).of

    return wanted


def _nothing(file: int, profile: AccessProfile) -> tuple[Int64s, Int64s]:
    """What a reader wants whole of which nothing is known."""
    return np.empty(0, np.int64), np.empty(0, np.int64)


class Meter:
    """Counts requests and bytes of what a simulation reads, for every installed storage at once.

    Attributes:
        profiles: By name of the storage; those that could share what they keep once more, as if they did.
        alone: Requests and bytes of records read alone, by name.
        whole: Requests and bytes of whole units that are read again when they are needed again, by name.
        copied: Requests and bytes of compressed files, which each reader reads once, by name.
        opened: Requests and bytes for opening files, which each reader does once, by name.
        hurried: Requests and bytes for the first large records, which readers read without their stripes, by name.
    """

    def __init__(
        self,
        units: Units,
        profiles: Mapping[str, AccessProfile] | None = None,
        wanted: Wanted | None = None,
        here: int = 1,
    ) -> None:
        self._units, self._wanted, self._here = units, wanted, here
        self.profiles = _profiles() if profiles is None else dict(profiles)
        self.profiles |= {
            _SHARED + name: replace(profile, is_shared=True, stays=True, kept_bytes=spool_bytes())
            for name, profile in self.profiles.items()
            if profile.kept_bytes and not profile.stays
        }
        self._unit_file = np.zeros(len(units.bytes), np.int64)
        is_whole = units.unit >= 0
        self._unit_file[units.unit[is_whole]] = units.segment_key[is_whole] >> ROW_BITS
        self._blocks: dict[str, KeptBlocks] = {}
        self._reader = -1
        self.alone = {name: np.zeros(2) for name in self.profiles}
        self.whole = {name: np.zeros(2) for name in self.profiles}
        self.copied = {name: np.zeros(2) for name in self.profiles}
        self.opened = {name: np.zeros(2) for name in self.profiles}
        self.hurried = {name: np.zeros(2) for name in self.profiles}
        self._readers = 0

    def __call__(self, alone: Pointers, missed: Int64s, reader: int = 0) -> None:
        """One fetch of a reader; those of a reader follow each other."""
        if reader != self._reader:
            is_beside = self._reader >= 0 and reader // self._here == self._reader // self._here
            self._reader = reader
            self._readers += 1
            self._blocks = {
                name: self._kept(name, profile, is_beside)
                for name, profile in self.profiles.items()
                if profile.block_bytes
            }
        starts, stops, new_file = _ranges(alone)
        copied = self._units.on_disk[missed]
        stored = self._units.stored[missed]
        for name, profile in self.profiles.items():
            if (kept := self._blocks.get(name)) is None:
                self.alone[name] += _joined(starts, stops, new_file, profile)
            else:
                files = np.concatenate([alone.file, self._unit_file[missed]])
                self.alone[name] += kept.read(alone)
                self.hurried[name] += kept.hurried()
                self.opened[name] += kept.opened(files)
            self.whole[name] += (
                _pieces(stored[~copied], profile)
                if kept is None
                else kept.whole(missed[~copied], stored[~copied], self._units.frame[missed[~copied]])
            )
            self.copied[name] += _pieces(stored[copied], profile)

    def _kept(self, name: str, profile: AccessProfile, is_beside: bool) -> KeptBlocks:
        """What a new reader has: nothing, or the stripes that the readers before it on its machine have fetched."""
        wanted = _nothing if self._wanted is None else self._wanted(self._reader, profile)
        kept = KeptBlocks(profile, self._units.file_bytes, wanted)
        if profile.is_shared and is_beside:
            kept.share(self._blocks[name])
        return kept

    def all_copies(self, profile: AccessProfile) -> Float64s:
        """Requests and bytes that one reader of all compressed files makes: more it never needs."""
        used = self._units.used_units
        return _pieces(self._units.stored[used[self._units.on_disk[used]]], profile)

    def hurried_by(self, name: str, readers: int) -> Float64s:
        """Requests and bytes of so many readers for their first large records."""
        found: Float64s = self.hurried[name] * readers / max(1, self._readers)
        return found

    def all_openings(self) -> Float64s:
        """Requests and bytes that one reader makes that opens all files."""
        return opening(self._units.file_bytes)


def costs(data: PlanData, meter: Meter, reads: Reads) -> tuple[Cost, ...]:
    """What the whole run asks of each storage.

    Args:
        data: The plan.
        meter: What the simulation of the run's beginning asked.
        reads: That simulation.
    """
    here = _files_here(data)
    delivered = _delivered_bytes(data)
    factor = _positions(data) / max(1, reads.positions)
    return tuple(
        _cost(name, profile, meter, factor, delivered, reads.readers, here[name])
        for name, profile in meter.profiles.items()
        if not name.startswith(_SHARED) and (here[name] or not _is_any_scheme(name))
    )


def _cost(
    name: str, profile: AccessProfile, meter: Meter, factor: float, delivered: int, readers: int, files: int
) -> Cost:
    requests, read = _asked(name, profile, meter, factor, readers)
    shared = meter.profiles.get(_SHARED + name)
    if shared is not None:
        shared_requests, shared_read = _asked(_SHARED + name, shared, meter, factor, readers)
    amplification = float(read) / delivered if delivered else 1.0
    return Cost(
        storage=name,
        files=files,
        readers=readers,
        request_bytes=profile.request_bytes,
        gap_bytes=profile.gap_bytes,
        requests=round(float(requests)),
        read_bytes=round(float(read)),
        delivered_bytes=delivered,
        amplification=amplification,
        shared_requests=None if shared is None else round(float(shared_requests)),
        shared_read_bytes=None if shared is None else round(float(shared_read)),
    )


def _asked(name: str, profile: AccessProfile, meter: Meter, factor: float, readers: int) -> Float64s:
    """Requests and bytes of the whole run."""
    copies = np.minimum(meter.copied[name] * factor, meter.all_copies(profile) * readers)
    openings = np.minimum(meter.opened[name] * factor, meter.all_openings() * readers)
    once = openings + meter.hurried_by(name, readers)
    found: Float64s = (meter.alone[name] + meter.whole[name]) * factor + copies + once
    return found


def _is_any_scheme(name: str) -> bool:
    """Whether a storage stands for many kinds of places, so that "what if the files were there" says nothing."""
    return name in names(_KIND) and isinstance(storage_named(name), AnyScheme)


def _profiles() -> dict[str, AccessProfile]:
    """The profile of every installed storage; one whose packages are missing has none."""
    found = {}
    for name in names(_KIND):
        try:
            found[name] = storage_named(name).profile()
        except PluginError:
            continue
    return found


def _files_here(data: PlanData) -> Counter[str]:
    """By name of the storage: files with chosen samples that lie on it. Files of an unknown storage count nowhere."""
    segments = np.unique(data.entries.column("segment").to_numpy())
    files = np.unique(data.segments.column("file").to_numpy()[segments])
    urls = data.files.column("url").take(files).to_pylist()
    by_scheme = Counter(url.partition("://")[0] if "://" in url else "" for url in urls)
    found: Counter[str] = Counter()
    for scheme, count in by_scheme.items():
        try:
            found[storage_of(f"{scheme}://" if scheme else "").name] += count
        except PluginError:
            continue
    return found


def _ranges(alone: Pointers) -> tuple[Int64s, Int64s, npt.NDArray[np.bool_]]:
    """Byte ranges by file, then start, and whether each is the first of its file."""
    order = np.lexsort((alone.start, alone.file))
    file = alone.file[order]
    return alone.start[order], alone.stop[order], np.diff(file, prepend=-1) != 0


def _joined(starts: Int64s, stops: Int64s, new_file: npt.NDArray[np.bool_], profile: AccessProfile) -> Float64s:
    """Requests and bytes of ranges, those that are near each other joined."""
    if not len(starts):
        return np.zeros(2)
    begins = new_file.copy()
    begins[1:] |= starts[1:] - stops[:-1] > profile.gap_bytes
    first = np.flatnonzero(begins)
    lengths = stops[np.append(first[1:], len(starts)) - 1] - starts[first]
    return _pieces(lengths.astype(np.float64), profile)


def _pieces(lengths: Float64s, profile: AccessProfile) -> Float64s:
    """Requests and bytes of reads of some lengths, in requests of a good size."""
    return np.array([np.ceil(lengths / profile.request_bytes).sum(), lengths.sum()])


def _positions(data: PlanData) -> int:
    """Positions of the run; without an end, one epoch."""
    total = data.timeline.total
    return len(data.rows) if total is None else total - data.timeline.phases[0].first


def _delivered_bytes(data: PlanData) -> int:
    """Stored bytes of the records delivered, by the mean record of each component's files."""
    file = data.segments.column("file").to_numpy()[data.entries.column("segment").to_numpy()]
    bytes_ = data.entries.column("count").to_numpy() * stored_bytes(data)[file]
    component = np.repeat(np.arange(len(data.components)), np.diff(data.component_entries))
    once = np.bincount(component, bytes_, len(data.components))
    if data.timeline.total is None:
        return int(once.sum())
    bounds = np.array([data.timeline.phases[0].first, data.timeline.total])
    before, after = data.timeline.filled(bounds)
    return int((once * (after - before) / np.maximum(1, [c.samples for c in data.components])).sum())
