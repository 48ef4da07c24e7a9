"""What the compiler asks of a catalog."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from mixtera.contracts.properties import PropertyType
from mixtera.spec.model import Source


class IndexedSource(Protocol):
    """One snapshot of one source; see `mixtera.catalog.IndexedSource`."""

    @property
    def name(self) -> str:
        """The source's name."""

    @property
    def table(self) -> str:
        """Name under which the data files are registered with an engine."""

    @property
    def snapshot_id(self) -> int:
        """The snapshot of the samples."""

    @property
    def types(self) -> Mapping[str, PropertyType]:
        """Type of each property."""

    @property
    def data_files(self) -> tuple[str, ...]:
        """Parquet files: file_id, row, offset, length, and the properties."""

    @property
    def files(self) -> pa.Table:
        """One row per file, sorted by name."""

    @property
    def rows(self) -> int:
        """Samples in the snapshot."""


class Catalog(Protocol):
    """Where indexed sources are found."""

    @property
    def path(self) -> Path:
        """The directory it lies in."""

    def source(self, source: Source) -> IndexedSource:
        """The newest snapshot of a source of a spec.

        Raises:
            CatalogError: It is not indexed, or was indexed differently.
        """
