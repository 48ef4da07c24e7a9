"""The documents of a flat token file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from mixtera.contracts.format import Int64s
from mixtera.contracts.storage import FileInfo, Storage
from mixtera.errors import SampleError
from mixtera.formats.opening import open_unchanged, read_fully
from mixtera.formats.tokenfiles.scan import PIECE_ROWS, Documents, TokenFile
from mixtera.formats.tokens.beside import csv_ends, csv_url, index_ends, index_url
from mixtera.formats.tokens.head import Head, boundaries_of, head_of
from mixtera.formats.tokens.options import CSV, INDEX, Options

READ_BYTES: Final = 8 << 20
"""Bytes that are searched for separators at once."""


def token_file(storage: Storage, file: FileInfo, options: Options) -> TokenFile:
    """Look into a file.

    Raises:
        SampleError: It holds no token ids.
        StorageError: It cannot be read.
    """
    head = head_of(storage, file, options)
    ends, by = _ends(storage, file, options, head)
    return TokenFile(head.kind, head.first_byte, head.tokens, map(Documents, ends), by)


def _ends(storage: Storage, file: FileInfo, options: Options, head: Head) -> tuple[Iterator[Int64s], str]:
    """Where documents end, and what says so."""
    beside = boundaries_of(file.url, options)
    if beside == INDEX:
        return index_ends(storage, file), index_url(file.url)
    if beside == CSV:
        return csv_ends(storage, file), csv_url(file.url)
    if options.separator is not None:
        return _marked(storage, file, head, options.separator, 1), f"the separator {options.separator}"
    if options.start is not None:
        return _marked(storage, file, head, options.start, 0), f"the start {options.start}"
    length = options.length or head.tokens
    return _of_length(head.tokens, length), f"the length {length}"


def _of_length(tokens: int, length: int) -> Iterator[Int64s]:
    """Documents of one length, the last one shorter."""
    count = -(-tokens // length) if tokens else 0
    for first in range(0, count, PIECE_ROWS):
        numbers = np.arange(first + 1, min(first + PIECE_ROWS, count) + 1)
        yield np.minimum(numbers * length, tokens)


def _marked(storage: Storage, file: FileInfo, head: Head, mark: int, behind: int) -> Iterator[Int64s]:
    """Documents that end so many tokens behind the place of a mark; what follows the last one is a document too."""
    largest = np.iinfo(head.kind).max
    if mark > largest:
        raise SampleError(f"{file.url}: no token can be {mark}: its tokens are {head.kind.name}, at most {largest}")
    step = READ_BYTES // head.kind.itemsize
    last = 0
    with open_unchanged(storage, file) as source:
        source.seek(head.first_byte)
        for first in range(0, head.tokens, step):
            count = min(step, head.tokens - first)
            data = read_fully(source, count * head.kind.itemsize)
            ends = np.flatnonzero(np.frombuffer(data, head.kind) == mark) + (first + behind)
            ends = ends[ends > 0]  # a mark at the very beginning starts the first document, and ends none
            if len(ends):
                last = int(ends[-1])
                yield ends
    if last < head.tokens:
        yield np.array([head.tokens])
