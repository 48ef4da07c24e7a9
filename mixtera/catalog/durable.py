"""What a commit has written is on the disk before the database says so.

Data files are flushed when they are closed, by whoever has written them. Metadata are many small files: they and the
directories that name them are flushed together at the end, several at a time, so that the disk can take them at once.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_AT_A_TIME: Final = 8
_NOT_FOR_DIRECTORIES: Final = {errno.EINVAL, errno.ENOTSUP, errno.EACCES}
"""What file systems answer that cannot flush a directory, or need not."""


def flush(path: Path) -> None:
    """Return when the content of a file is on the disk.

    Raises:
        OSError: It cannot be written.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def flush_directory(path: Path) -> None:
    """Return when the names in a directory are on the disk.

    Raises:
        OSError: They cannot be written.
    """
    try:
        flush(path)
    except OSError as error:
        if error.errno not in _NOT_FOR_DIRECTORIES:
            raise


@contextmanager
def durable(space: Path, runs: Collection[Path], written: list[Path]) -> Iterator[None]:
    """Flush what the block writes into the metadata directories of a source, and the directories above, at its end.

    Args:
        space: Directory of the source in the catalog.
        runs: Directories that files of the state lie in, all in one; what they hold is flushed already.
        written: Gets the files that were flushed.

    Raises:
        OSError: It cannot be written.
    """
    before = set(_metadata(space))
    yield
    metadata = [path for path in _metadata(space) if path not in before]
    directories = {path.parent for path in metadata} | {path.parent.parent for path in metadata}
    above = [*runs, *(run.parent for run in runs), space, space.parent, space.parent.parent]
    with ThreadPoolExecutor(_AT_A_TIME) as threads:
        _all(threads, flush, metadata)
        _all(threads, flush_directory, sorted({*directories, *above}))
    written += metadata


def _metadata(space: Path) -> Iterator[Path]:
    return space.glob("*/metadata/*")


def _all(threads: ThreadPoolExecutor, call: Callable[[Path], None], paths: Sequence[Path]) -> None:
    for _ in threads.map(call, paths):
        continue
