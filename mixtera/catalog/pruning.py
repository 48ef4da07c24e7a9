"""Deleting what no kept state of a catalog needs: old states, and what was written and never committed.

What is deleted is older than a period of grace, by the clock of the storage, and belongs to no state that is kept: the
newest ones of each source, all that were the newest at some time of that period, for whoever reads them still, and at a
URL those of the commits that are kept. What a run writes is new, and never lies under the name of an older object
(`Staging.leftovers`): so what is old and belongs to nothing will never belong to anything.

First the old states are forgotten, in a commit like any other, and then files are deleted. Killed at any point, all
that is left is whole; the next call goes on.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mixtera.catalog.durable import durable
from mixtera.catalog.names import LABELS
from mixtera.catalog.staging import RUN
from mixtera.catalog.state import BAD_SNAPSHOT, NO_SNAPSHOT, SAMPLES_SNAPSHOT, summary_values
from mixtera.errors import CatalogError, MissingError, StorageError

if TYPE_CHECKING:
    from pyiceberg.table import Table
    from pyiceberg.table.snapshots import Snapshot

    from mixtera.catalog.tables import Role, Tables

LEAST_SECONDS: Final = 3600
"""The shortest period of grace: a run may take so long from its first upload to its commit."""
_ROLES: Final[tuple[Role, ...]] = ("samples", "files", "bad")


@dataclass(frozen=True, slots=True)
class Pruned:
    """What was deleted, or would be.

    Attributes:
        states: Old states of sources, which are forgotten.
        commits: Old commits of a catalog at a URL.
        files: Files of the catalog.
        bytes: Their size.
        labels: Labels that compilations have kept of samples that the catalog does not have any more.
    """

    states: int
    commits: int
    files: int
    bytes: int
    labels: int


@dataclass(frozen=True, slots=True)
class _Found:
    """A file below the catalog: a path here, and at a URL the same below that."""

    path: Path
    size: int
    modified_ns: int


@dataclass(slots=True)
class _Kept:
    """What is kept.

    Attributes:
        snapshots: Source → role → ids of its snapshots.
        expired: States that are not.
        paths: Files that these need.
    """

    snapshots: dict[str, dict[Role, set[int]]] = field(default_factory=dict)
    expired: int = 0
    paths: set[Path] = field(default_factory=set)


def prune(tables: Tables, keep: int, grace_ns: int, *, dry_run: bool = False) -> Pruned:
    """Delete what no kept state needs; the caller holds the lock.

    Args:
        tables: The catalog's tables.
        keep: States of each source, and commits at a URL, that are kept at least.
        grace_ns: What is younger is kept too.
        dry_run: Delete nothing, and tell.

    Raises:
        CatalogError: A table cannot be read, or a file cannot be deleted.
        StorageError: A file at a URL cannot be.
    """
    horizon = tables.now_ns() - grace_ns
    kept = _kept_states(tables, keep, horizon)
    if kept.expired and not dry_run:
        _forget(tables, kept)
    there = list(_there(tables))
    here = there if tables.mirror is None else list(_here(tables))  # at a URL: copies
    commits = _needed(tables, kept, keep, horizon)
    doomed = [one for one in there if one.modified_ns <= horizon and one.path not in kept.paths]
    copies = [one for one in here if one.modified_ns <= horizon and one.path not in kept.paths]
    labels = list(_labels(tables, kept.paths, horizon))
    if not dry_run:
        tables.delete(one.path for one in doomed)
        tables.delete_commits(commits)
        _delete_here(tables.root, [*(one.path for one in copies), *labels])
    return Pruned(kept.expired, len(commits), len(doomed), sum(one.size for one in doomed), len(labels))


def _kept_states(tables: Tables, keep: int, horizon: int) -> _Kept:
    """The states that are kept of each source."""
    kept = _Kept()
    for source in tables.sources():
        files = tables.load(source, "files")
        if files is None:
            continue  # made by a run that has not ended: all of it is kept
        states = _newest(files.snapshots(), keep, horizon)
        kept.expired += len(files.snapshots()) - len(states)
        ids = _ids(states)
        for role in _ROLES:
            table = tables.load(source, role)
            current = None if table is None else table.current_snapshot()
            if current is not None:
                ids[role].add(current.snapshot_id)
        kept.snapshots[source] = ids
    return kept


def _newest(states: list[Snapshot], keep: int, horizon: int) -> list[Snapshot]:
    """The last states, and those that were the newest at some time after the horizon."""
    before = sum(state.timestamp_ms * 1_000_000 <= horizon for state in states)
    return states[max(0, min(len(states) - keep, before - 1)) :]


def _ids(states: Iterable[Snapshot]) -> dict[Role, set[int]]:
    """Snapshots that belong to states, by role; the files table says which."""
    found: dict[Role, set[int]] = {role: set() for role in _ROLES}
    for state in states:
        summary = summary_values(state)
        found["files"].add(state.snapshot_id)
        found["samples"].add(int(summary[SAMPLES_SNAPSHOT]))
        if summary[BAD_SNAPSHOT] != NO_SNAPSHOT:
            found["bad"].add(int(summary[BAD_SNAPSHOT]))
    return found


def _forget(tables: Tables, kept: _Kept) -> None:
    """Commit all sources without their old states."""
    with tables.together() as files:
        for source, ids in kept.snapshots.items():
            with durable(tables.data_directory(source).parent, [], files):
                for role in _ROLES:
                    if (table := tables.load(source, role)) is not None:
                        _expire(table, ids[role])


def _expire(table: Table, kept: set[int]) -> None:
    expired = [one.snapshot_id for one in table.snapshots() if one.snapshot_id not in kept]
    if expired:
        table.maintenance.expire_snapshots().by_ids(expired).commit()


def _needed(tables: Tables, kept: _Kept, keep: int, horizon: int) -> list[int]:
    """Add the files of all kept states to what is kept.

    Returns:
        Numbers of the commits at a URL that are not.
    """
    for source in tables.sources():
        for role in _ROLES:
            if (table := tables.load(source, role)) is not None:
                ids = kept.snapshots.get(source)
                _add(tables, table, None if ids is None else ids[role], kept.paths)
    numbers, dropped = tables.old_commits(keep, horizon)
    seen: set[str] = set()
    for number in numbers:
        for source, role, location in tables.tables_at(number):
            if location not in seen:
                seen.add(location)
                _add_current(tables, tables.load_at(source, role, location), kept.paths)
    return dropped


def _add_current(tables: Tables, table: Table | None, paths: set[Path]) -> None:
    """Add what an older commit names: its state of a table, as far as it is there yet."""
    if table is None:
        return
    current = table.current_snapshot()
    try:
        _add(tables, table, set() if current is None else {current.snapshot_id}, paths)
    except StorageError as error:
        if not isinstance(error.__cause__, MissingError):
            raise


def _add(tables: Tables, table: Table, ids: set[int] | None, paths: set[Path]) -> None:
    """Add the files of some snapshots of a table, None for all; and its metadata, those before it included."""
    log = [entry.metadata_file for entry in table.metadata.metadata_log]
    paths.update(map(tables.path, [table.metadata_location, *log]))
    for snapshot in table.snapshots():
        if ids is not None and snapshot.snapshot_id not in ids:
            continue
        paths.add(tables.path(snapshot.manifest_list))
        for manifest in snapshot.manifests(table.io):
            place = tables.path(manifest.manifest_path)
            if place not in paths:  # states share most of theirs
                entries = manifest.fetch_manifest_entry(table.io, discard_deleted=True)
                paths.update(tables.path(entry.data_file.file_path) for entry in entries)
                paths.add(place)


def _there(tables: Tables) -> Iterator[_Found]:
    """What lies below the warehouse, where the catalog lies."""
    if tables.mirror is None:
        yield from _here(tables)
        return
    for file in tables.mirror.listed("warehouse"):
        yield _Found(tables.mirror.path(file.url), file.size, file.modified_ns)


def _here(tables: Tables) -> Iterator[_Found]:
    """What lies below the warehouse on this machine, but for runs that were killed and may go on."""
    for folder, _, names in os.walk(tables.root / "warehouse"):
        found = [one for name in sorted(names) if (one := _found(Path(folder, name))) is not None]
        if RUN in names:  # a run that did not end: all of it is of use, or none
            last = max((one.modified_ns for one in found), default=0)
            found = [replace(one, modified_ns=last) for one in found]
        yield from found


def _found(path: Path) -> _Found | None:
    """A file; None where it is gone: at a URL, others take copies without the lock."""
    try:
        facts = path.stat()
    except FileNotFoundError:
        return None
    return _Found(path, facts.st_size, facts.st_mtime_ns)


def _labels(tables: Tables, kept: set[Path], horizon: int) -> Iterator[Path]:
    """Labels, whole and half-written, of Parquet files that are not kept."""
    for path in sorted((tables.root / LABELS).glob("*/*/*")):
        space, run = path.parts[-3:-1]
        name = path.name.removeprefix(".").removesuffix(".partial").split(".parquet")[0] + ".parquet"
        partial = path.name.endswith(".partial")
        if (partial or tables.root / "warehouse" / space / "data" / run / name not in kept) and _is_old(path, horizon):
            yield path


def _is_old(path: Path, horizon: int) -> bool:
    try:
        return path.stat().st_mtime_ns <= horizon
    except FileNotFoundError:
        return False


def _delete_here(root: Path, paths: Iterable[Path]) -> None:
    """Delete files, and directories that are empty then.

    Raises:
        CatalogError: One cannot be.
    """
    folders: set[Path] = set()
    try:
        for path in paths:
            path.unlink(missing_ok=True)
            folders.add(path.parent)
    except OSError as error:
        raise CatalogError(
            f"the catalog {root} cannot be pruned: {error}; what is left is whole: run the command again"
        ) from error
    for folder in sorted(folders, key=lambda one: len(one.parts), reverse=True):
        with suppress(OSError):  # it is not empty, or gone
            folder.rmdir()
