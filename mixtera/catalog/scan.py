"""Scanning a bundle: every file is read once, and its index goes to a Parquet file of the catalog as it comes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pyarrow as pa

from mixtera.arrow import from_numpy
from mixtera.catalog.bundles import SHOWN_BAD_SAMPLES, BadRecord, Bundle, NumberedFile, Scanned, ScannedFile
from mixtera.catalog.captured import Captured
from mixtera.catalog.columns import BAD_COLUMNS
from mixtera.catalog.watching import Watched
from mixtera.catalog.writing import ParquetFile
from mixtera.contracts.format import BadSample, FileFacts, ScanBatch
from mixtera.contracts.storage import FileInfo, Storage
from mixtera.errors import SampleError, StorageError
from mixtera.formats.sniff import hint, naming_the_content, unread_hint
from mixtera.registry import format_named

Advance: TypeAlias = Callable[[int, int], None]
"""Called with bytes and rows that were read since the last call."""

MOST_ROWS = 1 << 31
"""Rows a file may have: a sample id is the file id followed by 31 bits of row."""


def scan_bundle(bundle: Bundle, advance: Advance) -> Scanned:
    """Scan the files of a bundle and write their index, which may not be on the disk yet.

    With policy `fail` it stops after the first file that has bad records.

    Raises:
        SampleError: A file as a whole is not of its format, or has too many rows.
        StorageError: A file cannot be read, or changed meanwhile; the Parquet file cannot be written.
    """
    directory = Path(bundle.directory)
    captured = Captured(bundle.paths, bundle.properties)
    with ExitStack() as stack:
        samples = stack.enter_context(ParquetFile(directory / f"{bundle.name}.parquet", bundle.columns, flushed=False))
        refused = ParquetFile(directory / f"{bundle.name}.bad.parquet", BAD_COLUMNS, flushed=False)
        bad = BadRecords(stack.enter_context(refused))
        files: list[ScannedFile] = []
        for file in bundle.files:
            files.append(_scan_file(bundle, file, captured, samples, bad, advance))
            if bundle.policy == "fail" and bad.count:
                break
    return Scanned(
        f"{bundle.name}.parquet" if any(file.samples for file in files) else "",
        f"{bundle.name}.bad.parquet" if bad.written else "",
        tuple(files),
        tuple(bad.first),
        bad.count,
    )


def _scan_file(
    bundle: Bundle, file: NumberedFile, captured: Captured, samples: ParquetFile, bad: BadRecords, advance: Advance
) -> ScannedFile:
    with Watched(file.info, bundle.storage) as storage:
        return _scan_watched(bundle, file, captured, storage, samples, bad, advance)


def _scan_watched(
    bundle: Bundle,
    file: NumberedFile,
    captured: Captured,
    storage: Watched,
    samples: ParquetFile,
    bad: BadRecords,
    advance: Advance,
) -> ScannedFile:
    names = [column.name for column in bundle.columns[1:]]
    rows, bad_before = 0, bad.count
    of_path = captured.values(file.info)
    with naming_the_content(storage, file.info, bundle.format):
        scan = format_named(bundle.format).scan(storage, file.info, captured.of_records, bundle.content)
        for piece in scan:
            if piece.table.num_rows:
                samples.add(_columns(file.file_id, piece, names, of_path))
            bad.add(file.info.name, piece.bad, keep=bundle.policy == "quarantine")
            rows += piece.table.num_rows
            advance(piece.bytes_read, piece.table.num_rows)
    facts = scan.facts()
    if not rows and facts.rows:
        _check_format(bundle, storage, file.info, facts.rows)
    _check_rows(bundle.source, file.info, facts)
    check_unchanged(bundle.source, file.info, storage.now())
    return ScannedFile(
        file.info,
        file.file_id,
        facts.rows,
        rows,
        bad.count - bad_before,
        facts.group_rows,
        facts.content_bytes,
        facts.frames,
    )


def _columns(file_id: int, piece: ScanBatch, names: Sequence[str], of_path: Mapping[str, pa.Scalar]) -> list[pa.Array]:
    """What the catalog has of a piece: ids, what the format has found, and what is the same for the whole file."""
    count = piece.table.num_rows
    ids = from_numpy(np.full(count, file_id, np.int64))
    return [
        ids,
        *(pa.repeat(of_path[name], count) if name in of_path else piece.table.column(name) for name in names),
    ]


def _check_format(bundle: Bundle, storage: Storage, file: FileInfo, rows: int) -> None:
    """Refuse a file in which nothing is a record and whose first bytes are those of another format.

    Under the policy `fail`, a file of which no format reads what it looks like is refused as a whole, too.
    """
    said = hint(storage, file, bundle.format, only_certain=True) if rows > 1 else ""
    if not said and bundle.policy == "fail":
        said = unread_hint(storage, file)
    if said:
        raise SampleError(f"source {bundle.source!r}: {file.url} has no record of the format {bundle.format!r}; {said}")


def _check_rows(source: str, file: FileInfo, facts: FileFacts) -> None:
    if facts.rows > MOST_ROWS:
        raise SampleError(
            f"source {source!r}: {file.url} has {facts.rows:,} rows; a file may have {MOST_ROWS:,} at most: split it"
        )


def check_unchanged(source: str, before: FileInfo, now: FileInfo) -> None:
    """Refuse a file that is not any more what it was when it was listed.

    Raises:
        StorageError: So it is.
    """
    if (before.size, before.modified_ns, before.etag) != (now.size, now.modified_ns, now.etag):
        raise StorageError(
            f"source {source!r}: {before.url} changed while it was indexed; "
            "run `mixtera index` again once nobody writes to it"
        )


class BadRecords:
    """Counts bad records, keeps the first few, and writes all of them down when they are quarantined."""

    def __init__(self, file: ParquetFile) -> None:
        self._file = file
        self.first: list[BadRecord] = []
        self.count = 0
        self.written = 0

    def add(self, name: str, bad: Sequence[BadSample], keep: bool) -> None:
        """Take in bad records of a file; `keep` writes them down."""
        room = SHOWN_BAD_SAMPLES - len(self.first)
        self.first += [BadRecord(name, sample) for sample in bad[: max(room, 0)]]
        self.count += len(bad)
        if keep and bad:
            self.written += len(bad)
            self._file.add(
                [
                    pa.array([name] * len(bad)),
                    pa.array([sample.row for sample in bad]),
                    pa.array([sample.offset for sample in bad]),
                    pa.array([sample.reason for sample in bad]),
                    pa.array([sample.excerpt for sample in bad]),
                ]
            )
