"""A whole text file: its bytes, and what is wrong with them."""

from __future__ import annotations

import codecs
from typing import BinaryIO, Final

from mixtera.contracts.storage import FileInfo
from mixtera.formats.compression import plain_stream
from mixtera.formats.opening import read_fully

LARGEST_BYTES: Final = 1 << 30
"""Bytes that a document may have, decompressed."""

_WIDE_MARKS: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_document(source: BinaryIO, file: FileInfo) -> bytes:
    """The bytes of an open file, decompressed, without a byte order mark; cut after one more than a document may have.

    Raises:
        SampleError: The compressed data are cut short or broken.
        StorageError: The file cannot be read.
    """
    with plain_stream(source, file) as (stream, _):
        data = read_fully(stream, LARGEST_BYTES + 1)
    return data.removeprefix(codecs.BOM_UTF8)


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
