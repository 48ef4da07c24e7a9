"""Forgetting a source."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from mixtera.catalog.lock import not_writable
from mixtera.catalog.names import LABELS, directory_name
from mixtera.errors import CatalogError

if TYPE_CHECKING:
    from mixtera.catalog.tables import Tables


def drop_source(tables: Tables, name: str) -> None:
    """Forget a source and delete what the catalog has of it; the caller holds the lock.

    Raises:
        CatalogError: It is not in the catalog, or cannot be deleted.
    """
    if name not in tables.sources():
        known = ", ".join(tables.sources()) or "nothing"
        raise CatalogError(f"source {name!r} is not in the catalog {tables.root}; it holds: {known}")
    tables.drop(name)
    try:
        shutil.rmtree(tables.data_directory(name).parent)
        if (labels := tables.root / LABELS / directory_name(name)).is_dir():
            shutil.rmtree(labels)
    except OSError as error:
        raise not_writable(tables.root, error) from error
