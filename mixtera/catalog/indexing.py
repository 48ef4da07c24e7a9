"""Bringing a source of the catalog up to date: list, compare, scan what is new, commit."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from mixtera.catalog.bad import check_bad
from mixtera.catalog.captured import check_captured
from mixtera.catalog.columns import SAMPLE_COLUMNS, sample_columns
from mixtera.catalog.definition import define
from mixtera.catalog.derived import fingerprint_of
from mixtera.catalog.executor import Executor
from mixtera.catalog.listing import Changes, compare
from mixtera.catalog.names import assign_file_ids
from mixtera.catalog.refresh import Refreshed, refresh
from mixtera.catalog.scanning import Findings, Noting, numbered_files, scan_files
from mixtera.catalog.sidecars import list_sidecars
from mixtera.catalog.staging import RunFacts, Staging
from mixtera.catalog.state import State, read_state, state_paths
from mixtera.contracts.storage import FileInfo
from mixtera.spec.model import Source

if TYPE_CHECKING:
    from mixtera.catalog.report import SourceReport
    from mixtera.catalog.tables import Tables


def index_source(
    tables: Tables, source: Source, files: Sequence[FileInfo], workers: Executor, progress: bool
) -> SourceReport:
    """Bring one source up to date; the caller holds the catalog's lock.

    Raises:
        SampleError: Records cannot be used, and more of them than the spec allows.
        StorageError: A file cannot be read or changed meanwhile; the catalog cannot be written.
        SpecError: A type cannot be inferred.
    """
    if source.table is not None:
        from mixtera.catalog.existing.pinning import pin_source

        return pin_source(tables, source, source.table, _taken(tables, source.name))
    before = read_state(tables, source.name)
    staging = Staging(tables.data_directory(source.name), tables.own_runs)
    if before is not None:
        staging.settle(lambda: state_paths(tables, before))
    changes = compare(source, files, before)
    sidecars = list_sidecars(source)
    if before is not None and _is_current(source, sidecars, before, changes):
        _check_bad(source, before, changes, [Findings()], whole=True)  # its limit may be another now
        staging.clean(())  # what dead runs have left is of no use; runs that the state needs are settled
        return _report(changes, before, None)
    check_captured(source, files)
    workers.start(len(changes.to_scan), sum(file.size for file in changes.to_scan))
    added, after = _update(tables, source, files, sidecars, before, changes, workers, progress)
    return _report(changes, after, added)


def _is_current(source: Source, sidecars: Sequence[Sequence[FileInfo]], before: State, changes: Changes) -> bool:
    definition = before.definition
    same = definition.paths == source.paths and definition.policy == source.on_bad_sample.policy
    joined = [table.fingerprint for table in definition.sidecars] == [fingerprint_of(found) for found in sidecars]
    exact = same and joined and definition.serves_exactly(source)
    return exact and not (changes.to_scan or changes.gone or changes.moved)


def _update(
    tables: Tables,
    source: Source,
    files: Sequence[FileInfo],
    sidecars: Sequence[tuple[FileInfo, ...]],
    before: State | None,
    changes: Changes,
    workers: Executor,
    progress: bool,
) -> tuple[Refreshed, State]:
    definition = define(source, files, sidecars, None if before is None else before.definition)
    columns = tables.field_ids(source.name, sample_columns(definition.types))
    staging = Staging(tables.data_directory(source.name), tables.own_runs)
    ids = _file_ids(tables, source.name, files, before)
    scanned = columns[: len(SAMPLE_COLUMNS) + len(definition.properties)]
    facts = RunFacts(definition.scanned, scanned)
    leftovers = staging.leftovers(facts, {file.name: file for file in changes.to_scan}, ids)
    run = staging.start(facts)
    to_scan = numbered_files(changes.to_scan, ids)
    prepare = partial(tables.prepare, source.name)
    findings = Findings()
    for staged in leftovers:
        findings.add(staged)
    with Noting(source, run, findings) as noting:
        scan_files(source, definition, scanned, to_scan, noting, workers, progress, prepare)
        whole = findings.files == len(changes.to_scan)
        _check_bad(source, before, changes, [findings], whole)
        added = refresh(
            source, definition, columns, before, changes, noting, sidecars, staging, workers, progress, tables.have
        )
        _check_bad(source, before, changes, [findings, added.findings], whole=True)
        from mixtera.catalog.commit import Outcome, commit

        derived = added.findings.staged
        outcome = Outcome(source.name, definition, columns, before, changes, findings.staged, run, derived)
        committed = commit(tables, outcome, noting.settle)
    staging.clean(committed.paths)
    return added, committed.state


def _check_bad(
    source: Source, before: State | None, changes: Changes, findings: Sequence[Findings], whole: bool
) -> None:
    """Refuse too many bad records: those of the scan, and those that added properties have shown, of kept files too."""
    from mixtera.catalog.commit import files_kept

    kept = files_kept(before, changes)
    found = sum(part.bad for part in findings)
    bad = found + _sum(kept, "skipped") + _sum(kept, "quarantined")
    samples = findings[0].samples + _sum(kept, "samples") - (found - findings[0].bad)
    check_bad(source, bad, samples, [record for part in findings for record in part.first_bad], whole)


def _file_ids(tables: Tables, source: str, files: Sequence[FileInfo], before: State | None) -> dict[str, int]:
    known = {} if before is None else _ids_by_name(before)
    return assign_file_ids(source, [file.name for file in files], known, _taken(tables, source))


def _taken(tables: Tables, source: str) -> set[int]:
    """Ids of the files of other sources."""
    states = (read_state(tables, other) for other in tables.sources() if other != source)
    return {file_id for state in states if state is not None for file_id in _ids_by_name(state).values()}


def _ids_by_name(state: State) -> dict[str, int]:
    return dict(zip(state.files["name"].to_pylist(), state.files["file_id"].to_pylist(), strict=True))


def _sum(table: pa.Table, column: str) -> int:
    return pc.sum(table[column]).as_py() or 0


def _report(changes: Changes, state: State, added: Refreshed | None) -> SourceReport:
    from mixtera.catalog.report import SourceReport

    return SourceReport(
        state.source,
        len(changes.new),
        len(changes.changed),
        len(changes.gone),
        len(changes.kept),
        len(state.files),
        _sum(state.files, "samples"),
        _sum(state.files, "skipped"),
        _sum(state.files, "quarantined"),
        sum(file.size for file in changes.to_scan),
        state.snapshot_id,
        () if added is None else added.columns,
        () if added is None else added.unmatched,
    )
