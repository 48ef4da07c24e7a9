"""Writing one file, whole or not at all: readers see the old one or the new one."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import mkstemp
from urllib.parse import unquote

from mixtera.contracts.storage import Writing
from mixtera.errors import LockError, StorageError
from mixtera.lockfile.text import HEAD_BYTES, is_lock
from mixtera.registry import storage_of


def write(path: str, content: bytes) -> None:
    """Write a lock, or replace an older one.

    Raises:
        LockError: Something that is not a lock lies there.
        StorageError: It cannot be written, or the storage cannot write.
    """
    if path.startswith("file://"):
        path = unquote(path.removeprefix("file://").removeprefix("localhost"))
    if "://" in path:
        _write_remote(path, content)
        return
    target = Path(path)
    try:
        _check_replaceable(target)
        _replace(Path(os.path.realpath(target)), content)
    except OSError as error:
        if isinstance(error, StorageError):
            raise
        raise StorageError(f"the lock cannot be written to {path}: {error.strerror or error}") from error


def _write_remote(url: str, content: bytes) -> None:
    """Write to a storage; those that replace an object in one step do so here."""
    storage = storage_of(url)
    if not isinstance(storage, Writing):
        raise StorageError(f"the lock cannot be written to {url}: the storage {storage.name} only reads")
    try:
        with storage.open(url) as file:
            beginning = file.read(HEAD_BYTES)
    except StorageError as error:
        if not isinstance(error.__cause__, FileNotFoundError):
            raise
        beginning = b""
    if beginning and not is_lock(beginning):
        raise LockError(f"{url} holds something that is not a lock: move it away, or name another file")
    storage.write(url, content)


def _check_replaceable(path: Path) -> None:
    if path.is_dir():
        raise LockError(f"{path} is a directory: a lock is a file, best beside its spec")
    if not path.exists():
        return
    with path.open("rb") as file:
        beginning = file.read(HEAD_BYTES)
    if beginning and not is_lock(beginning):
        raise LockError(f"{path} holds something that is not a lock: move it away, or name another file")


def _replace(path: Path, content: bytes) -> None:
    handle, name = mkstemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent)
    fresh = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(file.fileno(), _mode(path))
            os.fsync(file.fileno())
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


def _mode(path: Path) -> int:
    """The permissions of the file that is replaced, or those of any new file."""
    if path.exists():
        return path.stat().st_mode & 0o777
    mask = os.umask(0o022)
    os.umask(mask)
    return 0o666 & ~mask
