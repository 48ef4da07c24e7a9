"""From what a run has scanned to a new state of a source: rows of changed files out, new ones in, at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mixtera.catalog.bundles import ScannedFile
from mixtera.catalog.columns import BAD_COLUMNS, FILE_COLUMNS, ROW_GROUP_ROWS, Column, table_of
from mixtera.catalog.durable import durable
from mixtera.catalog.listing import Changes
from mixtera.catalog.model import Definition, Policy
from mixtera.catalog.staging import Staged
from mixtera.catalog.state import FILES_NAME, State, read_bad, read_columns, read_parquet, summary_of
from mixtera.catalog.writing import ParquetFile, write_table
from mixtera.contracts.properties import PropertyType
from mixtera.formats.arrays import property_array

if TYPE_CHECKING:
    from mixtera.catalog.tables import Role, Tables

MOST_SMALL_FILES: Final = 16
"""When a snapshot would keep so many Parquet files with less than a row group each, they are merged into one."""


@dataclass(frozen=True)
class Outcome:
    """Everything a run found for one source, ready to be committed.

    Attributes:
        source: Name of the source.
        definition: What it was indexed as.
        columns: Columns of its samples table, with field ids.
        before: The state before.
        changes: Which files are new, changed, gone and kept.
        staged: Bundles that hold the new and changed files.
        run: Directory of this run, beside those of all others.
        derived: Pieces that hold the rows of some of these files, and of kept ones, with all columns.
    """

    source: str
    definition: Definition
    columns: tuple[Column, ...]
    before: State | None
    changes: Changes
    staged: Sequence[Staged]
    run: Path
    derived: Sequence[Staged] = ()


@dataclass(frozen=True)
class Committed:
    """What was committed.

    Attributes:
        state: The new state.
        paths: Files of this run, and of dead ones, that belong to it.
    """

    state: State
    paths: list[Path]


def commit(tables: Tables, outcome: Outcome, settled: Callable[[], None] | None = None) -> Committed:
    """Commit a new state.

    Args:
        tables: The catalog's tables.
        outcome: What to commit.
        settled: Returns when what the run has written is on the disk; None: it is.

    Raises:
        StorageError: Something could not be written; the old state stays.
    """
    files = _files(tables, outcome)
    data = [outcome.run.parent / name for name in pc.unique(files["data_file"]).to_pylist() if name]
    path = outcome.run / FILES_NAME
    runs = {outcome.run, *(staged.directory for staged in (*outcome.staged, *outcome.derived))}
    with tables.together() as state, durable(outcome.run.parent.parent, runs, state) as written:
        snapshot_id = commit_samples(tables, outcome, data)
        bad, bad_snapshot_id = _commit_bad(tables, outcome)
        summary = summary_of(outcome.definition, outcome.run, snapshot_id, bad_snapshot_id)
        replace_files(tables, outcome.source, path, files, summary)
        written += [*bad, path]
        state += [*data, *bad, path]
        if settled is not None:
            settled()
    now = State(outcome.source, outcome.definition, snapshot_id, bad_snapshot_id, files.combine_chunks(), outcome.run)
    return Committed(now, [*data, *bad, path])


def _files(tables: Tables, outcome: Outcome) -> pa.Table:
    """The files table of the new state; writes the Parquet files that kept files move to."""
    derived = {file.info.name: (staged, file) for staged in outcome.derived for file in staged.scanned.files}
    kept = files_kept(outcome.before, outcome.changes)
    anew = any(name in derived for name in kept["name"].to_pylist())
    moved = {} if anew else _rewrite(tables, outcome, kept)
    names = [moved.get(name, name) for name in kept["data_file"].to_pylist()]
    kept = _with(kept, "data_file", names, "string")
    files = pa.concat_tables([kept, _new_files(outcome)]).sort_by("name")
    return _derived_files(files, derived, outcome.definition.policy)


def _derived_files(files: pa.Table, derived: Mapping[str, tuple[Staged, ScannedFile]], policy: Policy) -> pa.Table:
    """The files table with the pieces that hold the rows now; rows that turned out bad are no samples any more."""
    rows = files.select(["name", "samples", "skipped", "quarantined", "data_file"]).to_pylist()
    for row in rows:
        if row["name"] in derived:
            staged, file = derived[row["name"]]
            lost = row["samples"] - file.samples
            row["samples"] = file.samples
            row["quarantined" if policy == "quarantine" else "skipped"] += lost
            row["data_file"] = staged.data_file if file.samples else ""
    for column in ("samples", "skipped", "quarantined"):
        files = _with(files, column, [row[column] for row in rows], "int64")
    return _with(files, "data_file", [row["data_file"] for row in rows], "string")


def _with(table: pa.Table, column: str, values: list[object], type_: PropertyType) -> pa.Table:
    return table.set_column(table.schema.get_field_index(column), column, property_array(values, type_))


def files_kept(before: State | None, changes: Changes) -> pa.Table:
    """Rows of the files table that stay, with the URLs that the files have now."""
    if before is None:
        return table_of([], FILE_COLUMNS)
    kept = _of(before.files, "name", changes)
    urls = {file.name: file.url for file in changes.kept}
    return _with(kept, "url", [urls[name] for name in kept["name"].to_pylist()], "string")


def _of(table: pa.Table, column: str, changes: Changes) -> pa.Table:
    names = property_array([file.name for file in changes.kept], "string")
    return table.filter(pc.is_in(table[column], names))


def _new_files(outcome: Outcome) -> pa.Table:
    skipping = outcome.definition.policy != "quarantine"
    rows = [
        {
            "name": file.info.name,
            "url": file.info.url,
            "file_id": file.file_id,
            "rows": file.rows,
            "samples": file.samples,
            "skipped": file.bad if skipping else 0,
            "quarantined": 0 if skipping else file.bad,
            "size": file.info.size,
            "modified_ns": file.info.modified_ns,
            "etag": file.info.etag,
            "group_rows": list(file.group_rows),
            "content_bytes": file.content_bytes,
            "data_file": staged.data_file if file.samples else "",
            "frames": list(file.frames),
            "beside": file.info.beside,
        }
        for staged in outcome.staged
        for file in staged.scanned.files
    ]
    return table_of(rows, FILE_COLUMNS)


def _rewrite(tables: Tables, outcome: Outcome, kept: pa.Table) -> dict[str, str]:
    """Copy the rows of kept files out of Parquet files that also hold others, and merge small Parquet files.

    Returns:
        Old name → new name of each Parquet file that was copied.
    """
    if outcome.before is None:
        return {}
    sums = kept.group_by("data_file").aggregate([("samples", "sum"), ("file_id", "list")])
    rows = dict(zip(sums["data_file"].to_pylist(), sums["samples_sum"].to_pylist(), strict=True))
    small = sorted(name for name, count in rows.items() if name and count < ROW_GROUP_ROWS)
    merged = small if len(small) >= MOST_SMALL_FILES else []
    stale = _stale(outcome.before.files, outcome.changes) & rows.keys()
    moved: dict[str, str] = {}
    for number, group in enumerate([*([merged] if merged else []), *([name] for name in sorted(stale - set(merged)))]):
        target = f"{outcome.run.name}/kept-{number}.parquet"
        paths = [outcome.run.parent / name for name in group]
        tables.have(paths)
        _copy(paths, kept, outcome.run.parent / target, outcome.columns)
        moved |= dict.fromkeys(group, target)
    return moved


def _stale(files: pa.Table, changes: Changes) -> set[str]:
    names = property_array([file.name for file in changes.kept], "string")
    dropped = files.filter(pc.invert(pc.is_in(files["name"], names)))
    return {name for name in dropped["data_file"].to_pylist() if name}


def _copy(paths: Sequence[Path], kept: pa.Table, target: Path, columns: Sequence[Column]) -> None:
    ids = kept["file_id"].combine_chunks()
    with ParquetFile(target, columns) as file:
        for batch in _sorted_batches(paths, [column.name for column in columns]):
            file.add(batch.filter(pc.is_in(batch.column("file_id"), ids)).columns)


def _sorted_batches(paths: Sequence[Path], names: Sequence[str]) -> Iterator[pa.RecordBatch]:
    if len(paths) == 1:
        with pq.ParquetFile(paths[0]) as file:
            yield from file.iter_batches(ROW_GROUP_ROWS, columns=names)
        return
    tables = [read_columns(path, names) for path in paths]
    yield from pa.concat_tables(tables).sort_by([("file_id", "ascending"), ("row", "ascending")]).to_batches()


def commit_samples(tables: Tables, outcome: Outcome, data: Sequence[Path]) -> int:
    """Make the samples table of a source consist of some Parquet files; the id of its snapshot."""
    table = tables.load(outcome.source, "samples")
    if table is None:
        return tables.create(outcome.source, "samples", outcome.columns, data, {})
    from mixtera.catalog.schemas import evolved

    before = outcome.before
    same = not outcome.staged and not outcome.derived
    if before is not None and same and tables.data_paths(table, before.snapshot_id) == sorted(data):
        return before.snapshot_id
    transaction, columns = evolved(table, outcome.columns)
    assert columns == outcome.columns  # the Parquet files carry the field ids of the table
    return tables.replace(transaction, table, columns, data, {})


def _commit_bad(tables: Tables, outcome: Outcome) -> tuple[list[Path], int | None]:
    before = outcome.before
    old = table_of([], BAD_COLUMNS) if before is None else read_bad(tables, before)
    kept = _of(old, "file", outcome.changes)
    new = [path for staged in (*outcome.staged, *outcome.derived) if (path := staged.bad_path) is not None]
    if not new and len(kept) == len(old):
        return [], before.bad_snapshot_id if before is not None else None
    whole = pa.concat_tables([kept, *(read_parquet(path, BAD_COLUMNS) for path in new)])
    path = outcome.run / "bad.parquet"
    whole = whole.sort_by([("file", "ascending"), ("row", "ascending")])
    written = write_table(path, BAD_COLUMNS, whole, flushed=False)
    paths = [path] if written else []
    return paths, _replace(tables, outcome.source, "bad", BAD_COLUMNS, paths, {})


def replace_files(tables: Tables, source: str, path: Path, files: pa.Table, summary: dict[str, str]) -> None:
    """Commit a files table, which gets columns that an older release did not know; its file is not flushed."""
    table = tables.load(source, "files")
    if table is None:
        write_table(path, FILE_COLUMNS, files, flushed=False)
        tables.create(source, "files", FILE_COLUMNS, [path], summary)
        return
    from mixtera.catalog.schemas import evolved

    transaction, columns = evolved(table, FILE_COLUMNS)
    write_table(path, columns, files, flushed=False)
    tables.replace(transaction, table, columns, [path], summary)


def _replace(
    tables: Tables, source: str, role: Role, columns: Sequence[Column], paths: Sequence[Path], summary: dict[str, str]
) -> int:
    """Make a table of fixed columns consist of some Parquet files; made where there is none."""
    table = tables.load(source, role)
    if table is None:
        return tables.create(source, role, columns, paths, summary)
    return tables.replace(table.transaction(), table, columns, paths, summary)
