"""Writing one file, whole or not at all: readers see the old one or the new one."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import mkstemp

from mixtera.errors import LockError, StorageError
from mixtera.lockfile.text import HEAD_BYTES, is_lock


def write(path: str, content: bytes) -> None:
    """Write a lock, or replace an older one.

    Raises:
        LockError: Something that is not a lock lies there, or the path is a URL of a storage.
        StorageError: It cannot be written.
    """
    if "://" in path:
        raise LockError(f"a lock cannot be written to {path}: name a file of this machine, and copy it there")
    target = Path(path)
    try:
        _check_replaceable(target)
        _replace(Path(os.path.realpath(target)), content)
    except OSError as error:
        if isinstance(error, StorageError):
            raise
        raise StorageError(f"the lock cannot be written to {path}: {error.strerror or error}") from error


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
