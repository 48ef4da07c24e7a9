"""What the compiler asks of a catalog."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from mixtera.catalog.indexed import IndexedSource
from mixtera.spec.model import Source


class Catalog(Protocol):
    """Where indexed sources are found."""

    @property
    def url(self) -> str:
        """Where it lies: a path or a URL."""

    @property
    def path(self) -> Path:
        """Its directory on this machine; of one at a URL, that of its copies."""

    def source(self, source: Source) -> IndexedSource:
        """The newest snapshot of a source of a spec.

        Raises:
            CatalogError: It is not indexed, or was indexed differently.
        """
