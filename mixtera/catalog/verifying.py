"""Reading every file again, and holding what is found against the catalog, which is never changed.

The files behind one Parquet file of the catalog are scanned into a temporary one of the same columns and order, so the
two are the same row by row, or name the file and the first row where they are not.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mixtera.arrow import to_numpy
from mixtera.catalog.bundles import Bundle, NumberedFile, Scanned
from mixtera.catalog.columns import ROW_GROUP_ROWS, sample_columns
from mixtera.catalog.executor import Executor
from mixtera.catalog.listing import same_fingerprint
from mixtera.catalog.progress import shown
from mixtera.catalog.state import State
from mixtera.catalog.work import Work
from mixtera.contracts.storage import FileInfo
from mixtera.spec.model import Source

if TYPE_CHECKING:
    from mixtera.catalog.tables import Tables

_COUNTS: Final = ("rows", "samples", "bad", "group_rows", "content_bytes")
_SHOWN: Final = 60


@dataclass(frozen=True, slots=True)
class FileDifference:
    """A file that is not as the catalog has it.

    Attributes:
        file: Its name.
        row: The first row that differs; None where the difference is no row's.
        what: The difference, in words.
    """

    file: str
    row: int | None
    what: str


@dataclass(frozen=True, slots=True)
class SourceVerification:
    """What a source is, held against the catalog.

    Attributes:
        source: Its name.
        files: Files that were read again.
        samples: Samples that the catalog has of them.
        differences: Files that are not as the catalog has them, by name.
    """

    source: str
    files: int
    samples: int
    differences: tuple[FileDifference, ...]


def verify_source(
    tables: Tables, source: Source, state: State, files: Sequence[FileInfo], workers: Executor, progress: bool
) -> SourceVerification:
    """Read the files of a source again; those that are new, changed or gone are differences and not read.

    Raises:
        SampleError: A file as a whole is not of its format.
        StorageError: A file cannot be read.
    """
    known = {row["name"]: row for row in state.files.to_pylist()}
    found = [FileDifference(name, None, "is gone") for name in known.keys() - {file.name for file in files}]
    kept = []
    for file in files:
        if file.name not in known:
            found.append(FileDifference(file.name, None, "is new: it was never indexed"))
        elif same_fingerprint(known[file.name], file):
            kept.append(NumberedFile(file, known[file.name]["file_id"]))
        else:
            found.append(FileDifference(file.name, None, "has changed since it was indexed"))
    workers.start(len(kept), sum(file.info.size for file in kept))
    with tempfile.TemporaryDirectory(prefix="mixtera-verify-") as directory:
        bundles = _bundles(source, state, kept, known, directory)

        def finished(bundle: Work, scanned: Scanned) -> bool:
            assert isinstance(bundle, Bundle)
            old = known[bundle.files[0].info.name]["data_file"]
            path = tables.data_directory(source.name) / old if old else None
            tables.have([] if path is None else [path])
            pair = (path, _path(directory, scanned))
            found.extend(_differences(bundle, scanned, known, pair))
            if pair[1] is not None:
                pair[1].unlink()
            return True

        with shown(source.name, sum(bundle.bytes for bundle in bundles), progress) as advance:
            workers.scan(bundles, advance, finished, lambda: None)
    samples = sum(known[file.info.name]["samples"] for file in kept)
    return SourceVerification(source.name, len(kept), samples, tuple(sorted(found, key=lambda one: one.file)))


def _bundles(
    source: Source, state: State, files: Sequence[NumberedFile], known: Mapping[str, dict[str, Any]], directory: str
) -> list[Bundle]:
    """The files of each Parquet file of the catalog, in its order. Bad records are counted, not refused."""
    definition = state.definition
    columns = sample_columns(definition.scanned.types)
    groups: dict[str, list[NumberedFile]] = {}
    for file in sorted(files, key=lambda file: file.file_id):
        groups.setdefault(known[file.info.name]["data_file"], []).append(file)
    return [
        Bundle(
            source.name,
            definition.format,
            definition.properties,
            definition.content,
            source.paths,
            columns,
            "skip",
            tuple(group),
            directory,
            str(number),
            source.storage,
        )
        for number, group in enumerate(groups.values())
    ]


def _path(directory: str, scanned: Scanned) -> Path | None:
    return Path(directory) / scanned.data_file if scanned.data_file else None


def _differences(
    bundle: Bundle, scanned: Scanned, known: Mapping[str, dict[str, Any]], pair: tuple[Path | None, Path | None]
) -> Iterator[FileDifference]:
    names = {file.file_id: file.info.name for file in bundle.files}
    columns = [column.name for column in bundle.columns]
    pieces = [_files(path, columns, set(names)) for path in pair]
    old, new = next(pieces[0], None), next(pieces[1], None)
    differing: dict[str, FileDifference] = {}
    while old is not None or new is not None:
        file_id = min(one[0] for one in (old, new) if one is not None)
        tables = [one[1] if one is not None and one[0] == file_id else None for one in (old, new)]
        name = names[file_id]
        if (difference := _first_difference(name, tables[0], tables[1])) is not None:
            differing[name] = difference
        old = next(pieces[0], None) if tables[0] is not None else old
        new = next(pieces[1], None) if tables[1] is not None else new
    for file in scanned.files:
        name = file.info.name
        row = known[name]
        before = (row["rows"], row["samples"], row["skipped"] + row["quarantined"], row["group_rows"])
        now = (file.rows, file.samples, file.bad, list(file.group_rows))
        if name in differing:
            yield differing[name]
        elif (*before, row["content_bytes"]) != (*now, file.content_bytes):
            pairs = zip(_COUNTS, (*before, row["content_bytes"]), (*now, file.content_bytes), strict=True)
            said = ", ".join(f"{what} {one} in the catalog, {two} now" for what, one, two in pairs if one != two)
            yield FileDifference(name, None, said)


def _files(path: Path | None, columns: Sequence[str], wanted: set[int]) -> Iterator[tuple[int, pa.Table]]:
    """The rows of each file in a Parquet file of the catalog, which are together and in the order of file ids."""
    if path is None:
        return
    waiting: list[pa.RecordBatch] = []
    with pq.ParquetFile(path) as parquet:
        for batch in parquet.iter_batches(ROW_GROUP_ROWS, columns=list(columns)):
            ids = to_numpy(batch.column(0))
            edges = [0, *(np.flatnonzero(np.diff(ids)) + 1).tolist(), len(ids)]
            for start, stop in pairwise(edges):
                piece = batch.slice(start, stop - start)
                if waiting and waiting[-1].column(0)[0] != piece.column(0)[0]:
                    yield from _whole(waiting, columns, wanted)
                    waiting = []
                waiting.append(piece)
    yield from _whole(waiting, columns, wanted)


def _whole(pieces: list[pa.RecordBatch], columns: Sequence[str], wanted: set[int]) -> Iterator[tuple[int, pa.Table]]:
    if pieces and (file_id := pieces[0].column(0)[0].as_py()) in wanted:
        yield file_id, pa.Table.from_batches(pieces).select(list(columns[1:])).combine_chunks()


def _first_difference(name: str, old: pa.Table | None, new: pa.Table | None) -> FileDifference | None:
    if old is None or new is None:
        only = new if old is None else old
        assert only is not None
        where = "now, and is not in the catalog" if old is None else "in the catalog, and not now"
        return FileDifference(name, only.column("row")[0].as_py(), f"is there {where}")
    if old.num_rows == new.num_rows and all(_same(old.column(one), new.column(one)) for one in old.column_names):
        return None
    count = min(old.num_rows, new.num_rows)
    place = _first(lambda start, stop: _equal(old.slice(start, stop - start), new.slice(start, stop - start)), count)
    if place == count:
        longer, where = (
            (old, "in the catalog, and not now") if old.num_rows > count else (new, "now, and not in the catalog")
        )
        return FileDifference(name, longer.column("row")[count].as_py(), f"is there {where}")
    before, now = (table.slice(place, 1).to_pylist()[0] for table in (old, new))
    row = min(before["row"], now["row"])
    if before["row"] != now["row"]:
        where = "in the catalog, and not now" if before["row"] < now["row"] else "now, and not in the catalog"
        return FileDifference(name, row, f"is there {where}")
    said = "; ".join(
        f"{what} {_short(before[what])} in the catalog, {_short(now[what])} now"
        for what in before
        if not _equal(old.select([what]).slice(place, 1), new.select([what]).slice(place, 1))
    )
    return FileDifference(name, row, said)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _equal(one: pa.Table, other: pa.Table) -> bool:
    return all(_same(one.column(name), other.column(name)) for name in one.column_names)


def _same(one: pa.ChunkedArray, other: pa.ChunkedArray) -> bool:
    return bool(one.equals(other)) if one.type == other.type else bool(pc.cast(one, other.type).equals(other))


def _first(equal: Callable[[int, int], bool], count: int) -> int:
    """The first place where two tables differ, by halving; `count` where they do not."""
    start, stop = 0, count
    if equal(start, stop):
        return count
    while stop - start > 1:
        middle = (start + stop) // 2
        start, stop = (middle, stop) if equal(start, middle) else (start, middle)
    return start
