"""Sidecar tables: their files."""

from __future__ import annotations

from mixtera.contracts.storage import FileInfo
from mixtera.registry import storage_of
from mixtera.spec.model import Source


def list_sidecars(source: Source) -> list[tuple[FileInfo, ...]]:
    """The files of each sidecar of a source.

    Raises:
        StorageError: A pattern matches nothing, or a directory cannot be read.
        PluginError: No storage knows the URL.
    """
    return [
        tuple(file for path in sidecar.paths for file in storage_of(path).expand([path])) for sidecar in source.sidecars
    ]
