"""What a worker does: scan files, or write rows that the catalog has with other columns."""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

from mixtera.catalog.bundles import Bundle, Scanned
from mixtera.catalog.derivation import Derivation
from mixtera.catalog.durable import flush
from mixtera.catalog.scan import Advance, scan_bundle
from mixtera.catalog.writing import storage_errors

Work: TypeAlias = Bundle | Derivation


def done(work: Work, advance: Advance) -> Scanned:
    """Do a piece of work. What it has written is on the disk then, for whoever else may read it.

    Raises:
        MixteraError: It cannot be done.
    """
    result = written(work, advance)
    flush_written(Path(work.directory), result)
    return result


def written(work: Work, advance: Advance) -> Scanned:
    """Do a piece of work; `flush_written` then sees to the disk, while the next piece is worked on.

    Raises:
        MixteraError: It cannot be done.
    """
    match work:
        case Bundle():
            return scan_bundle(work, advance)
        case Derivation():
            from mixtera.catalog.deriving import derive  # seldom needed

            return derive(work, advance)


def flush_written(directory: Path, result: Scanned) -> None:
    """Return when what a piece of work has written to a directory is on the disk.

    Raises:
        StorageError: It cannot be written.
    """
    for name in (result.data_file, result.bad_file):
        if name:
            with storage_errors(directory / name):
                flush(directory / name)
