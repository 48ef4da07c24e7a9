"""The lock of a spec: compiled, and held against the files as they are now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from typing import Any

from mixtera.catalog.existing.payload import still_there
from mixtera.catalog.listing import list_files
from mixtera.compiler.inputs import Catalog
from mixtera.compiler.pipeline import compile
from mixtera.contracts.engine import Engine
from mixtera.contracts.storage import FileInfo
from mixtera.errors import CatalogError, MissingError
from mixtera.lockfile import Lock
from mixtera.lockfile.difference import Change, SourceChange
from mixtera.lockfile.making import locked_file
from mixtera.lockfile.model import LockedFile
from mixtera.lockfile.show import show_sources
from mixtera.spec.model import Source, Spec


def lock(spec: Spec, catalog: Catalog, *, engine: str | Engine = "duckdb", portable: bool = False) -> Lock:
    """Compile a spec and write down what it compiled to.

    Args:
        spec: The spec.
        catalog: Holds its sources, indexed.
        engine: What compiles; the lock is the same with any.
        portable: Leave out times and etags of files, so that the lock holds for copies of them too.

    Raises:
        SpecError: The spec does not fit the data.
        CatalogError: A source is not indexed, was indexed differently, or its files have moved since.
        StorageError: Files cannot be listed.
    """
    if behind := unindexed(spec, catalog):
        raise CatalogError(
            f"files have moved since they were indexed:\n{show_sources(behind)}\n"
            f"run `mixtera index {spec.file}`, then lock it"
        )
    plan = compile(spec, catalog, engine=engine, lock=None)
    return Lock.of(plan.data, plan.digest, spec.lines, portable=portable)


def unindexed(spec: Spec, catalog: Catalog) -> tuple[SourceChange, ...]:
    """What `index` would find: files that are not as the catalog knows them. Lists them, and reads none.

    Raises:
        CatalogError: A source is not indexed, or was indexed differently.
        StorageError: Files cannot be listed.
    """
    return tuple(found for source in spec.sources for found in _moved(source, catalog))


def _moved(source: Source, catalog: Catalog) -> Iterator[SourceChange]:
    known = {row["name"]: row for row in catalog.source(source).files.to_pylist()}
    urls = {name: row["url"] for name, row in known.items()}
    listed_now = _files_now(source) if source.table is None else still_there(urls, source)
    now = {file.name: file for file in listed_now}
    changes = []
    for name in sorted(known.keys() | now.keys()):
        row, file = known.get(name), now.get(name)
        listed = None if file is None else _listed(file, row)
        before = None if row is None else locked_file(row)
        if before != listed:
            changes.append(Change(name, before, listed))
    if changes:
        yield SourceChange(source.name, Change("format", source.format, source.format), tuple(changes))


def _files_now(source: Source) -> list[FileInfo]:
    """The files of a source; a path that matches nothing any more has none, which is a move and no failure."""
    try:
        return list_files(source)
    except MissingError:
        if len(source.paths) == 1:
            return []
    return [file for path in source.paths for file in _files_now(replace(source, paths=(path,)))]


def _listed(file: FileInfo, row: Mapping[str, Any] | None) -> LockedFile:
    """A file as it is listed; its rows are those of the catalog, or 0: nobody has counted them."""
    rows = 0 if row is None else row["rows"]
    return locked_file({**asdict(file), "rows": rows})
