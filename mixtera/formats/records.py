"""The records of an open file, by byte offset: those of a compressed file through a decompressed copy."""

from __future__ import annotations

from mixtera.contracts.storage import FileInfo, RandomAccess, Storage
from mixtera.errors import StorageError
from mixtera.formats.compression import compression_of
from mixtera.formats.spool import spooled


class OpenRecords:
    """Random access to the plain bytes of a file; `close` releases it, and a copy with its last reader."""

    def __init__(self, storage: Storage, file: FileInfo) -> None:
        self._url = file.url
        self._shared = compression_of(storage, file) is not None
        self._access: RandomAccess | None = spooled(storage, file) if self._shared else storage.random_access(file.url)

    @property
    def access(self) -> RandomAccess:
        """The bytes.

        Raises:
            StorageError: It is closed.
        """
        if self._access is None:
            raise StorageError(f"{self._url} is closed")
        return self._access

    @property
    def spooled_bytes(self) -> int:
        """Bytes of the decompressed copy; 0 for a plain file."""
        return self._access.size if self._access is not None and self._shared else 0

    def close(self) -> None:
        """Release the file."""
        if self._access is not None and not self._shared:
            self._access.close()
        self._access = None
