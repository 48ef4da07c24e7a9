"""Bringing a source of the catalog up to date: list, compare, scan what is new, commit."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from mixtera.catalog.bad import check_bad
from mixtera.catalog.captured import check_captured
from mixtera.catalog.columns import sample_columns
from mixtera.catalog.definition import define
from mixtera.catalog.listing import Changes, compare
from mixtera.catalog.model import SourceReport
from mixtera.catalog.names import assign_file_ids
from mixtera.catalog.pool import Workers
from mixtera.catalog.scanning import Findings, numbered_files, scan_files
from mixtera.catalog.staging import RunFacts, Staging
from mixtera.catalog.state import State, read_state, state_paths
from mixtera.contracts.storage import FileInfo
from mixtera.spec.model import Source

if TYPE_CHECKING:
    from mixtera.catalog.tables import Tables


def index_source(
    tables: Tables, source: Source, files: Sequence[FileInfo], workers: Workers, progress: bool
) -> SourceReport:
    """Bring one source up to date; the caller holds the catalog's lock.

    Raises:
        SampleError: Records cannot be used, and more of them than the spec allows.
        StorageError: A file cannot be read or changed meanwhile; the catalog cannot be written.
        SpecError: A type cannot be inferred.
    """
    before = read_state(tables, source.name)
    staging = Staging(tables.data_directory(source.name))
    if before is not None:
        staging.settle(lambda: state_paths(tables, before))
    changes = compare(source, files, before)
    if before is not None and _is_current(source, before, changes):
        _check_bad(source, before, changes, Findings())  # its limit may be another now
        staging.clean(())  # what dead runs have left is of no use; runs that the state needs are settled
        return _report(changes, before)
    check_captured(source, changes.to_scan)
    workers.start(len(changes.to_scan), sum(file.size for file in changes.to_scan))
    _update(tables, source, files, before, changes, workers, progress)
    after = read_state(tables, source.name)
    assert after is not None
    return _report(changes, after)


def _is_current(source: Source, before: State, changes: Changes) -> bool:
    same = before.definition.paths == source.paths and before.definition.policy == source.on_bad_sample.policy
    return same and not (changes.to_scan or changes.gone or changes.moved)


def _update(
    tables: Tables,
    source: Source,
    files: Sequence[FileInfo],
    before: State | None,
    changes: Changes,
    workers: Workers,
    progress: bool,
) -> None:
    definition = define(source, files, None if before is None else before.definition)
    columns = tables.field_ids(source.name, sample_columns(definition.types))
    staging = Staging(tables.data_directory(source.name))
    ids = _file_ids(tables, source.name, files, before)
    facts = RunFacts(definition, columns)
    leftovers = staging.leftovers(facts, {file.name: file for file in changes.to_scan}, ids)
    run = staging.start(facts)
    to_scan = numbered_files(changes.to_scan, ids)
    prepare = partial(tables.prepare, source.name)
    findings = scan_files(source, definition, columns, to_scan, run, leftovers, workers, progress, prepare)
    _check_bad(source, before, changes, findings)
    from mixtera.catalog.commit import Outcome, commit

    outcome = Outcome(source.name, definition, columns, before, changes, findings.staged, run)
    staging.clean(commit(tables, outcome))


def _check_bad(source: Source, before: State | None, changes: Changes, findings: Findings) -> None:
    from mixtera.catalog.commit import files_kept

    kept = files_kept(before, changes)
    bad = findings.bad + _sum(kept, "skipped") + _sum(kept, "quarantined")
    whole = findings.files == len(changes.to_scan)
    check_bad(source, bad, findings.samples + _sum(kept, "samples"), findings.first_bad, whole)


def _file_ids(tables: Tables, source: str, files: Sequence[FileInfo], before: State | None) -> dict[str, int]:
    known = {} if before is None else _ids_by_name(before)
    states = (read_state(tables, other) for other in tables.sources() if other != source)
    taken = {file_id for state in states if state is not None for file_id in _ids_by_name(state).values()}
    return assign_file_ids(source, [file.name for file in files], known, taken)


def _ids_by_name(state: State) -> dict[str, int]:
    return dict(zip(state.files["name"].to_pylist(), state.files["file_id"].to_pylist(), strict=True))


def _sum(table: pa.Table, column: str) -> int:
    return pc.sum(table[column]).as_py() or 0


def _report(changes: Changes, state: State) -> SourceReport:
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
    )
