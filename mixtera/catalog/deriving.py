"""Rows that the catalog has, written anew with other columns: read from the files, joined from tables, computed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import groupby, pairwise
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from msgspec.structs import replace

from mixtera.arrow import take, to_numpy
from mixtera.catalog.bundles import Scanned
from mixtera.catalog.captured import Captured
from mixtera.catalog.columns import BAD_COLUMNS
from mixtera.catalog.contents import Contents, cells, where
from mixtera.catalog.derivation import BasedFile, Derivation
from mixtera.catalog.functions import Call, call_of
from mixtera.catalog.joining import Joiner
from mixtera.catalog.scan import Advance, BadRecords, check_unchanged
from mixtera.catalog.writing import ParquetFile
from mixtera.contracts.format import PropertyColumn
from mixtera.contracts.storage import FileInfo, Storage
from mixtera.errors import StorageError
from mixtera.formats.sniff import naming_the_content
from mixtera.registry import format_named, storage_of_file

MOST_ROWS: Final = 8192
"""Rows that a function gets at once."""
MOST_BYTES: Final = 16 << 20
"""Bytes of content that a function gets at once, unless a single record is larger."""
STORED_ROWS: Final = 1 << 16
"""Rows of the catalog that are read at once."""

Part: TypeAlias = tuple[BasedFile, pa.RecordBatch]


def derive(piece: Derivation, advance: Advance) -> Scanned:
    """Write the rows of a piece with all its columns; what is written may not be on the disk yet.

    Raises:
        CatalogError: A sidecar cannot be joined.
        PluginError: A function is not there.
        SampleError: A function raised, or returned something else than it should; a record cannot be read.
        StorageError: A file cannot be read, or changed meanwhile; the Parquet file cannot be written.
    """
    calls = [call_of(piece.source, column, piece.folders) for column in piece.computed]
    samples = dict.fromkeys((file.file_id for file in piece.files), 0)
    directory = Path(piece.directory)
    with ExitStack() as stack:
        out = stack.enter_context(ParquetFile(directory / f"{piece.name}.parquet", piece.columns, flushed=False))
        refused = ParquetFile(directory / f"{piece.name}.bad.parquet", BAD_COLUMNS, flushed=False)
        bad = BadRecords(stack.enter_context(refused))
        contents = stack.enter_context(Contents(piece.format, piece.needed, piece.storage))
        joiner = Joiner(piece)
        captured = Captured(piece.paths, piece.scan)
        read = captured.of_records
        rows = _scanned(piece, read, bad) if read else _stored(piece.files, piece.keep)
        rows = _with_captured(captured, rows) if len(read) < len(piece.scan) else rows
        rows = joiner.joined(rows) if joiner.matched else rows
        for cell in cells(rows, MOST_ROWS, MOST_BYTES):
            values = _computed(calls, cell, contents)
            out.add([values[column.name] for column in piece.columns])
            for file, part in cell:
                samples[file.file_id] += part.num_rows
            advance(sum(_bytes(part) for part in cell), sum(part.num_rows for _, part in cell))
    if read or piece.needed:
        for file in piece.files:
            check_unchanged(piece.source, file.info, _storage(file.info, piece).stat(file.info.url))
    for number in joiner.matched:
        for side in piece.tables[number]:
            check_unchanged(piece.source, side, _storage(side, piece).stat(side.url))
    return _result(piece, samples, bad, joiner)


def _result(piece: Derivation, samples: dict[int, int], bad: BadRecords, joiner: Joiner) -> Scanned:
    return Scanned(
        f"{piece.name}.parquet" if any(samples.values()) else "",
        f"{piece.name}.bad.parquet" if bad.written else "",
        tuple(replace(file.scanned, samples=samples[file.file_id]) for file in piece.files),
        tuple(bad.first),
        bad.count,
        tuple(joiner.matched.items()),
    )


def _bytes(part: Part) -> int:
    """Bytes of a file that so many of its rows stand for."""
    file, rows = part
    count: int = rows.num_rows
    return file.info.size * count // max(file.scanned.samples, 1)


def _stored(files: Sequence[BasedFile], names: Sequence[str]) -> Iterator[Part]:
    """Rows of files as the catalog has them, in its order."""
    known = {file.file_id: file for file in files}
    with pq.ParquetFile(files[0].base) as parquet:
        groups = _groups(parquet, min(known), max(known))
        for batch in parquet.iter_batches(STORED_ROWS, row_groups=groups, columns=list(names)):
            ids = to_numpy(batch.column("file_id"))
            bounds = [0, *(np.flatnonzero(np.diff(ids)) + 1).tolist(), len(ids)]
            for low, high in pairwise(bounds):
                file = known.get(int(ids[low])) if high > low else None
                if file is not None:
                    yield file, batch.slice(low, high - low)


def _groups(parquet: pq.ParquetFile, lowest: int, highest: int) -> list[int]:
    """Row groups that may have rows of files with such ids."""
    metadata = parquet.metadata
    column = parquet.schema_arrow.get_field_index("file_id")
    found = []
    for group in range(metadata.num_row_groups):
        facts = metadata.row_group(group).column(column).statistics
        known = facts is not None and facts.has_min_max
        if not known or (facts.min <= highest and facts.max >= lowest):
            found.append(group)
    return found


def _storage(file: FileInfo, piece: Derivation) -> Storage:
    return storage_of_file(file, piece.storage)


def _scanned(piece: Derivation, read: Sequence[PropertyColumn], bad: BadRecords) -> Iterator[Part]:
    """Stored rows with properties that are read from their files; rows whose property has a wrong type are bad."""
    for file, stored in groupby(_stored(piece.files, piece.keep), key=lambda part: part[0]):
        storage = _storage(file.info, piece)
        rows = _Rows(file, (batch for _, batch in stored))
        with naming_the_content(storage, file.info, piece.format):
            scan = format_named(piece.format).scan(storage, file.info, read, piece.content)
            for found in scan:
                bad.add(file.info.name, found.bad, keep=piece.policy == "quarantine")
                if found.table.num_rows:
                    have = rows.of(to_numpy(found.table.column("row")).astype(np.int64))
                    more = {column.name: found.table.column(column.name) for column in read}
                    yield file, _beside(have, more)


def _with_captured(captured: Captured, rows: Iterator[Part]) -> Iterator[Part]:
    """Rows with what the paths of their files say."""
    for file, parts in groupby(rows, key=lambda part: part[0]):
        values = captured.values(file.info)
        for _, batch in parts:
            yield file, _beside(batch, {name: pa.repeat(value, batch.num_rows) for name, value in values.items()})


class _Rows:
    """Stored rows of a file, found by their number as these come, ascending."""

    def __init__(self, file: BasedFile, stored: Iterator[pa.RecordBatch]) -> None:
        self._file, self._stored = file, stored
        self._waiting: list[pa.RecordBatch] = []

    def of(self, wanted: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> pa.RecordBatch:
        """The rows of these numbers.

        Raises:
            StorageError: The catalog does not have one of them.
        """
        while not self._waiting or self._waiting[-1].column("row")[-1].as_py() < wanted[-1]:
            batch = next(self._stored, None)
            if batch is None:
                break
            self._waiting.append(batch)
        have = pa.concat_batches(self._waiting) if self._waiting else None
        numbers = np.empty(0, np.int64) if have is None else to_numpy(have.column("row")).astype(np.int64)
        places = np.searchsorted(numbers, wanted)
        if have is None or places[-1] >= len(numbers) or (numbers[places] != wanted).any():
            raise StorageError(
                f"{self._file.info.url} has other records than when it was indexed, and looks the same from outside; "
                "restore it, or drop its source from the catalog (`mixtera catalog drop`) and index it again"
            )
        rest = have.slice(int(places[-1]) + 1)
        self._waiting = [rest] if rest.num_rows else []
        return take(have, places)


def _beside(rows: pa.RecordBatch, more: dict[str, pa.Array]) -> pa.RecordBatch:
    names = [*rows.schema.names, *more]
    return pa.RecordBatch.from_arrays([*rows.columns, *more.values()], names=names)


def _computed(calls: Sequence[Call], cell: Sequence[Part], contents: Contents) -> dict[str, pa.Array]:
    """All columns of some rows, the computed ones among them."""
    rows = pa.concat_batches([part for _, part in cell]) if len(cell) > 1 else cell[0][1]
    values = dict(zip(rows.schema.names, rows.columns, strict=True))
    content = contents.read(cell) if calls else {}
    for call in calls:
        names = call.column.columns
        columns = [content[name] if name in content else values[name] for name in names]
        batch = pa.RecordBatch.from_arrays(columns, names=list(names))
        values[call.column.name] = call.values(batch, where(cell))
    return values
