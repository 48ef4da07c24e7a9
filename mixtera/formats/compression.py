"""Compressed streams: recognised by their first bytes, read to the last member, refused when cut short."""

from __future__ import annotations

import bz2
import lzma
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, Final, Literal, TypeAlias, cast

import pyarrow as pa

from mixtera.contracts.storage import FileInfo, Storage
from mixtera.errors import MixteraError, SampleError, StorageError
from mixtera.formats.opening import open_unchanged
from mixtera.formats.opening import read_fully as read_fully

Compression: TypeAlias = Literal["gzip", "zstd", "bz2", "xz", "lz4"]

HEAD_BYTES: Final = 6
"""Bytes that `sniff` looks at."""

_MAGIC: Final[tuple[tuple[bytes, Compression], ...]] = (
    (b"\x1f\x8b", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"BZh", "bz2"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"\x04\x22\x4d\x18", "lz4"),
)


def sniff(head: bytes) -> Compression | None:
    """The compression that a file's first bytes tell; None for a plain file. Suffixes are not asked."""
    for magic, compression in _MAGIC:
        if head.startswith(magic):
            return compression
    skippable = len(head) >= 4 and head[1:4] == b"\x2a\x4d\x18" and head[0] & 0xF0 == 0x50
    return "zstd" if skippable else None


def compression_of(storage: Storage, file: FileInfo) -> Compression | None:
    """The compression of a file, by its first bytes.

    Raises:
        StorageError: It cannot be read, or changed.
    """
    with open_unchanged(storage, file) as source:
        return sniff(read_fully(source, HEAD_BYTES))


@contextmanager
def plain_stream(source: BinaryIO, file: FileInfo) -> Iterator[tuple[BinaryIO, Compression | None]]:
    """The decompressed bytes of an open file, from its beginning; many members or frames count as one stream.

    Yields:
        The stream and the compression that was found.

    Raises:
        SampleError: The compressed data are cut short or broken; also while the stream is read inside the `with`.
        StorageError: The file cannot be read.
    """
    with named_errors(file):
        compression = sniff(read_fully(source, HEAD_BYTES))
        source.seek(0)
        yield _decompressed(source, compression), compression


@contextmanager
def named_errors(file: FileInfo) -> Iterator[None]:
    """Turn what goes wrong while a file is read into an error that names the file."""
    try:
        yield
    except MixteraError:
        raise
    except OSError as error:
        if error.errno is not None:
            raise StorageError(f"{file.url} cannot be read: {error.strerror}") from error
        raise broken(file, error) from error
    except (EOFError, lzma.LZMAError) as error:
        raise broken(file, error) from error


def broken(file: FileInfo, error: Exception) -> SampleError:
    """The error for a file whose compressed data are not whole, or cannot be read."""
    if "too much memory" in str(error):  # as both zstd libraries say
        return SampleError(
            f"{file.url} is compressed with a window of more than 128 MiB (`zstd --long=28` and above), which takes as "
            "much memory to read: compress it again with --long=27, or without"
        )
    return SampleError(
        f"{file.url}: the compressed data are cut short or broken ({error}); copy or compress the file again"
    )


def _decompressed(source: BinaryIO, compression: Compression | None) -> BinaryIO:
    if compression is None:
        return source
    if compression == "bz2":  # Arrow's reader stumbles over streams that hold nothing
        return cast(BinaryIO, bz2.open(source))
    if compression == "xz":
        return cast(BinaryIO, lzma.open(source))
    return cast(BinaryIO, pa.CompressedInputStream(pa.PythonFile(source, "r"), compression))
