"""The scan of a file of token ids, from where its documents end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import numpy as np
import pyarrow as pa

from mixtera.arrow import from_numpy
from mixtera.contracts.format import ContentColumn, FileFacts, Int64s, PropertyColumn, ScanBatch
from mixtera.contracts.storage import FileInfo
from mixtera.errors import SampleError
from mixtera.formats.tokenfiles.content import TOKENS, check_content, check_properties
from mixtera.formats.tokenfiles.ids import DELIVERED, TokenType
from mixtera.formats.values import ARROW_TYPES, clean, index_schema

PIECE_ROWS: Final = 1 << 16
"""Rows of one piece of the index, at most."""


@dataclass(frozen=True, slots=True)
class Documents:
    """Some documents of a file, one after the other.

    Attributes:
        ends: [n] tokens of the file before the end of each.
        more: Numbers that they have beside their length, as arrays of int64 with NULLs.
    """

    ends: Int64s
    more: Mapping[str, pa.Array] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TokenFile:
    """What is known of a file of token ids before its documents are.

    Attributes:
        kind: The type that its tokens are stored in.
        first_byte: Where they begin.
        tokens: How many they are.
        documents: Its documents, in pieces.
        boundaries: What says where documents end, for messages.
    """

    kind: TokenType
    first_byte: int
    tokens: int
    documents: Iterator[Documents]
    boundaries: str


Opener: TypeAlias = Callable[[], AbstractContextManager[TokenFile]]


class TokenScan:
    """The scan of one file: iterate it to the end, then ask for `facts`.

    Args:
        file: The file.
        properties: What the index shall hold; `tokens` is the length, other paths are of `more`, or NULL.
        content: The content columns.
        known: Paths of properties that the format has.
        opener: Looks into the file, when the scan begins.
    """

    def __init__(
        self,
        file: FileInfo,
        properties: Sequence[PropertyColumn],
        content: Sequence[ContentColumn],
        known: Sequence[str],
        opener: Opener,
    ) -> None:
        check_content(content, file)
        check_properties(properties, known, file)
        self._file = file
        self._properties = properties
        self._schema = index_schema(properties)
        self._opener = opener
        self._facts = FileFacts(0)

    def __iter__(self) -> Iterator[ScanBatch]:
        """Pieces of the index, at most 65,536 rows each."""
        with self._opener() as found:
            yield from self._pieces(found)

    def facts(self) -> FileFacts:
        """What the scan found; valid after the last piece."""
        return self._facts

    def _pieces(self, found: TokenFile) -> Iterator[ScanBatch]:
        row = last = told = 0
        for documents in found.documents:
            for start in range(0, len(documents.ends), PIECE_ROWS):
                part = slice(start, start + PIECE_ROWS)
                ends = documents.ends[part]
                self._check(found, ends, row, last)
                read = found.first_byte + int(ends[-1]) * found.kind.itemsize
                more = {name: values[part] for name, values in documents.more.items()}
                yield ScanBatch(self._index(found, row, last, ends, more), (), read - told)
                row, last, told = row + len(ends), int(ends[-1]), read
        if last != found.tokens:
            raise SampleError(
                f"{self._file.url}: its documents end at token {last:,} and it has {found.tokens:,} tokens, by "
                f"{found.boundaries}: the two do not belong together, or one of them is cut short"
            )
        if told < self._file.size:
            yield ScanBatch(pa.RecordBatch.from_pylist([], self._schema), (), self._file.size - told)
        self._facts = FileFacts(row, (), found.tokens * DELIVERED.itemsize)

    def _check(self, found: TokenFile, ends: Int64s, row: int, last: int) -> None:
        """Check that documents end one after the other, and in the file.

        Raises:
            SampleError: Some do not.
        """
        lengths = np.diff(ends, prepend=last)
        if min(int(lengths.min()), int(ends.min())) < 0:
            place = int(np.flatnonzero((lengths < 0) | (ends < 0))[0])
            before = int(ends[place - 1]) if place else last
            raise SampleError(
                f"{self._file.url}: document {row + place:,} ends at token {ends[place]:,}, before the one in front of "
                f"it ({before:,}), by {found.boundaries}: it is damaged, or not what it is taken for"
            )
        if int(ends[-1]) > found.tokens:
            place = int(np.flatnonzero(ends > found.tokens)[0])
            raise SampleError(
                f"{self._file.url}: document {row + place:,} ends at token {ends[place]:,} and the file has "
                f"{found.tokens:,}, by {found.boundaries}: the file is cut short, or its tokens are not "
                f"{found.kind.name}"
            )

    def _index(
        self, found: TokenFile, row: int, last: int, ends: Int64s, more: Mapping[str, pa.Array]
    ) -> pa.RecordBatch:
        width = found.kind.itemsize
        lengths = np.diff(ends, prepend=last)
        offsets = found.first_byte + (ends - lengths) * width
        numbers = {**more, TOKENS: from_numpy(lengths)}
        index = (np.arange(row, row + len(ends)), offsets, lengths * width)
        values = [_values(column, numbers.get(column.path), len(ends)) for column in self._properties]
        return pa.RecordBatch.from_arrays([*map(from_numpy, index), *values], schema=self._schema)


def _values(column: PropertyColumn, numbers: pa.Array | None, count: int) -> pa.Array:
    kind = ARROW_TYPES[column.type]
    return clean(pa.nulls(count, kind)) if numbers is None else numbers.cast(kind)
