"""What a catalog knows beside its files: which metadata each Iceberg table has now."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol


class Pointers(Protocol):
    """The pointers from tables to their metadata: in a database of a directory, or in the commits at a URL."""

    def together(self) -> AbstractContextManager[list[Path]]:
        """What this thread does inside the block is there for others at its end, all of it at once, or nothing.

        The block adds the files that the new state consists of to the list.
        """

    def refresh(self) -> None:
        """Look at what others have done meanwhile."""

    def namespaces(self) -> list[str]:
        """All namespaces, sorted."""

    def directory(self, namespace: str) -> str:
        """Name of the directory, below the warehouse, of a namespace that there is or is to be."""

    def location(self, namespace: str, table: str) -> str | None:
        """URI of the metadata of a table; None where there is no such table."""

    def move(self, namespace: str, table: str, before: str | None, after: str) -> bool:
        """Point a table to other metadata.

        Args:
            namespace: The namespace; made where there is none.
            table: The table.
            before: Where it must point now; None when there must be no such table.
            after: Where to point it.

        Returns:
            Whether it pointed there; if not, nothing has changed.
        """

    def forget(self, namespace: str) -> None:
        """Forget a namespace and its tables, at once."""
