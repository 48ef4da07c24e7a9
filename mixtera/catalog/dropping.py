"""Forgetting a source."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mixtera.errors import CatalogError

if TYPE_CHECKING:
    from mixtera.catalog.tables import Tables


def drop_source(tables: Tables, name: str) -> None:
    """Forget a source and delete what the catalog has of it; the caller holds the lock.

    Raises:
        CatalogError: It is not in the catalog, or cannot be deleted.
        StorageError: It cannot be deleted at a URL.
    """
    if name not in tables.sources():
        known = ", ".join(tables.sources()) or "nothing"
        raise CatalogError(f"source {name!r} is not in the catalog {tables.shown}; it holds: {known}")
    tables.drop(name)
