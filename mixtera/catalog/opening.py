"""Opening a catalog directory, and making it when there is none."""

from __future__ import annotations

import secrets
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

import msgspec

from mixtera.catalog.lock import not_writable, writing
from mixtera.catalog.progress import say
from mixtera.errors import CatalogError

if TYPE_CHECKING:
    from mixtera.catalog.tables import Tables

VERSION: Final = 2
MARK: Final = "catalog.json"
_BEGUN: Final = ("lock", "catalog.db", MARK)
"""Files in a directory in which somebody has begun to make a catalog; with suffixes, where that was killed."""


@dataclass(frozen=True, slots=True)
class Mark:
    """What `catalog.json` says: the version of the layout, and the URI the directory had when it was made."""

    version: int
    root: str


def open_tables(url: str, create: bool) -> Tables:
    """Open the tables of a catalog directory, and make it first if `create`.

    Raises:
        CatalogError: It cannot be made or is something else.
    """
    root = _directory(url)
    if not (root / MARK).exists():
        if not create:
            raise CatalogError(f"no catalog at {root}: run `mixtera index SPEC`, or name another with --catalog")
        _create(root)
    recorded = _mark(root).root
    from mixtera.catalog.tables import Tables

    try:
        return Tables(root, recorded)
    except sqlite3.Error as error:
        raise CatalogError(f"cannot open {root / 'catalog.db'}: {error}") from error


def _directory(url: str) -> Path:
    parts = urlsplit(url)
    if "://" not in url:
        return Path(url).expanduser().absolute()
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    raise CatalogError(f"a catalog lies in a directory, not at {url}; give a path or a file:// URL")


def _create(root: Path) -> None:
    try:
        root.mkdir(parents=True, exist_ok=True)
        others = sorted(path.name for path in root.iterdir() if not path.name.startswith(_BEGUN))
    except OSError as error:
        raise not_writable(root, error) from error
    if others:
        raise CatalogError(
            f"{root} is not a catalog, and not empty (it holds {others[0]!r}); "
            "name a catalog, or a new or empty directory"
        )
    from mixtera.catalog.location import uri_of

    with writing(root, say):
        if not (root / MARK).exists():
            _write_mark(root, Mark(VERSION, uri_of(root)))


def _write_mark(root: Path, mark: Mark) -> None:
    part = root / f"{MARK}.{secrets.token_hex(4)}"
    try:
        part.write_bytes(msgspec.json.encode(mark))
        part.replace(root / MARK)
    except OSError as error:
        raise not_writable(root, error) from error


def _mark(root: Path) -> Mark:
    try:
        mark = msgspec.json.decode((root / MARK).read_bytes(), type=Mark)
    except (OSError, msgspec.DecodeError) as error:
        raise CatalogError(f"{root / MARK} cannot be read: {error}; restore it, or use another directory") from error
    if mark.version != VERSION:
        raise CatalogError(
            f"the catalog {root} has version {mark.version}, and this Mixtera reads version {VERSION}: "
            + ("update Mixtera" if mark.version > VERSION else "index into a new directory")
        )
    return mark
