"""The files that a table names: where they lie, what they are called, and what they say of themselves."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from mixtera.contracts.format import ContentColumn, FileFacts, Summarising
from mixtera.contracts.storage import FileInfo
from mixtera.errors import CatalogError, MissingError
from mixtera.registry import format_named, storage_of

if TYPE_CHECKING:
    from mixtera.spec.model import Source

_AT_A_TIME: Final = 16


@dataclass(frozen=True)
class Location:
    """A file that a table names: its name below the source's folder, and where it lies."""

    name: str
    url: str


def located(value: str, source: Source, shown: str) -> Location:
    """The file that a value of the column `file` means.

    Raises:
        CatalogError: It is a relative path, and the source has no folder; or it lies elsewhere.
    """
    path = value.removeprefix("file://") if value.startswith("file:///") else value
    whole = "://" in path or posixpath.isabs(path)
    base = source.paths[0].rstrip("/") if source.paths else ""
    if not base:
        if not whole:
            raise CatalogError(
                f"{shown}: {value!r} is a relative path: say by `path` what it is relative to (source {source.name!r})"
            )
        return Location(path, path)
    below = path.removeprefix(f"{base}/") if whole else path
    name = posixpath.normpath(below)
    if not value or name in (".", "..") or name.startswith("../") or posixpath.isabs(name) or "://" in below:
        raise CatalogError(f"{shown}: {value!r} lies not below {base}: correct `path` of source {source.name!r}")
    return Location(name, f"{base}/{name}")


def files_of(locations: Sequence[Location], source: Source, shown: str) -> list[FileInfo]:
    """The files as their storages describe them.

    Raises:
        CatalogError: One is not there.
        StorageError: One cannot be asked for.
    """

    def described(location: Location) -> FileInfo:
        try:
            info = storage_of(location.url, source.storage).stat(location.url)
        except MissingError as error:
            raise CatalogError(
                f"{shown} names the file {location.url}, which is not there: bring it back, correct `path`, or remove "
                "its rows from the table"
            ) from error
        return replace(info, name=location.name)

    with ThreadPoolExecutor(_AT_A_TIME) as threads:
        return list(threads.map(described, locations))


def still_there(files: Mapping[str, str], source: Source) -> list[FileInfo]:
    """Those files that are there, as they are now.

    Args:
        files: Name → URL.
        source: Their source.

    Raises:
        StorageError: One cannot be asked for.
    """

    def described(name: str) -> FileInfo | None:
        try:
            return replace(storage_of(files[name], source.storage).stat(files[name]), name=name)
        except MissingError:
            return None

    with ThreadPoolExecutor(_AT_A_TIME) as threads:
        return [file for file in threads.map(described, files) if file is not None]


def facts_of(files: Sequence[FileInfo], source: Source, content: Sequence[ContentColumn]) -> list[FileFacts]:
    """What the files say of themselves.

    Raises:
        CatalogError: The format has no files that do.
        SampleError: One is not of its format, or has no such content.
        StorageError: One cannot be read.
    """
    kind = format_named(source.format)
    if not isinstance(kind, Summarising):
        raise CatalogError(
            f"source {source.name!r}: files of the format {source.format} do not say how many samples they have; with "
            "`table` use parquet, or jsonl with offsets; or leave `table` out and let `mixtera index` read them"
        )
    summarise = kind.summary
    with ThreadPoolExecutor(_AT_A_TIME) as threads:
        return list(threads.map(lambda file: summarise(storage_of(file.url, source.storage), file, content), files))
