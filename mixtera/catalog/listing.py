"""Which files a source has now, and which of them the catalog knows already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import PurePosixPath
from typing import Any

from mixtera.catalog.accompanied import with_beside
from mixtera.catalog.names import same_name
from mixtera.catalog.state import State
from mixtera.contracts.storage import FileInfo, Storage
from mixtera.errors import Issue, SpecError
from mixtera.registry import storage_of
from mixtera.spec.captures import as_glob
from mixtera.spec.model import Source


@dataclass(frozen=True)
class Changes:
    """The files of a source, against a committed state.

    Attributes:
        new: Files the state does not have.
        changed: Files whose fingerprint moved, or that have to be read again for another reason.
        gone: Names of files that are not there any more.
        kept: Files that stay as they are; their URL may be another.
        moved: Whether the URL of a kept file is another.
    """

    new: tuple[FileInfo, ...]
    changed: tuple[FileInfo, ...]
    gone: tuple[str, ...]
    kept: tuple[FileInfo, ...]
    moved: bool

    @property
    def to_scan(self) -> tuple[FileInfo, ...]:
        """Files to read."""
        return self.new + self.changed


def list_files(source: Source) -> list[FileInfo]:
    """The files of a source, each under a name of its own, sorted by name; none where a table names them.

    Raises:
        SpecError: Two files have the same name, or the name of one is no text.
        StorageError: A pattern matches nothing, or a directory cannot be read.
        PluginError: No storage knows the URL.
    """
    if source.table is not None:
        return []
    patterns: dict[str, tuple[Storage, list[str]]] = {}
    for path in source.paths:
        storage = storage_of(path, source.storage)
        patterns.setdefault(storage.name, (storage, []))[1].append(as_glob(path))
    listed = ((storage, paths, storage.expand(paths)) for storage, paths in patterns.values())
    files = [file for found in listed for file in with_beside(source.format, *found)]
    if (odd := next((file for file in files if not _is_text(file.url)), None)) is not None:
        raise SpecError([_no_text(source, odd)])
    if (pair := same_name(files)) is not None:
        raise SpecError([_same_name(source, *pair)])
    return sorted(files, key=lambda file: file.name)


def _is_text(name: str) -> bool:
    return name.isascii() or not any("\ud800" <= character <= "\udfff" for character in name)


def _no_text(source: Source, file: FileInfo) -> Issue:
    message = (
        f"source {source.name!r}: the name of {file.url!a} is not valid UTF-8: rename the file, or make the path "
        "match others only"
    )
    return Issue(source.place.file, source.place.line, source.place.column, message)


def _same_name(source: Source, first: FileInfo, second: FileInfo) -> Issue:
    pairs = zip(first.url.split("/"), second.url.split("/"), strict=False)
    common = "/".join(one for one, _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
    message = (
        f"source {source.name!r}: {first.url} and {second.url} have the same name, {first.name!r}: a file is known by "
        f"its path below the fixed part of its pattern. Name them by one pattern, such as "
        f"{common}/**/*{PurePosixPath(first.name).suffix}, or make two sources of them"
    )
    return Issue(source.place.file, source.place.line, source.place.column, message)


def compare(source: Source, files: Sequence[FileInfo], state: State | None) -> Changes:
    """Tell new, changed, gone and kept files apart.

    All known files count as changed when they are to be read as something else, and those with bad records when what
    makes a record bad, or is to be done with it, is another. Files whose properties are others stay: columns are added.
    """
    known = {} if state is None else {row["name"]: row for row in _fingerprints(state)}
    exact = state is not None and state.definition.same_rows(source)
    policy = source.on_bad_sample.policy
    same_bad = state is not None and state.definition.policy == policy and state.definition.same_checks(source)
    kept = [
        file
        for file in files
        if exact and (row := known.get(file.name)) and same_fingerprint(row, file) and (same_bad or not _bad(row))
    ]
    names = {file.name for file in files}
    kept_names = {file.name for file in kept}
    return Changes(
        tuple(file for file in files if file.name not in known),
        tuple(file for file in files if file.name in known and file.name not in kept_names),
        tuple(sorted(known.keys() - names)),
        tuple(kept),
        any(known[file.name]["url"] != file.url for file in kept),
    )


def _fingerprints(state: State) -> list[dict[str, Any]]:
    columns = ["name", "url", "size", "modified_ns", "etag", "beside", "skipped", "quarantined"]
    return list(state.files.select(columns).to_pylist())


def same_fingerprint(row: Mapping[str, Any], file: FileInfo) -> bool:
    """Whether a file is the one that a row of the files table describes."""
    known = row["size"], row["modified_ns"], row["etag"], row.get("beside") or ""
    return known == (file.size, file.modified_ns, file.etag, file.beside)


def _bad(row: Mapping[str, Any]) -> bool:
    return bool(row["skipped"] or row["quarantined"])
