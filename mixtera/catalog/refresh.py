"""Columns that no scan gives: which files lack which, and the work that adds them, noted down piece by piece."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace as with_fields

from mixtera.catalog.bundles import BUNDLES_PER_WORKER, SMALLEST_BUNDLE_BYTES, ScannedFile
from mixtera.catalog.columns import SAMPLE_COLUMNS, Column
from mixtera.catalog.derivation import BasedFile, Derivation, base_names, cut
from mixtera.catalog.derived import identities
from mixtera.catalog.executor import Executor
from mixtera.catalog.listing import Changes
from mixtera.catalog.model import Definition
from mixtera.catalog.progress import shown
from mixtera.catalog.scanning import Findings, Noting
from mixtera.catalog.staging import RunFacts, Staged, Staging, delete_unfinished
from mixtera.catalog.state import State
from mixtera.contracts.storage import FileInfo
from mixtera.errors import CatalogError
from mixtera.spec.model import Source

if TYPE_CHECKING:
    from mixtera.catalog.report import Unmatched

COMPUTING: Final = 8
"""A byte of content costs a function about so many times what it costs a scan."""


@dataclass(frozen=True)
class Missing:
    """What some files lack: columns to add, and those to copy.

    Attributes:
        files: The files.
        keep: Columns that are copied.
        part: The definition with only what is to be added.
    """

    files: tuple[BasedFile, ...]
    keep: tuple[str, ...]
    part: Definition


@dataclass(frozen=True)
class Refreshed:
    """What was added.

    Attributes:
        findings: Pieces, and records that turned out bad.
        columns: Properties that files that were there already have got.
        unmatched: Samples that each sidecar that was read does not know.
    """

    findings: Findings
    columns: tuple[str, ...]
    unmatched: tuple[Unmatched, ...] = ()


def refresh(
    source: Source,
    definition: Definition,
    columns: tuple[Column, ...],
    before: State | None,
    changes: Changes,
    scanned: Noting,
    sidecars: Sequence[tuple[FileInfo, ...]],
    staging: Staging,
    workers: Executor,
    progress: bool,
    fetch: Callable[[Iterable[Path]], None],
) -> Refreshed:
    """Give new, changed and kept files the columns that they lack.

    Args:
        source: The source.
        definition: What it is to be indexed as.
        columns: Columns of its samples table, with field ids.
        before: The state before.
        changes: Its files against that state.
        scanned: What the scan of new and changed files has written.
        sidecars: Files of each sidecar.
        staging: Where work is noted.
        workers: The processes.
        progress: Whether to show a bar.
        fetch: Sees to it that files of the catalog are where their paths say.

    Raises:
        CatalogError: A sidecar cannot be joined, or knows none of the samples.
        PluginError: A function is not there.
        SampleError: A function failed; a record cannot be read.
        StorageError: A file cannot be read or changed meanwhile; the catalog cannot be written.
    """
    stale = _stale(before, definition)
    missing = [_new(definition, scanned.findings.staged), _kept(definition, before, changes, stale)]
    files = {file.info.name: file for lacking in missing for file in lacking.files}
    if not files:
        return Refreshed(Findings(), ())
    scanned.close()  # children are forked from a process of one thread
    fetch(Path(file.base) for file in files.values())
    facts = RunFacts(definition, columns)
    findings = _taken_over(staging, facts, files)
    have = {file.info.name for staged in findings.staged for file in staged.scanned.files}
    run = staging.start(facts)
    pieces = [
        piece
        for lacking in missing
        for piece in _pieces(source, definition, columns, lacking, sidecars, have, run, workers)
    ]
    names = [file.name for file in (*changes.to_scan, *changes.kept)]
    pieces = [_named(piece, number, names) for number, piece in enumerate(pieces)]
    title = f"{source.name}: {', '.join(stale or definition.types)}"
    _run(source, title, pieces, run, workers, progress, findings)
    samples = sum(file.scanned.samples for file in (*missing[0].files, *_based(before, changes)))
    return Refreshed(findings, stale if missing[1].files else (), _unmatched(source, definition, findings, samples))


def _taken_over(staging: Staging, facts: RunFacts, files: Mapping[str, BasedFile]) -> Findings:
    """What dead runs have finished."""
    findings = Findings()
    infos = {name: file.info for name, file in files.items()}
    for staged in staging.leftovers(facts, infos, {name: file.file_id for name, file in files.items()}):
        findings.add(staged)
    return findings


def _run(
    source: Source,
    title: str,
    pieces: Sequence[Derivation],
    run: Path,
    workers: Executor,
    progress: bool,
    findings: Findings,
) -> None:
    """Do the pieces in all processes; each is added to the findings, and noted down, when it is finished."""
    weights = (piece.bytes * (COMPUTING if piece.computed else 1) for piece in pieces)
    workers.start(len(pieces), sum(weights))
    clean = False
    try:
        total = sum(piece.bytes for piece in pieces)
        with shown(title, total, progress) as advance, Noting(source, run, findings) as noting:
            workers.scan(pieces, advance, noting.finished, lambda: None)
        clean = True
    finally:
        if not clean:
            delete_unfinished(run)


def _stale(before: State | None, definition: Definition) -> tuple[str, ...]:
    """Properties that the files of a state lack, or have of something else."""
    if before is None:
        return ()
    have = identities(before.definition)
    return tuple(name for name, identity in identities(definition).items() if have.get(name) != identity)


def _new(definition: Definition, scanned: Sequence[Staged]) -> Missing:
    """New and changed files have what a scan gives."""
    derived = bool(definition.computed or definition.sidecars)
    files = [
        BasedFile(file, str(staged.directory / staged.scanned.data_file))
        for staged in scanned
        for file in staged.scanned.files
        if derived and file.samples
    ]
    keep = (*(column.name for column in SAMPLE_COLUMNS), *(column.name for column in definition.properties))
    return Missing(tuple(files), keep, replace(definition, properties=()))


def _kept(definition: Definition, before: State | None, changes: Changes, stale: Sequence[str]) -> Missing:
    """Kept files have what they were indexed with, and perhaps columns that are not asked for any more."""
    part = _only(definition, set(stale))
    keep = (
        *(column.name for column in SAMPLE_COLUMNS),
        *(name for name in definition.types if name not in stale),
    )
    same = before is None or (not stale and before.definition.types.keys() == definition.types.keys())
    return Missing(() if same else _based(before, changes), keep, part)


def _only(definition: Definition, names: set[str]) -> Definition:
    tables = [
        replace(table, columns=tuple(column for column in table.columns if column.name in names))
        for table in definition.sidecars
    ]
    return replace(
        definition,
        properties=tuple(column for column in definition.properties if column.name in names),
        sidecars=tuple(tables),
        computed=tuple(column for column in definition.computed if column.name in names),
    )


def _based(before: State | None, changes: Changes) -> tuple[BasedFile, ...]:
    """Kept files that have samples."""
    if before is None:
        return ()
    infos = {file.name: file for file in changes.kept}
    names = ["name", "file_id", "rows", "samples", "content_bytes", "frames", "data_file"]
    return tuple(
        BasedFile(_known(infos[row["name"]], row), os.fspath(before.run.parent / row["data_file"]))
        for row in before.files.select(names).to_pylist()
        if row["name"] in infos and row["data_file"]
    )


def _known(info: FileInfo, row: Mapping[str, Any]) -> ScannedFile:
    """A file as the files table has it."""
    frames = tuple(row["frames"] or ())
    return ScannedFile(info, row["file_id"], row["rows"], row["samples"], 0, (), row["content_bytes"], frames)


def _pieces(
    source: Source,
    definition: Definition,
    columns: tuple[Column, ...],
    lacking: Missing,
    sidecars: Sequence[tuple[FileInfo, ...]],
    have: set[str],
    run: Path,
    workers: Executor,
) -> list[Derivation]:
    smallest = 1 if workers.given else SMALLEST_BUNDLE_BYTES // (COMPUTING if definition.computed else 1)
    todo = [file for file in lacking.files if file.info.name not in have]
    part = lacking.part
    joined = any(table.columns for table in part.sidecars) and not part.computed
    pieces = workers.most * (1 if joined else BUNDLES_PER_WORKER)  # a table is read once for every piece
    return [
        Derivation(
            source=source.name,
            format=definition.format,
            files=files,
            keep=lacking.keep,
            scan=part.properties,
            sidecars=part.sidecars,
            tables=tuple(sidecars),
            ambiguous=(),
            paths=definition.paths,
            computed=part.computed,
            content=definition.content,
            columns=columns,
            policy=definition.policy,
            folders=_folders(source),
            directory=os.fspath(run),
            name="",
            storage=source.storage,
        )
        for files in cut(todo, pieces, smallest)
    ]


def _named(piece: Derivation, number: int, names: Sequence[str]) -> Derivation:
    """The piece with a name of its own, and with those by which sidecars may call its files."""
    if not any(table.by_row for table in piece.sidecars):
        return with_fields(piece, name=str(number))
    aliases, ambiguous = base_names(names)
    files = tuple(with_fields(file, alias=aliases.get(file.info.name, "")) for file in piece.files)
    return with_fields(piece, name=str(number), files=files, ambiguous=ambiguous)


def _unmatched(source: Source, definition: Definition, findings: Findings, samples: int) -> tuple[Unmatched, ...]:
    """What sidecars do not know.

    Args:
        source: The source.
        definition: What it is indexed as.
        findings: What was written.
        samples: All samples of the source.

    Raises:
        CatalogError: One knows none of all samples.
    """
    from mixtera.catalog.report import Unmatched

    found = []
    for number, table in enumerate(definition.sidecars):
        parts = [(dict(staged.scanned.matched), staged) for staged in findings.staged]
        asked = sum(file.samples for known, staged in parts if number in known for file in staged.scanned.files)
        unmatched = asked - sum(known.get(number, 0) for known, _ in parts)
        if samples and asked == samples == unmatched:
            pairs = " and ".join(f"{name} = {column}" for name, column in table.on)
            raise CatalogError(
                f"source {source.name!r}: none of its {samples:,} samples is in the sidecar {table.shown} (compared by "
                f"{pairs}); nothing of the source was committed: correct `path` or `on`"
            )
        if asked:
            found.append(Unmatched(table.shown, asked, unmatched))
    return tuple(found)


def _folders(source: Source) -> tuple[str, ...]:
    """Folders of the files that the computed properties are written in: modules of a user lie there."""
    files = (computed.place.file for computed in source.computed)
    return tuple(dict.fromkeys(os.fspath(Path(file).absolute().parent) for file in files if Path(file).is_file()))
