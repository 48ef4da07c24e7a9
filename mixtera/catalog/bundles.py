"""Pieces of work: bundles of files that one process scans into one Parquet file of the catalog."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from mixtera.catalog.columns import Column
from mixtera.catalog.model import Policy
from mixtera.contracts.format import BadSample, ContentColumn, PropertyColumn
from mixtera.contracts.storage import FileInfo, StorageOptions

BUNDLES_PER_WORKER: Final = 4
"""So many that the last ones even out, so few that the catalog keeps few Parquet files."""
SMALLEST_BUNDLE_BYTES: Final = 16 << 20
LARGEST_BUNDLE_BYTES: Final = 4 << 30
SHOWN_BAD_SAMPLES: Final = 5
"""Bad records that an error message shows."""


class NumberedFile(msgspec.Struct, frozen=True):
    """A file to scan and the id it has in the catalog."""

    info: FileInfo
    file_id: int


class Bundle(msgspec.Struct, frozen=True, tag=True):
    """A piece of work for one process; it crosses the process border as JSON.

    Attributes:
        source: Name of the source, for messages.
        format: Name of its format.
        properties: What to extract.
        content: What every sample must have.
        paths: Paths of the source, for what they capture.
        columns: Columns of the Parquet file, with field ids.
        policy: What to do with records that cannot be used.
        files: Files to scan, by file id.
        directory: Where to write.
        name: File name to write under, without suffix.
        storage: What the spec says of storages.
    """

    source: str
    format: str
    properties: tuple[PropertyColumn, ...]
    content: tuple[ContentColumn, ...]
    paths: tuple[str, ...]
    columns: tuple[Column, ...]
    policy: Policy
    files: tuple[NumberedFile, ...]
    directory: str
    name: str
    storage: StorageOptions = ()

    @property
    def bytes(self) -> int:
        """Bytes of the files."""
        return sum(file.info.size for file in self.files)


class ScannedFile(msgspec.Struct, frozen=True):
    """What the scan of a file found; `bad` records are not among its `samples`."""

    info: FileInfo
    file_id: int
    rows: int
    samples: int
    bad: int
    group_rows: tuple[int, ...]
    content_bytes: int
    frames: tuple[int, ...] = ()


class BadRecord(msgspec.Struct, frozen=True):
    """A record that cannot be used, and its file's name."""

    file: str
    sample: BadSample

    @property
    def place(self) -> str:
        """`file:line` for formats of lines, `file#row` for others."""
        return f"{self.file}:{self.sample.row + 1}" if self.sample.offset >= 0 else f"{self.file}#{self.sample.row}"


class Scanned(msgspec.Struct, frozen=True):
    """The result of a bundle.

    Attributes:
        data_file: Name of the Parquet file written, empty when no file had a sample.
        bad_file: Name of the Parquet file of quarantined records, empty when there are none.
        files: Every file of the bundle; with policy `fail` those up to the first that has bad records.
        first_bad: The first few bad records.
        bad: Number of bad records.
        matched: For each sidecar that was joined: its number among those of the source, and samples that it knows.
    """

    data_file: str
    bad_file: str
    files: tuple[ScannedFile, ...]
    first_bad: tuple[BadRecord, ...]
    bad: int
    matched: tuple[tuple[int, int], ...] = ()


def bundled(files: Sequence[NumberedFile], workers: int, smallest_bytes: int) -> list[list[NumberedFile]]:
    """Cut files, in the order of their ids, into consecutive bundles of about the same number of bytes."""
    total = sum(file.info.size for file in files)
    target = min(max(total // (workers * BUNDLES_PER_WORKER), smallest_bytes, 1), LARGEST_BUNDLE_BYTES)
    bundles: list[list[NumberedFile]] = []
    filled = target
    for file in sorted(files, key=lambda file: file.file_id):
        if filled + file.info.size // 2 >= target:
            bundles.append([])
            filled = 0
        bundles[-1].append(file)
        filled += file.info.size
    return bundles
