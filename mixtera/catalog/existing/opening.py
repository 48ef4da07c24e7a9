"""Which Parquet files a table consists of, and what pins them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from mixtera.catalog.derived import fingerprint_of
from mixtera.contracts.storage import FileInfo
from mixtera.errors import CatalogError, MixteraError
from mixtera.registry import storage_of

if TYPE_CHECKING:
    from mixtera.spec.model import ExistingTable

_SCHEME: Final = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*://")


@dataclass(frozen=True)
class Opened:
    """The newest state of a table.

    Attributes:
        version: What pins it.
        files: Its Parquet files.
        field_ids: Column → the id by which its files know it; empty where names are enough.
    """

    version: str
    files: tuple[FileInfo, ...]
    field_ids: Mapping[str, int] = field(default_factory=dict)


def open_table(table: ExistingTable) -> Opened:
    """The newest state of a table.

    Raises:
        CatalogError: It cannot be opened, or has what its Parquet files do not show.
        StorageError: A file of it cannot be found.
        PluginError: What reads such tables is not installed.
    """
    at = local_path(table.at, table.shown)
    if table.format == "iceberg":
        from mixtera.catalog.existing.iceberg import open_iceberg

        return open_iceberg(table, at)
    if table.format == "delta":
        from mixtera.catalog.existing.delta import open_delta

        return open_delta(table, at)
    return _open_parquet(table, at)


def local_path(url: str, shown: str) -> str:
    """The path of a file on this machine.

    Raises:
        CatalogError: It is elsewhere: engines read the files of tables in place.
    """
    if url.startswith("file:"):
        path = f"/{url.removeprefix('file:').lstrip('/')}"
        plain = unquote(path)  # some writers quote, and some have names with a percent sign
        return plain if plain != path and Path(plain).exists() and not Path(path).exists() else path
    if _SCHEME.match(url):
        raise CatalogError(
            f"{shown}: {url} is not on a file system of this machine, and engines read the files of a table in place: "
            "mount its storage, or copy the table"
        )
    return url


def files_at(paths: list[str], shown: str) -> tuple[FileInfo, ...]:
    """The files of a table by their paths.

    Raises:
        CatalogError: One cannot be found.
    """
    found = []
    for path in sorted(paths):
        try:
            found.append(storage_of(path).stat(path))
        except MixteraError as error:
            raise CatalogError(f"{shown}: a file of it cannot be read: {error}") from error
    return tuple(found)


def _open_parquet(table: ExistingTable, at: str) -> Opened:
    folder = Path(at)
    if folder.is_dir():
        _check_plain(folder, table)
        at = f"{at.rstrip('/')}/**/*.parquet"
    files = tuple(storage_of(at).expand([at]))
    return Opened(fingerprint_of(files), files)


def _check_plain(folder: Path, table: ExistingTable) -> None:
    """Refuse folders that belong to a format which says which of their files count."""
    if (folder / "_delta_log").is_dir():
        kind = "delta"
    elif any((folder / "metadata").glob("*.metadata.json")):
        kind = "iceberg"
    else:
        return
    raise CatalogError(
        f"{table.shown} is a table of the format {kind}, which says which of its files count: write format: {kind}"
    )
