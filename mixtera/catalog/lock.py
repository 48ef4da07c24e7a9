"""One writer at a time: an advisory lock on the catalog, which the kernel releases when its owner dies."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from mixtera.errors import CatalogError, StorageError

_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def writing(root: Path, waiting: Callable[[str], None], shown: str = "") -> Iterator[None]:
    """Hold the lock of a catalog directory; readers need none.

    Args:
        root: The catalog directory.
        waiting: Called once with a message when another process holds the lock and this one has to wait.
        shown: How messages call the catalog; empty for its directory.

    Raises:
        CatalogError: The directory cannot be written.
        StorageError: Its disk is full.
    """
    try:
        handle = os.open(root / "lock", os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise not_writable(root, error) from error
    try:
        _acquire(handle, shown or str(root), waiting)
        with suppress(OSError):  # a full disk: who needs room says so
            os.ftruncate(handle, 0)
            os.pwrite(handle, f"process {os.getpid()} on {socket.gethostname()}".encode(), 0)
        yield
    finally:
        with suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_UN)  # a child that was forked meanwhile has it open, too
        os.close(handle)


def _acquire(handle: int, root: str, waiting: Callable[[str], None]) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.pread(handle, 200, 0).decode(errors="replace") or "another process"
        waiting(f"{owner} is writing the catalog {root}; waiting until it has finished")
        fcntl.flock(handle, fcntl.LOCK_EX)
    except OSError as error:
        raise CatalogError(
            f"cannot lock the catalog {root}: {error.strerror}; its file system must support locks "
            "(on Lustre: mount with flock), or choose another directory with --catalog"
        ) from error


def not_writable(root: Path, error: OSError) -> CatalogError | StorageError:
    """The error of a catalog directory that cannot be written, by its kind: the wrong one, or a disk that is full."""
    if error.errno in _FULL:
        return StorageError(
            f"cannot write the catalog {root}: {error.strerror}; free some space, or put the catalog elsewhere with "
            "--catalog or MIXTERA_CATALOG"
        )
    return CatalogError(
        f"cannot write the catalog {root}: {error.strerror or error}; "
        "choose a directory you can write with --catalog or MIXTERA_CATALOG"
    )
