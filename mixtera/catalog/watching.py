"""Whether a file is still the one that was listed, once it was read: without a second look-up of its name if it can be.

A look-up costs a request on an object store and a call of the metadata server on a parallel file system.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import BinaryIO, cast

from mixtera.contracts.storage import AccessProfile, Descriptors, FileInfo, RandomAccess, StorageOptions
from mixtera.registry import can_pin, has_descriptors, storage_of, storage_of_file


class Watched:
    """The storage of one file that is being scanned; it keeps what was opened, so that it can be described afterwards.

    Use it as a context manager.
    """

    def __init__(self, file: FileInfo, options: StorageOptions = ()) -> None:
        """Watch a file; `options` is what the spec says of storages."""
        self._file = file
        self._storage = storage_of_file(file, options)
        self._pins = can_pin(type(storage_of(file.url, options)))
        self._describing = cast(Descriptors, self._storage) if has_descriptors(type(self._storage)) else None
        self._descriptor: int | None = None
        self.name = self._storage.name
        self.schemes = self._storage.schemes

    def __enter__(self) -> Watched:
        return self

    def __exit__(self, *_: object) -> None:
        self._forget()

    def profile(self) -> AccessProfile:
        """That of the storage."""
        return self._storage.profile()

    def expand(self, patterns: Sequence[str]) -> list[FileInfo]:
        """As the storage does."""
        return self._storage.expand(patterns)

    def stat(self, url: str) -> FileInfo:
        """As the storage does."""
        return self._storage.stat(url)

    def open(self, url: str) -> BinaryIO:
        """As the storage does; the descriptor is kept too."""
        source = self._storage.open(url)
        if self._describing is not None and url == self._file.url:
            self._forget()
            self._descriptor = os.dup(source.fileno())
        return source

    def random_access(self, url: str) -> RandomAccess:
        """As the storage does."""
        return self._storage.random_access(url)

    def now(self) -> FileInfo:
        """The file as it is now. Where every read has checked the etag, that is the file as it was listed.

        Raises:
            StorageError: It is gone, or cannot be described.
        """
        if self._describing is not None and self._descriptor is not None:
            return self._describing.describe(self._descriptor, self._file.url)
        if self._file.etag and self._pins:
            return self._file
        return self._storage.stat(self._file.url)

    def _forget(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
