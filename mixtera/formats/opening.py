"""Opening a file that must still be the one that was listed."""

from __future__ import annotations

import os
from typing import BinaryIO

from mixtera.contracts.storage import FileInfo, Storage
from mixtera.errors import StorageError


def open_unchanged(storage: Storage, file: FileInfo) -> BinaryIO:
    """Open a file at its beginning, when its size is still the one its description has.

    Raises:
        StorageError: It cannot be read, or has another size now.
    """
    source = storage.open(file.url)
    size = source.seek(0, os.SEEK_END)
    if size != file.size:
        source.close()
        raise changed(file, size)
    source.seek(0)
    return source


def changed(file: FileInfo, size: int) -> StorageError:
    """The error for a file that has another size now."""
    return StorageError(
        f"{file.url} changed since it was indexed: it had {file.size} bytes and has {size}; "
        "index it again, or restore the file"
    )


def read_fully(source: BinaryIO, count: int) -> bytes:
    """Read `count` bytes, or all there are: an unbuffered file may return fewer than asked for."""
    parts: list[bytes] = []
    while count > 0 and (part := source.read(count)):
        parts.append(part)
        count -= len(part)
    return b"".join(parts)
