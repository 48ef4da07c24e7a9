"""`mixtera index` of a source with a table: pin it, check its keys, look at the files it names, commit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mixtera.arrow import from_numpy
from mixtera.catalog.columns import FILE_COLUMNS, Column, numbered, sample_columns, table_of
from mixtera.catalog.commit import Outcome, commit_samples, replace_files
from mixtera.catalog.durable import durable
from mixtera.catalog.existing.columns import columns_of
from mixtera.catalog.existing.held import key_files, open_held
from mixtera.catalog.existing.opening import Opened, open_table
from mixtera.catalog.existing.payload import facts_of, files_of, located, still_there
from mixtera.catalog.existing.places import Int64s, Places
from mixtera.catalog.existing.records import check_files, records_of
from mixtera.catalog.listing import Changes, same_fingerprint
from mixtera.catalog.model import Definition, TableDefinition
from mixtera.catalog.names import assign_file_ids
from mixtera.catalog.report import SourceReport
from mixtera.catalog.staging import RunFacts, Staging
from mixtera.catalog.state import (
    FILES_NAME,
    PATHS,
    PINNED,
    RANKS,
    SAMPLES,
    State,
    read_parquet,
    read_state,
    state_paths,
    summary_of,
)
from mixtera.catalog.verifying import FileDifference, SourceVerification
from mixtera.catalog.writing import ParquetFile, write_table
from mixtera.contracts.format import ContentColumn, FileFacts, PropertyColumn
from mixtera.contracts.storage import FileInfo
from mixtera.errors import CatalogError

if TYPE_CHECKING:
    from mixtera.catalog.tables import Tables
    from mixtera.spec.model import ExistingTable, Source

PINNED_COLUMNS: Final = numbered(
    [*(Column(name, "string") for name in ("url", "etag")), Column("size", "int64"), Column("modified_ns", "int64")]
)
RANK_COLUMNS: Final = numbered([Column("file_id", "int64"), Column("row", "int64"), Column("offset", "int64")])
PATH_COLUMNS: Final = numbered([Column("path", "string"), Column("file_id", "int64")])


@dataclass(frozen=True)
class _Found:
    """The files that a table names, each once.

    Attributes:
        infos: They, sorted by name.
        facts: What they say of themselves.
        samples: Rows of the table for each.
        paths: What the table calls them, and the number of the file that is meant.
        offsets: The first bytes of each one's records, where the table does not number them.
    """

    infos: list[FileInfo]
    facts: list[FileFacts]
    samples: list[int]
    paths: list[tuple[str, int]]
    offsets: list[Int64s]


def pin_source(tables: Tables, source: Source, table: ExistingTable, taken: set[int]) -> SourceReport:
    """Bring a source with a table up to date; the caller holds the catalog's lock.

    Args:
        tables: The catalog's tables.
        source: The source.
        table: Its table.
        taken: Ids of the files of other sources.

    Raises:
        CatalogError: The table cannot be used as it is; says why, and what to do.
        SampleError: A file is not of the source's format.
        StorageError: A file cannot be read; the catalog cannot be written.
    """
    before = read_state(tables, source.name)
    staging = Staging(tables.data_directory(source.name))
    if before is not None:
        staging.settle(lambda: state_paths(tables, before))
    opened, properties = _opened(source, table)
    definition = _definition(source, table, opened, properties)
    if before is not None and before.definition == definition and _same_files(before, source, table):
        staging.clean(())
        return _report(before, before)
    with _key_files(definition, opened.files) as files:
        found = _found(source, table, files, definition.content)
    known = {} if before is None else _ids(before)
    ids = assign_file_ids(source.name, [file.name for file in found.infos], known, taken)
    _commit(tables, source, definition, opened, found, ids, staging)
    after = read_state(tables, source.name)
    assert after is not None
    return _report(before, after)


def _opened(source: Source, table: ExistingTable) -> tuple[Opened, tuple[PropertyColumn, ...]]:
    """The newest state of a table, and the properties that it has."""
    if table.engine:
        return open_held(source, table)
    opened = open_table(table)
    if not opened.files:
        raise CatalogError(f"{table.shown} has no rows: there is nothing to mix")
    return opened, columns_of(source, table, opened)[1]


def _definition(
    source: Source, table: ExistingTable, opened: Opened, properties: tuple[PropertyColumn, ...]
) -> Definition:
    content = tuple(ContentColumn(field.name, field.path) for field in source.content)
    pinned = TableDefinition(table.format, table.at, table.keys, opened.version, table.engine, table.name)
    return Definition(source.format, source.paths, content, properties, source.on_bad_sample.policy, table=pinned)


@contextmanager
def _key_files(definition: Definition, pinned: tuple[FileInfo, ...]) -> Iterator[tuple[FileInfo, ...]]:
    """Parquet files with the keys of a table: those that were pinned, or one of what an engine says."""
    table = definition.table
    if table is None or not table.engine:
        yield pinned
    else:
        with key_files(table, definition.properties) as files:
            yield files


def _same_files(before: State, source: Source, table: ExistingTable) -> bool:
    """Whether the files that the table named are as they were."""
    rows = before.files.select(["name", "url", "size", "modified_ns", "etag"]).to_pylist()
    locations = [located(row["url"], source, table.shown) for row in rows]
    return all(map(same_fingerprint, rows, files_of(locations, source, table.shown)))


def _found(source: Source, table: ExistingTable, files: Sequence[FileInfo], content: Sequence[ContentColumn]) -> _Found:
    places = Places(table, files)
    named = places.named()
    locations = [located(value, source, table.shown) for value in named.values]
    offsets: list[Int64s] = []
    each = sorted({location.name: location for location in locations}.values(), key=lambda location: location.name)
    number = {location.name: place for place, location in enumerate(each)}
    group = np.array([number[location.name] for location in locations], np.int64)
    infos = files_of(each, source, table.shown)
    if "offset" in dict(table.keys):
        check_files(infos, source)
        records = records_of(places, named, group, infos)
        facts, offsets = records.facts, records.offsets
    else:
        facts = facts_of(infos, source, content)
        _check_rows(table, infos, facts, group, named.rows)
        first = np.concatenate(([0], np.cumsum([fact.rows for fact in facts])))
        for _ in places.checked(first, group):
            continue
    samples = np.bincount(group, named.samples, len(each)).astype(np.int64).tolist()
    return _Found(infos, facts, samples, list(zip(named.values, group.tolist(), strict=True)), offsets)


def _check_rows(
    table: ExistingTable, infos: Sequence[FileInfo], facts: Sequence[FileFacts], group: Int64s, rows: Int64s
) -> None:
    have = np.array([fact.rows for fact in facts], np.int64)
    wrong = np.flatnonzero(rows > have[group])
    if len(wrong):
        file = int(group[wrong[0]])
        raise CatalogError(
            f"{table.shown} names row {rows[wrong[0]] - 1} of {infos[file].url}, which has {have[file]} rows, counted "
            "from 0: the file was written anew, or the column counts from 1"
        )


def _ids(state: State) -> dict[str, int]:
    return dict(zip(state.files["name"].to_pylist(), state.files["file_id"].to_pylist(), strict=True))


def _commit(
    tables: Tables,
    source: Source,
    definition: Definition,
    opened: Opened,
    found: _Found,
    ids: dict[str, int],
    staging: Staging,
) -> None:
    columns = tables.field_ids(source.name, sample_columns(definition.types))
    run = staging.start(RunFacts(definition, columns))
    pinned = [{name: getattr(file, name) for name in ("url", "etag", "size", "modified_ns")} for file in opened.files]
    numbers = [ids[file.name] for file in found.infos]
    paths = [{"path": path, "file_id": numbers[file]} for path, file in found.paths]
    if pinned:  # an engine's table has no files
        write_table(run / PINNED, PINNED_COLUMNS, table_of(pinned, PINNED_COLUMNS))
    write_table(run / PATHS, PATH_COLUMNS, table_of(paths, PATH_COLUMNS))
    _write_ranks(run / RANKS, found.offsets, numbers)
    nothing = Changes((), (), (), (), moved=False)
    outcome = Outcome(source.name, definition, columns, None, nothing, (), run)
    made = {PINNED: bool(pinned), PATHS: True, RANKS: bool(found.offsets), FILES_NAME: True}
    written = [run / name for name, is_there in made.items() if is_there]
    with tables.together() as state, durable(run.parent.parent, {run}, state) as unflushed:
        snapshot_id = commit_samples(tables, outcome, [])
        summary = summary_of(definition, run, snapshot_id, None) | {SAMPLES: str(sum(found.samples))}
        replace_files(tables, source.name, run / FILES_NAME, _files(found, numbers), summary)
        unflushed.append(run / FILES_NAME)
        state += written
    staging.clean(written)


def _write_ranks(path: Path, offsets: Sequence[Int64s], ids: Sequence[int]) -> None:
    """Number the records of each file in the order in which they lie."""
    with ParquetFile(path, RANK_COLUMNS) as file:
        for starts, file_id in zip(offsets, ids, strict=bool(offsets)):
            file.add(
                [from_numpy(np.full(len(starts), file_id)), from_numpy(np.arange(len(starts))), from_numpy(starts)]
            )


def _files(found: _Found, ids: Sequence[int]) -> pa.Table:
    rows: list[dict[str, Any]] = [
        {
            "name": info.name,
            "url": info.url,
            "file_id": file_id,
            "rows": facts.rows,
            "samples": samples,
            "skipped": 0,
            "quarantined": 0,
            "size": info.size,
            "modified_ns": info.modified_ns,
            "etag": info.etag,
            "group_rows": list(facts.group_rows),
            "content_bytes": facts.content_bytes,
            "data_file": "",
            "frames": list(facts.frames),
            "beside": info.beside,
        }
        for info, facts, samples, file_id in zip(found.infos, found.facts, found.samples, ids, strict=True)
    ]
    return table_of(rows, FILE_COLUMNS)


def _report(before: State | None, after: State) -> SourceReport:
    marks = ("name", "size", "modified_ns", "etag", "samples")
    old = {} if before is None else {row["name"]: row for row in before.files.select(marks).to_pylist()}
    new = {row["name"]: row for row in after.files.select(marks).to_pylist()}
    same = sum(old.get(name) == row for name, row in new.items())
    changed = sum(name in old for name in new) - same
    samples = pc.sum(after.files["samples"]).as_py() or 0
    return SourceReport(
        after.source,
        len(new) - same - changed,
        changed,
        len(old.keys() - new.keys()),
        same,
        len(new),
        samples,
        0,
        0,
        0,
        after.snapshot_id,
    )


def verify_table(tables: Tables, source: Source, table: ExistingTable, state: State) -> SourceVerification:
    """Read the keys of what was pinned again, look at the files that they name, and hold both against the catalog.

    Raises:
        CatalogError: The table is not what was pinned, or names what is not there.
    """
    urls = dict(zip(state.files["name"].to_pylist(), state.files["url"].to_pylist(), strict=True))
    known = {row["name"]: row for row in state.files.to_pylist()}
    now = {file.name: file for file in still_there(urls, source)}
    wrong = [FileDifference(name, None, "is gone") for name in urls if name not in now]
    wrong += [
        FileDifference(name, None, "has changed since it was indexed")
        for name, file in now.items()
        if not same_fingerprint(known[name], file)
    ]
    samples = pc.sum(state.files["samples"]).as_py() or 0
    if not wrong:
        with _key_files(state.definition, () if table.engine else _pinned_files(tables, state)) as files:
            found = _found(source, table, files, state.definition.content)
        counts = {info.name: count for info, count in zip(found.infos, found.samples, strict=True)}
        wrong += [
            FileDifference(name, None, f"has {counts[name]:,} samples in the table, {row['samples']:,} before")
            for name, row in known.items()
            if counts[name] != row["samples"]
        ]
    return SourceVerification(source.name, len(now), samples, tuple(sorted(wrong, key=lambda one: one.file)))


def _pinned_files(tables: Tables, state: State) -> tuple[FileInfo, ...]:
    """The Parquet files of a table that were pinned."""
    tables.have([state.run / PINNED])
    rows = read_parquet(state.run / PINNED, PINNED_COLUMNS).to_pylist()
    return tuple(FileInfo(row["url"], "", row["size"], row["modified_ns"]) for row in rows)


def pinned_paths(run: Path) -> tuple[Path, Path, Path]:
    """Where a run has written what it pinned: the table's files, their names of the source's, and the ranks."""
    return run / PINNED, run / PATHS, run / RANKS
