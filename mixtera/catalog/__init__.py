"""The catalog: properties, offsets and files of every source, in Iceberg tables."""

from mixtera.catalog.catalog import Catalog
from mixtera.catalog.model import IndexedSource, IndexReport, SourceReport

__all__ = ["Catalog", "IndexReport", "IndexedSource", "SourceReport"]
