"""Forgetting a source."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from mixtera.catalog.names import LABELS, directory_name
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
    # answers that are kept of it: without their source, nobody asks for them
    shutil.rmtree(tables.root / LABELS / directory_name(name), ignore_errors=True)
