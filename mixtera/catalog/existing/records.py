"""Records that a table places by offset and length: they lie one after the other, and nothing else between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np

from mixtera.catalog.existing.places import Batch, Int64s, Named, Places
from mixtera.contracts.format import FileFacts, Placed
from mixtera.contracts.storage import FileInfo
from mixtera.errors import CatalogError
from mixtera.registry import format_named, storage_of
from mixtera.scratch import scratch

if TYPE_CHECKING:
    from mixtera.spec.model import Source

_LINE_END: Final = (1, 2)
"""Bytes between two records that follow each other: a newline, perhaps with a carriage return."""


def check_files(files: Sequence[FileInfo], source: Source) -> None:
    """Refuse files whose records cannot be read by offset and length alone.

    Raises:
        CatalogError: No file of the format can.
        SampleError: One cannot.
        StorageError: One cannot be read.
    """
    kind = format_named(source.format)
    if not isinstance(kind, Placed):
        raise CatalogError(
            f"source {source.name!r}: records of the format {source.format} are not found by offset and length alone; "
            "with `table` use jsonl, or parquet with rows; or leave `table` out and let `mixtera index` read them"
        )
    for file in files:
        kind.check_placed(storage_of(file.url, source.storage), file)


@dataclass(frozen=True)
class Records:
    """The records of some files, as a table has them.

    Attributes:
        facts: What is known of each file.
        offsets: For each file the first byte of each record, where the table does not number them; else empty.
    """

    facts: list[FileFacts]
    offsets: list[Int64s]


def records_of(places: Places, named: Named, group: Int64s, files: Sequence[FileInfo]) -> Records:
    """What is known of the files by the offsets and lengths of a table.

    Args:
        places: Its keys.
        named: The files that it names.
        group: The number of the file that each of these is.
        files: The files.

    Raises:
        CatalogError: A record is there twice, lies beyond its file or in another one, or something lies between two.
    """
    rows = np.zeros(len(files), np.int64)
    if places.numbered:
        np.maximum.at(rows, group, named.rows)
        _check_sizes(places, rows, files)
    else:
        np.add.at(rows, group, named.rows)
    first = np.concatenate(([0], np.cumsum(rows)))
    behind, length = scratch(int(first[-1]), np.int64), scratch(int(first[-1]), np.int64)
    if places.numbered:
        for batch, place in places.checked(first, group):
            behind[place], length[place] = batch.keys["offset"] + 1, batch.keys["length"]
    else:
        _ranked(places, group, behind, length)
    parts = [slice(start, stop) for start, stop in pairwise(first.tolist())]
    facts = [_checked(places, file, behind[part], length[part]) for file, part in zip(files, parts, strict=True)]
    return Records(facts, [] if places.numbered else [behind[part] - 1 for part in parts])


def _check_sizes(places: Places, rows: Int64s, files: Sequence[FileInfo]) -> None:
    """A record has a byte at least."""
    for file, count in zip(files, rows.tolist(), strict=True):
        if count > file.size + 1:
            raise CatalogError(f"{places.shown} names row {count - 1} of {file.url}, which has {file.size} bytes")


def _ranked(places: Places, group: Int64s, behind: Int64s, length: Int64s) -> None:
    """Give rows that are not numbered their places: by file, then offset."""
    parts = [(batch.file, batch.keys["offset"], batch.keys["length"]) for batch in places.batches()]
    file, offset, lengths = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.lexsort((offset, group[file]))
    owner, start = group[file][order], offset[order]
    same = np.flatnonzero((np.diff(owner) == 0) & (np.diff(start) == 0))
    if len(same):
        at = int(order[same[0] + 1])
        raise places.twice(Batch(file, {"offset": offset}), at)
    behind[:], length[:] = start + 1, lengths[order]


def _checked(places: Places, file: FileInfo, behind: Int64s, length: Int64s) -> FileFacts:
    """The facts of a file: its rows, and the bytes of its records.

    Args:
        places: The keys.
        file: The file.
        behind: [rows] one more than the first byte of each record; 0 where the table does not have the row.
        length: [rows] its bytes.
    """
    row = np.flatnonzero(behind)
    start = behind[row] - 1
    stop = start + length[row]
    beyond = np.flatnonzero(stop > file.size)
    if len(beyond):
        raise CatalogError(
            f"{places.shown}: row {row[beyond[0]]} of {file.url} ends at byte {stop[beyond[0]]}, and the file has "
            f"{file.size}: it was written anew, or lengths are none of bytes"
        )
    gap = start[1:] - stop[:-1]
    wrong = np.flatnonzero((gap < min(_LINE_END)) | ((np.diff(row) == 1) & (gap > max(_LINE_END))))
    if len(wrong):
        at = int(wrong[0])
        raise CatalogError(_between(places, file, (int(row[at]), int(row[at + 1])), int(gap[at])))
    return FileFacts(len(behind), (), int(length.sum()))


def _between(places: Places, file: FileInfo, rows: tuple[int, int], gap: int) -> str:
    pair = f"rows {rows[0]} and {rows[1]} of {file.url}"
    if gap < min(_LINE_END):
        return (
            f"{places.shown}: {pair} have no line end between them: the second begins {gap} bytes behind the first; "
            "offsets and lengths are those of the record, without the line end"
        )
    advice = "number rows as the lines of the file" if places.numbered else "add a key `row` with the line, from 0"
    return f"{places.shown}: between {pair} lie {gap} bytes, more than a line end: the table lacks a line; {advice}"
