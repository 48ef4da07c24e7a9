"""A whole text file: its bytes, and what is wrong with them."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import BinaryIO, Final

from mixtera.contracts.storage import FileInfo
from mixtera.formats.compression import plain_stream
from mixtera.formats.opening import read_fully

LARGEST_BYTES: Final = 1 << 30
"""Bytes that a document may have, decompressed."""

PIECE_BYTES: Final = 1 << 18
"""Bytes that are decompressed at once."""

_WIDE_MARKS: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_document(source: BinaryIO, file: FileInfo) -> bytes:
    """The bytes of an open file, decompressed, without a byte order mark; cut when they are more than a document has.

    Raises:
        SampleError: The compressed data are cut short or broken.
        StorageError: The file cannot be read.
    """
    with plain_stream(source, file) as (stream, compression):
        if compression is None:
            data = read_fully(stream, min(file.size, LARGEST_BYTES + 1))  # a buffer of that size is made at once
        else:
            data = b"".join(_pieces(stream))
    return data.removeprefix(codecs.BOM_UTF8)


def _pieces(stream: BinaryIO) -> Iterator[bytes]:
    size = 0
    while size <= LARGEST_BYTES and (piece := stream.read(PIECE_BYTES)):
        size += len(piece)
        yield piece


def reason_against(data: bytes) -> str | None:
    """Why a document cannot be used, in one line; None if it can."""
    if len(data) > LARGEST_BYTES:
        return f"the file has more than {LARGEST_BYTES >> 30} GiB of text, which is one sample here: split it"
    if data.startswith(_WIDE_MARKS):
        return "the file is UTF-16 by its byte order mark: write it again as UTF-8"
    try:
        data.decode()
    except UnicodeDecodeError as error:
        return f"not valid UTF-8: {error.reason} at byte {error.start}"
    return f"a NUL byte at {data.index(0)}: the file is binary" if 0 in data else None
