"""What a commit has written is on the disk before the database says so.

Data files are flushed before it. What it writes itself are many small files: they and the directories that name them
are flushed together at the end, several at a time, so that the disk can take them at once.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Collection, Iterator
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
def durable(space: Path, runs: Collection[Path], written: list[Path]) -> Iterator[list[Path]]:
    """Flush what the block writes into the metadata directories of a source, and the directories above, at its end.

    The block adds other files that it writes, and that are to be flushed too, to the list that it is given.

    Args:
        space: Directory of the source in the catalog.
        runs: Directories that files of the state lie in, all in one; what else they hold is flushed already.
        written: Gets the files that were flushed.

    Raises:
        OSError: It cannot be written.
    """
    before = set(_metadata(space))
    others: list[Path] = []
    yield others
    metadata = [path for path in _metadata(space) if path not in before]
    directories = {path.parent for path in metadata} | {path.parent.parent for path in metadata}
    above = [*runs, *(run.parent for run in runs), space, space.parent, space.parent.parent]
    with ThreadPoolExecutor(_AT_A_TIME) as threads:
        flushing = [threads.submit(flush, path) for path in (*others, *metadata)]
        flushing += [threads.submit(flush_directory, path) for path in sorted({*directories, *above})]
        for one in flushing:
            one.result()
    written += metadata


def _metadata(space: Path) -> Iterator[Path]:
    return space.glob("*/metadata/*")
