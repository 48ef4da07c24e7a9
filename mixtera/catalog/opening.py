"""Opening a catalog, and making it when there is none: in a directory, or at a URL (`catalog/remote.py`)."""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

import msgspec

from mixtera.artifact.urls import is_remote
from mixtera.catalog.lock import not_writable, writing
from mixtera.catalog.progress import say
from mixtera.errors import CatalogError

if TYPE_CHECKING:
    from mixtera.catalog.tables import Tables

VERSION: Final = 2
MARK: Final = "catalog.json"
_BEGUN: Final = ("lock", "catalog.db", MARK)
"""Files in a directory in which somebody has begun to make a catalog; with suffixes, where that was killed."""


class Mark(msgspec.Struct, frozen=True, omit_defaults=True):
    """What `catalog.json` says.

    Attributes:
        version: Version of the layout.
        root: The URI that the catalog had when it was made.
        key: A random word, by which a catalog at a URL is known from another one that lay there before; empty for that
            of a directory.
    """

    version: int
    root: str
    key: str = ""


def open_tables(url: str, create: bool) -> Tables:
    """Open the tables of a catalog, and make it first if `create`.

    Raises:
        CatalogError: It cannot be made or is something else.
        StorageError: The URL cannot be read or written.
    """
    if is_remote(url):
        from mixtera.catalog.remote import open_remote

        return open_remote(url.rstrip("/"), create)
    root = _directory(url)
    if not (root / MARK).exists():
        if not create:
            raise CatalogError(f"no catalog at {root}: run `mixtera index SPEC`, or name another with --catalog")
        _create(root)
    mark = _mark(root)
    if mark.key:
        raise CatalogError(
            f"{root} is a copy of the catalog at {mark.root}, which only its storage can be opened from: name that URL"
        )
    from mixtera.catalog.tables import Tables

    try:
        return Tables(root, mark.root)
    except sqlite3.Error as error:
        raise CatalogError(f"cannot open {root / 'catalog.db'}: {error}") from error


def _directory(url: str) -> Path:
    return Path(unquote(urlsplit(url).path)) if "://" in url else Path(url).expanduser().absolute()


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
    part = root / f"{MARK}.{os.urandom(4).hex()}"
    try:
        part.write_bytes(msgspec.json.encode(mark))
        part.replace(root / MARK)
    except OSError as error:
        with suppress(OSError):
            part.unlink()
        raise not_writable(root, error) from error


def _mark(root: Path) -> Mark:
    try:
        content = (root / MARK).read_bytes()
    except OSError as error:
        raise CatalogError(f"{root / MARK} cannot be read: {error}; restore it, or use another directory") from error
    return read_mark(str(root), content)


def read_mark(where: str, content: bytes) -> Mark:
    """The mark of a catalog in a directory or at a URL.

    Raises:
        CatalogError: It is not one, or one of another version.
    """
    try:
        mark = msgspec.json.decode(content, type=Mark)
    except msgspec.DecodeError as error:
        raise CatalogError(f"{where}/{MARK} cannot be read: {error}; restore it, or use another directory") from error
    if mark.version != VERSION:
        raise CatalogError(
            f"the catalog {where} has version {mark.version}, and this Mixtera reads version {VERSION}: "
            + ("update Mixtera" if mark.version > VERSION else "index into a new directory")
        )
    return mark
