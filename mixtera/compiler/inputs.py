"""What the compiler asks of a catalog."""

from __future__ import annotations

from typing import Protocol

from mixtera.catalog.model import IndexedSource
from mixtera.spec.model import Source


class Catalog(Protocol):
    """Where indexed sources are found."""

    @property
    def url(self) -> str:
        """Where it lies: a path or a URL."""

    def source(self, source: Source) -> IndexedSource:
        """The newest snapshot of a source of a spec.

        Raises:
            CatalogError: It is not indexed, or was indexed differently.
        """
