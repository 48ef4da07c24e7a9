"""Publishing a directory in one step: readers see the old one or the new one, never a mixture and never nothing."""

from __future__ import annotations

import ctypes
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp
from typing import Final

_HERE: Final = -100  # AT_FDCWD
_EXCHANGE: Final = 2  # RENAME_EXCHANGE


@contextmanager
def replacing(path: Path, durable: bool = True) -> Iterator[Path]:
    """A new directory beside `path` that takes its place when the block ends well, and vanishes when it does not.

    Args:
        path: The directory to make or to replace; its parents are made.
        durable: Whether the content is on the disk, and not only in the page cache, before it is published.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(mkdtemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent))
    try:
        fresh.chmod(0o777 & ~_umask())
        yield fresh
        if durable:
            for name in [*fresh.iterdir(), fresh]:
                sync(name)
        _publish(fresh, path)
        if durable:
            sync(path.parent)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)  # after an exchange this is the old one


def _publish(fresh: Path, path: Path) -> None:
    if not path.exists():
        fresh.rename(path)
    elif not _exchange(fresh, path):
        aside = fresh.with_suffix(".replaced")
        path.rename(aside)
        fresh.rename(path)
        shutil.rmtree(aside, ignore_errors=True)


def _exchange(one: Path, other: Path) -> bool:
    """Swap two directories in one step; False where the system cannot (then two renames have to do)."""
    if not sys.platform.startswith("linux"):
        return False
    swap = getattr(ctypes.CDLL(None), "renameat2", None)
    return swap is not None and swap(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE) == 0


def sync(path: Path) -> None:
    """Return when a file, or the names in a directory, are on the disk.

    Raises:
        OSError: They cannot be written.
    """
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
