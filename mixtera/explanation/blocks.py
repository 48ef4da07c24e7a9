"""Blocks of a storage that keeps what it has read: what of a fetch has to be asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from mixtera.artifact.pointers import Pointers
from mixtera.contracts.storage import AccessProfile
from mixtera.explanation.units import Float64s
from mixtera.formats.cells import Cells
from mixtera.order.seats import Int64s

WantedWhole: TypeAlias = Callable[[int, AccessProfile], tuple[Int64s, Int64s]]
"""File → first byte, and byte after the last, of each stretch; see `mixtera.stream.stretches`."""

FILE_BITS: Final = 32
"""A block is known by the number of its file, shifted by so many bits, and its own number in the file."""


OPENING_BYTES: Final = 64 << 10
"""What is read of a file when it is opened: its head, to know how it is compressed, or its footer."""

HURRY_BYTES: Final = 4 << 20
"""Bytes of large records with which a reader does not wait for their stripes: so the first batch comes soon."""
LARGE_BLOCKS: Final = (1, 8)
"""What has so many blocks is read alone, and not kept: in whole blocks, most bytes would be those of others."""


def opening(file_bytes: Int64s) -> Float64s:
    """Requests and bytes for opening files of so many bytes."""
    return np.array([len(file_bytes), np.minimum(file_bytes, OPENING_BYTES).sum()], np.float64)


class KeptBlocks:
    """The blocks that one reader has fetched, and the stripes of what it wants whole.

    Args:
        profile: How the storage wants to be read.
        file_bytes: [F] bytes of each file.
        stretches: For each file what of it is wanted whole.
    """

    def __init__(self, profile: AccessProfile, file_bytes: Int64s, stretches: WantedWhole) -> None:
        self._profile, self._file_bytes, self._stretches = profile, file_bytes, stretches
        self._cells: dict[int, Cells | None] = {}
        self.stripes: set[tuple[int, int]] = set()
        self._kept: set[int] = set()
        self._units: set[int] = set()
        self.large_units: set[int] = set()
        self._opened: set[int] = set()
        self._hurry_bytes = HURRY_BYTES
        self._hurried = np.zeros(2)

    def opened(self, files: Int64s) -> Float64s:
        """Requests and bytes for opening files, those that are open already among them."""
        new = [file for file in np.unique(files).tolist() if file not in self._opened]
        self._opened.update(new)
        return opening(self._file_bytes[new])

    def hurried(self) -> Float64s:
        """Requests and bytes for the first large records of stripes, since this was asked last."""
        found, self._hurried = self._hurried, np.zeros(2)
        return found

    def read(self, alone: Pointers) -> Float64s:
        """Requests and bytes for some records; those that are large, on average over their file, are read alone."""
        striped, is_striped = self._striped(alone)
        alone = Pointers(*(getattr(alone, field.name)[~is_striped] for field in fields(Pointers)))
        if not len(alone.file):
            return striped
        lengths = alone.stop - alone.start
        _, which, counts = np.unique(alone.file, return_inverse=True, return_counts=True)
        large = self._is_large(np.bincount(which, lengths) / counts)[which]
        requests = np.ceil(lengths[large] / self._profile.request_bytes).sum()
        found: Float64s = striped + self._fetched(alone, ~large) + np.array([requests, lengths[large].sum()])
        return found

    def whole(self, units: Int64s, stored: Float64s, frame: npt.NDArray[np.bool_]) -> Float64s:
        """Requests and bytes for units that are read whole, of so many bytes each; large ones, but frames, are kept."""
        known = self._units | self.large_units
        again = self._is_large(stored) | np.array([unit not in known for unit in units.tolist()], bool)
        self._units.update(units.tolist())
        large = (stored >= LARGE_BLOCKS[1] * self._profile.block_bytes) & ~frame
        self.large_units.update(units[large].tolist())
        sizes = stored[again]
        return np.array([np.ceil(sizes / self._profile.request_bytes).sum(), sizes.sum()])

    def _striped(self, alone: Pointers) -> tuple[Float64s, npt.NDArray[np.bool_]]:
        """Requests and bytes for stripes that are not here, and which records lie in stripes."""
        counts, inside = np.zeros(2), np.zeros(len(alone.file), np.bool_)
        for file in np.unique(alone.file).tolist():
            cells = self._cells_of(file)
            if cells is None:
                continue
            mine = np.flatnonzero(alone.file == file)
            inside[mine] = cells.cut(alone.start[mine], alone.start[mine] + 1).in_stripe
            mine = mine[inside[mine]]
            needed = np.unique(cells.cut(alone.start[mine], np.minimum(alone.stop[mine], self._file_bytes[file])).cell)
            new = [cell for cell in needed.tolist() if (file, cell) not in self.stripes]
            if new:
                self._hurry(alone.stop[mine] - alone.start[mine])
            self.stripes.update((file, cell) for cell in new)
            starts, stops = cells.bounds(np.array(new, np.int64))
            counts += np.array([len(new), int((stops - starts).sum())])
        return counts, inside

    def _hurry(self, lengths: Int64s) -> None:
        """Read records whose stripes are on their way, where they are large, and the first ones."""
        size = int(lengths.sum())
        if self._is_large(lengths.mean(keepdims=True))[0]:
            self._hurry_bytes -= size
            if self._hurry_bytes >= 0:
                self._hurried += np.array([len(lengths), size])

    def _cells_of(self, file: int) -> Cells | None:
        if file not in self._cells:
            size = int(self._file_bytes[file])
            starts, stops = self._stretches(file, self._profile)
            stops = np.minimum(stops, size)
            found = Cells(starts, stops, size, self._profile.request_bytes) if len(starts) else None
            self._cells[file] = found
        return self._cells[file]

    def share(self, earlier: KeptBlocks) -> None:
        """Have what another reader of this machine has fetched and shares."""
        self.stripes, self.large_units = earlier.stripes, earlier.large_units

    def _is_large(self, lengths: Float64s) -> npt.NDArray[np.bool_]:
        least, most = (blocks * self._profile.block_bytes for blocks in LARGE_BLOCKS)
        return (lengths > least) & (lengths < most)

    def _fetched(self, alone: Pointers, small: npt.NDArray[np.bool_]) -> Float64s:
        size, file = self._profile.block_bytes, alone.file[small]
        first, last = alone.start[small] // size, (alone.stop[small] - 1) // size
        counts = last - first + 1
        number = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
        needed = np.unique(np.repeat((file << FILE_BITS) + first, counts) + number)
        missing = [block for block in needed.tolist() if block not in self._kept]
        runs = self._runs(missing)
        bytes_ = sum(self._bytes(first, last) for first, last in runs)
        for first_, last_ in runs:
            self._kept.update(range(first_, last_))
        return np.array([len(runs), bytes_], np.float64)

    def _runs(self, missing: list[int]) -> list[tuple[int, int]]:
        """Blocks that are fetched in one request: the first of each, and the one after its last."""
        size = self._profile.block_bytes
        most, bridged = max(1, self._profile.request_bytes // size), self._profile.gap_bytes // size
        runs: list[tuple[int, int]] = []
        for block in missing:
            if runs:
                first, last = runs[-1]
                is_near = block - last <= bridged and block - first < most and block >> FILE_BITS == first >> FILE_BITS
                if is_near and self._kept.isdisjoint(range(last, block)):
                    runs[-1] = first, block + 1
                    continue
            runs.append((block, block + 1))
        return runs

    def _bytes(self, first: int, last: int) -> int:
        """Bytes of a run; the last block of a file is as long as the file goes."""
        size, file = self._profile.block_bytes, first >> FILE_BITS
        stop = (last - (file << FILE_BITS)) * size
        return min(stop, int(self._file_bytes[file])) - (first - (file << FILE_BITS)) * size
