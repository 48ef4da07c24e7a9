"""A compressed file made random access by a decompressed copy: of this process alone, or shared by those of a machine.

Without `MIXTERA_SPOOL` the copy is a temporary file that has no name: it goes with the process. Where it names a
directory, the copy is kept there for others and for later, see `mixtera.formats.copies`.
"""

from __future__ import annotations

import errno
import os
import weakref
from contextlib import ExitStack
from threading import Lock
from typing import BinaryIO, Final

from mixtera.contracts.storage import FileInfo, RandomAccess, Storage
from mixtera.errors import MixteraError, StorageError
from mixtera.formats.compression import plain_stream
from mixtera.formats.copies import Copies, FullError
from mixtera.formats.opening import open_unchanged
from mixtera.formats.ranges import RangedFile
from mixtera.formats.temporary import (
    SIZE_VARIABLE,
    SPOOL_VARIABLE,
    shared_directory,
    spool_bytes,
    spool_directory,
    unnamed_file,
)

_PIECE_BYTES: Final = 4 << 20
_CHECKED_BYTES: Final = 64 << 20
"""Bytes after which room is made again for a copy that grows."""

_opening: Final[dict[int, Lock]] = {}
"""Held while a copy is made, by process: a forked child may inherit one that another thread of its parent holds."""
_open_spools: weakref.WeakValueDictionary[FileInfo, RangedFile] = weakref.WeakValueDictionary()


class SpoolFullError(StorageError):
    """The copies that are in use leave no room for another one."""


def spooled(storage: Storage, file: FileInfo) -> RandomAccess:
    """Random access to the decompressed bytes of a file; readers of the same file share one copy.

    Raises:
        SampleError: The compressed data are cut short or broken.
        StorageError: The file cannot be read, or there is no room for the copy.
    """
    with _opening.setdefault(os.getpid(), Lock()):
        spool = _open_spools.get(file)
        if spool is None:
            directory = shared_directory()
            made = _private(storage, file) if directory is None else _shared(storage, file, directory)
            spool = _open_spools[file] = RangedFile(made, f"{file.url} (decompressed)")
        return spool


def _private(storage: Storage, file: FileInfo) -> BinaryIO:
    """A copy of this process alone: nothing stays behind, and it is freed with the last reader that holds it."""
    directory = spool_directory()
    with ExitStack() as cleanup:
        try:
            copy = cleanup.enter_context(unnamed_file(directory))
        except OSError as error:
            raise _no_room(directory, file, error) from error
        _decompress(storage, file, copy, directory, None)
        cleanup.pop_all()
        return copy


def _shared(storage: Storage, file: FileInfo, directory: str) -> BinaryIO:
    """The copy that the processes of this machine share; made now where there is none."""
    copies = Copies(directory, spool_bytes())
    try:
        copy, is_new = copies.find_or_begin(file)
    except OSError as error:
        raise _no_room(directory, file, error) from error
    if is_new:
        try:
            _decompress(storage, file, copy, directory, copies)
            copies.finish(copy, file)
        except BaseException as error:
            copies.abandon(copy, file)
            if isinstance(error, OSError) and not isinstance(error, MixteraError):
                raise _no_room(directory, file, error) from error
            raise
    return copy


def _decompress(storage: Storage, file: FileInfo, copy: BinaryIO, directory: str, copies: Copies | None) -> None:
    """Write what a file holds; shared copies make room as it grows."""
    size, checked = 0, -_CHECKED_BYTES
    with open_unchanged(storage, file) as source, plain_stream(source, file) as (stream, _):
        while piece := stream.read(_PIECE_BYTES):
            _write(copy, piece, directory, file)
            size += len(piece)
            if copies is not None and size - checked >= _CHECKED_BYTES:
                _make_room(copies, file, directory)
                checked = size
    if copies is not None:
        _make_room(copies, file, directory)


def _make_room(copies: Copies, file: FileInfo, directory: str) -> None:
    try:
        copies.make_room()
    except FullError as error:
        raise SpoolFullError(
            f"{file.url} is compressed and cannot be decompressed into {directory}: the copies in use there have "
            f"{error.used:,} bytes and {spool_bytes():,} are allowed; allow more with {SIZE_VARIABLE} (--spool-size), "
            "use fewer readers, or store the file in frames or as plain JSONL or Parquet"
        ) from error
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
    way_out = "make the directory" if error.errno == errno.ENOENT else "make room there"
    return StorageError(
        f"{file.url} is compressed and cannot be decompressed into {directory}: {error.strerror}; {way_out}, "
        f"set {SPOOL_VARIABLE} to another directory, or store the file as plain JSONL or Parquet"
    )
