"""Opening a catalog at a URL, and making it when there is none.

There lie `catalog.json`, the commits and the files; what is read of them is kept in the directory of copies.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import Final

import msgspec

from mixtera.artifact.urls import CACHE_VARIABLE, cache_directory
from mixtera.catalog.mirror import Mirror
from mixtera.catalog.opening import MARK, VERSION, Mark, read_mark
from mixtera.catalog.tables import Tables
from mixtera.contracts.storage import Creating
from mixtera.errors import CatalogError, MissingError, StorageError
from mixtera.registry import storage_of

_MAGIC: Final = ("*", "?", "[", "::")


def open_remote(url: str, create: bool) -> Tables:
    """Open the tables of the catalog at a URL, and make it first if `create`.

    Raises:
        CatalogError: There is none, or something else; catalogs cannot lie on this storage.
        StorageError: It cannot be read or written.
    """
    storage = _storage(url)
    content = _content(storage, f"{url}/{MARK}")
    if content is None:
        if not create:
            raise CatalogError(f"no catalog at {url}: run `mixtera index SPEC`, or name another with --catalog")
        content = _create(storage, url)
    mark = read_mark(url, content)
    if not mark.key:
        raise CatalogError(
            f"{url} is a copy of the directory of a catalog, and cannot be opened there: index into another URL"
        )
    name = hashlib.sha256(f"{url}\0{mark.key}".encode()).hexdigest()[:32]
    root = cache_directory() / "catalogs" / name
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(
            f"the catalog {url} cannot be copied to {root}: {error.strerror or error}; set {CACHE_VARIABLE} to a "
            "directory that can be written"
        ) from error
    return Tables(root.absolute(), mark.root, Mirror(url, root.absolute(), storage))


def _storage(url: str) -> Creating:
    found = [sign for sign in _MAGIC if sign in url]
    if found:
        raise CatalogError(f"a catalog cannot lie at {url}: {found[0]!r} has a meaning in patterns; name another URL")
    storage = storage_of(url)
    if not isinstance(storage, Creating):
        raise CatalogError(
            f"a catalog cannot lie at {url}: the storage {storage.name!r} does not say that of several programs that "
            "write one file at once only one succeeds; name a directory, or a URL such as s3://bucket/catalog"
        )
    return storage


def _create(storage: Creating, url: str) -> bytes:
    """Make an empty catalog, or find the one that somebody else has just made.

    A server that does not know conditions would let two programs write one commit; it is found out here.
    """
    _check_empty(storage, url)
    place, content = f"{url}/{MARK}", msgspec.json.encode(Mark(VERSION, url, secrets.token_hex(16)))
    storage.create(place, content)
    if storage.create(place, content):
        storage.delete([place])
        raise CatalogError(
            f"a catalog cannot lie at {url}: the server writes an object that exists although it was asked not to "
            "(If-None-Match), so two programs could undo each other's work; use a directory, or another server"
        )
    with storage.open(place) as file:
        return file.read()


def _check_empty(storage: Creating, url: str) -> None:
    for pattern in (f"{url}/*", f"{url}/commits/**", f"{url}/warehouse/**"):
        try:
            found = storage.expand([pattern])[0]
        except MissingError:
            continue
        if found.url != f"{url}/{MARK}":
            raise CatalogError(
                f"{url} is not a catalog, and not empty (it holds {found.url}); name a catalog, or a new URL"
            )


def _content(storage: Creating, url: str) -> bytes | None:
    try:
        with storage.open(url) as file:
            return file.read()
    except MissingError:
        return None
