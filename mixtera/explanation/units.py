"""Units of reading: what of a file can only be read as a whole, and what it weighs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from mixtera.arrow import to_numpy
from mixtera.artifact.model import ROW_BITS, PlanData
from mixtera.artifact.pointers import Pointers
from mixtera.order.seats import Int64s

COMPRESSED: Final = (".gz", ".zst", ".bz2", ".xz", ".lz4")
"""Suffixes of compressed files: decompressed from the beginning, so read as a whole, where they have no frames."""

Float64s = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Units:
    """The units of a plan's files: row groups, frames of compressed files, compressed files, records that are alone.

    Attributes:
        segment_key: [S] int64, ascending: file and first row of each segment in one number.
        unit: [S] int64, the whole unit that a segment lies in, or −1 where records are read alone.
        bytes: [U] int64, decoded bytes of each whole unit, about.
        stored: [U] float64, bytes of each whole unit as they lie on the storage, about.
        on_disk: [U] bool, whether a unit is a whole compressed file, of which a plain copy is kept on disk.
        frame: [U] bool, whether a unit is a frame of a compressed file, which each reader fetches for itself.
        file_bytes: [F] int64, bytes of each file.
        row_bytes: [F] float64, decoded bytes of a record of each file, about.
        used: [S] bool, whether a segment holds a chosen sample.
    """

    segment_key: Int64s
    unit: Int64s
    bytes: Int64s
    stored: Float64s
    on_disk: npt.NDArray[np.bool_]
    frame: npt.NDArray[np.bool_]
    file_bytes: Int64s
    row_bytes: Float64s
    used: npt.NDArray[np.bool_]

    def segments(self, found: Pointers) -> Int64s:
        """[n] the segment of each pointer."""
        key = (found.file << ROW_BITS) | found.row
        segment: Int64s = np.searchsorted(self.segment_key, key, side="right") - 1
        return segment

    @property
    def used_units(self) -> Int64s:
        """Whole units that hold a chosen sample."""
        units: Int64s = np.unique(self.unit[self.used & (self.unit >= 0)])
        return units


def units_of(data: PlanData) -> Units:
    """The units of a plan: row groups, frames and compressed files are whole, records at byte offsets are not."""
    file, row, rows, group, start = (
        data.segments.column(name).to_numpy().astype(np.int64) for name in ("file", "row", "rows", "group", "start")
    )
    row_bytes = record_bytes(data)
    compressed = np.array([url.endswith(COMPRESSED) for url in data.files.column("url").to_pylist()], bool)
    framed = np.zeros(len(compressed), bool)
    framed[to_numpy(data.frames.column("file"))] = True
    whole_file = (compressed & ~framed)[file]
    several = np.bincount(group, minlength=1)[group] > 1
    whole = (start < 0) | several | whole_file | framed[file]
    identity = np.where(whole_file, -1 - file, group)  # one per row group, or one per compressed file
    distinct, which = np.unique(identity[whole], return_inverse=True)
    unit = np.full(len(file), -1, np.int64)
    unit[whole] = which
    sizes = np.bincount(which, rows[whole] * row_bytes[file[whole]], len(distinct)).astype(np.int64)
    stored: Float64s = np.bincount(which, rows[whole] * stored_bytes(data)[file[whole]], len(distinct)).astype(
        np.float64
    )
    frame = np.bincount(which, framed[file[whole]], len(distinct)) > 0
    file_bytes = data.files.column("size").to_numpy().astype(np.int64)
    used = np.zeros(len(file), bool)
    used[data.entries.column("segment").to_numpy()] = True
    return Units((file << ROW_BITS) | row, unit, sizes, stored, distinct < 0, frame, file_bytes, row_bytes, used)


def record_bytes(data: PlanData) -> Float64s:
    """[F] bytes of a record, decoded where that is known, on average over each file."""
    rows, size, content = (
        data.files.column(name).to_numpy().astype(np.float64) for name in ("rows", "size", "content_bytes")
    )
    bytes_: Float64s = np.where(content > 0, content, size) / np.maximum(rows, 1)
    return bytes_


def stored_bytes(data: PlanData) -> Float64s:
    """[F] bytes of a record as they lie on the storage, on average over each file."""
    rows, size = (data.files.column(name).to_numpy().astype(np.float64) for name in ("rows", "size"))
    bytes_: Float64s = size / np.maximum(rows, 1)
    return bytes_
