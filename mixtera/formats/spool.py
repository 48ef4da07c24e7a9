"""A compressed file made random access: decompressed once per process, into a temporary file that has no name."""

from __future__ import annotations

import os
import weakref
from contextlib import ExitStack
from threading import Lock
from typing import BinaryIO, Final

from mixtera.contracts.storage import FileInfo, RandomAccess, Storage
from mixtera.errors import StorageError
from mixtera.formats.compression import plain_stream
from mixtera.formats.opening import open_unchanged
from mixtera.formats.ranges import RangedFile
from mixtera.formats.temporary import SPOOL_VARIABLE, spool_directory, unnamed_file

_PIECE_BYTES: Final = 4 << 20

_opening: Final[dict[int, Lock]] = {}
"""Held while a copy is made, by process: a forked child may inherit one that another thread of its parent holds."""
_open_spools: weakref.WeakValueDictionary[FileInfo, RangedFile] = weakref.WeakValueDictionary()


def spooled(storage: Storage, file: FileInfo) -> RandomAccess:
    """Random access to the decompressed bytes of a file; readers of the same file share one copy.

    The copy has no name in the file system, so nothing stays behind when the process dies; it is freed with the last
    reader that holds it.

    Raises:
        SampleError: The compressed data are cut short or broken.
        StorageError: The file cannot be read, or there is no room for the copy.
    """
    with _opening.setdefault(os.getpid(), Lock()):
        spool = _open_spools.get(file)
        if spool is None:
            spool = _open_spools[file] = _spool(storage, file)
        return spool


def _spool(storage: Storage, file: FileInfo) -> RangedFile:
    directory = spool_directory()
    with open_unchanged(storage, file) as source, plain_stream(source, file) as (stream, _), ExitStack() as cleanup:
        copy = cleanup.enter_context(_temporary_file(directory, file))
        while piece := stream.read(_PIECE_BYTES):
            _write(copy, piece, directory, file)
        cleanup.pop_all()
        return RangedFile(copy, f"{file.url} (decompressed)")


def _temporary_file(directory: str, file: FileInfo) -> BinaryIO:
    try:
        return unnamed_file(directory)
    except OSError as error:
        raise _no_room(directory, file, error) from error


def _write(copy: BinaryIO, piece: bytes, directory: str, file: FileInfo) -> None:
    rest = memoryview(piece)
    try:
        while rest:
            rest = rest[copy.write(rest) :]
    except OSError as error:
        raise _no_room(directory, file, error) from error


def _no_room(directory: str, file: FileInfo, error: OSError) -> StorageError:
    return StorageError(
        f"{file.url} is compressed and cannot be decompressed into {directory}: {error.strerror}; make room there, "
        f"set {SPOOL_VARIABLE} to another directory, or store the file as plain JSONL or Parquet"
    )
