"""Blocks of a storage that keeps what it has read: what of a fetch has to be asked for."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from mixtera.artifact.pointers import Pointers
from mixtera.contracts.storage import AccessProfile
from mixtera.explanation.units import Float64s
from mixtera.order.seats import Int64s

FILE_BITS: Final = 32
"""A block is known by the number of its file, shifted by so many bits, and its own number in the file."""


OPENING_BYTES: Final = 64 << 10
"""What is read of a file when it is opened: its head, to know how it is compressed, or its footer."""

LARGE_BLOCKS: Final = (1, 8)
"""What has so many blocks is read alone, and not kept: in whole blocks, most bytes would be those of others."""


class KeptBlocks:
    """The blocks that one reader has fetched."""

    def __init__(self, profile: AccessProfile, file_bytes: Int64s) -> None:
        self._profile, self._file_bytes = profile, file_bytes
        self._kept: set[int] = set()
        self._units: set[int] = set()
        self._opened: set[int] = set()

    def opened(self, files: Int64s) -> Float64s:
        """Requests and bytes for opening files, those that are open already among them."""
        new = [file for file in np.unique(files).tolist() if file not in self._opened]
        self._opened.update(new)
        return np.array([len(new), np.minimum(self._file_bytes[new], OPENING_BYTES).sum()], np.float64)

    def read(self, alone: Pointers) -> Float64s:
        """Requests and bytes for some records; those that are large, on average over their file, are read alone."""
        if not len(alone.file):
            return np.zeros(2)
        lengths = alone.stop - alone.start
        _, which, counts = np.unique(alone.file, return_inverse=True, return_counts=True)
        large = self._is_large(np.bincount(which, lengths) / counts)[which]
        requests = np.ceil(lengths[large] / self._profile.request_bytes).sum()
        found: Float64s = self._fetched(alone, ~large) + np.array([requests, lengths[large].sum()])
        return found

    def whole(self, units: Int64s, stored: Float64s) -> Float64s:
        """Requests and bytes for units that are read whole, of so many bytes each; large ones are kept."""
        again = self._is_large(stored) | np.array([unit not in self._units for unit in units.tolist()], bool)
        self._units.update(units.tolist())
        sizes = stored[again]
        return np.array([np.ceil(sizes / self._profile.request_bytes).sum(), sizes.sum()])

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
