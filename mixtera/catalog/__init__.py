"""The catalog: properties, offsets and files of every source, in Iceberg tables.

The names are loaded when they are first used: a process that only scans needs none of them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from mixtera.catalog.catalog import Catalog
    from mixtera.catalog.indexed import IndexedSource
    from mixtera.catalog.report import IndexReport, SourceReport

_HOMES: Final = {
    "Catalog": "mixtera.catalog.catalog",
    "IndexReport": "mixtera.catalog.report",
    "IndexedSource": "mixtera.catalog.indexed",
    "SourceReport": "mixtera.catalog.report",
}

__all__ = ["Catalog", "IndexReport", "IndexedSource", "SourceReport"]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - the names have types of their own, above
    if name not in _HOMES:
        raise AttributeError(f"module 'mixtera.catalog' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
