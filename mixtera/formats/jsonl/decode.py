"""Records in memory to content columns, by the cheapest way that fits them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import cast

import msgspec
import numpy as np
import pyarrow as pa

from mixtera.arrow import strings
from mixtera.contracts.format import ContentColumn
from mixtera.errors import SampleError
from mixtera.formats.jsonl.frame import Frame, frame_of
from mixtera.formats.jsonl.layout import Layout, column, layout
from mixtera.formats.jsonl.lines import Positions, look_like_objects, without_line_ends
from mixtera.formats.jsonl.reasons import DECODE_ERRORS, reason_of
from mixtera.formats.jsonl.unquote import LONGEST_STRINGS, strings_at, unquoted
from mixtera.formats.ranges import cut

_layout = lru_cache(layout)
"""Every fetch reads the same content, and making a layout takes as long as decoding a hundred records."""


@dataclass(frozen=True, slots=True)
class Lines:
    """Records of one file in a page: where each begins, and ends with its line end; their rows, and the file."""

    starts: Positions
    stops: Positions
    rows: Positions
    url: str


class Decoder:
    """Decodes records with the same content columns.

    What it has seen of one page only makes the next one faster, never different.
    """

    def __init__(self, content: Sequence[ContentColumn]) -> None:
        self._content = tuple(content)
        self._to_decoder = False
        self._frame: Frame | None = None

    def decode(self, page: bytearray, parts: Sequence[Lines]) -> list[pa.Array]:
        """The content columns of some records: by one frame, by one for each file, or by the JSON parser.

        Raises:
            SampleError: A record is not as it was indexed.
        """
        found = self._framed(page, parts)
        if found is not None:
            return [found]
        framed = [self._framed(page, [part]) for part in parts] if len(parts) > 1 else []
        if any(one is not None for one in framed):
            pieces = zip(framed, parts, strict=True)
            return [joined([self._parsed(page, [part])[0] if one is None else one for one, part in pieces])]
        return self._parsed(page, parts)

    def _framed(self, page: bytearray, parts: Sequence[Lines]) -> pa.Array | None:
        """The content column of records with the frame of those before, or of their first; None if one does not fit."""
        edges = _edges(parts)
        contents = None if self._frame is None else self._frame.contents(page, *edges)
        if contents is None:
            start, stop = int(edges[0][0]), int(edges[1][0])
            frame: Frame | None = frame_of(bytes(page[start:stop]).rstrip(b"\r\n"), self._content)
            contents = None if frame is None or frame == self._frame else frame.contents(page, *edges)
            if contents is None:
                return None
            self._frame = frame
        return strings_at(np.frombuffer(page, np.uint8), *contents)

    def _parsed(self, page: bytearray, parts: Sequence[Lines]) -> list[pa.Array]:
        """The columns by the JSON parser: all records at once, or one by one if one of them is not as it should be."""
        values = cut(np.frombuffer(page, np.uint8), *_edges(parts))
        edges, text = _edges_and_text(values)
        data = np.frombuffer(text, np.uint8)
        if look_like_objects(data, edges[:-1], without_line_ends(data, edges[:-1], edges[1:])):
            columns = self._columns(text, len(values))
            if columns is not None:
                return columns
        return self._one_by_one(page, parts)

    def _columns(self, text: memoryview, count: int) -> list[pa.Array] | None:
        """The columns of back-to-back records; None if any of them is not as it should be.

        Once `unquoted` leaves a page to the JSON decoder, the pages that follow go there at once.
        """
        try:
            if not self._to_decoder:
                verbatim: Layout = _layout(self._content, (), msgspec.Raw)
                records = verbatim.decoder.decode_lines(text)
                columns = [unquoted(column(records, attributes)) for attributes in verbatim.content]
                if len(records) == count and all(found is not None for found in columns):
                    return columns
                self._to_decoder = True
            decoded: Layout = _layout(self._content, ())
            records = decoded.decoder.decode_lines(text)
        except DECODE_ERRORS:
            return None
        return self._strings(records) if len(records) == count else None

    def _one_by_one(self, page: bytearray, parts: Sequence[Lines]) -> list[pa.Array]:
        """The same for records that stand with blanks around them, and the place where a broken one is named."""
        records = [
            self._record(bytes(page[start:stop]), part.url, row)
            for part in parts
            for start, stop, row in zip(part.starts.tolist(), part.stops.tolist(), part.rows.tolist(), strict=True)
        ]
        return self._strings(records)

    def _record(self, line: bytes, url: str, row: int) -> msgspec.Struct:
        try:
            return _layout(self._content, ()).decoder.decode(line)
        except DECODE_ERRORS as error:
            reason = reason_of(line, self._content, (), error)
            raise SampleError(
                f"{url}, line {row + 1}: {reason}; the file changed since it was indexed, or is broken: index it again"
            ) from error

    def _strings(self, records: list[msgspec.Struct]) -> list[pa.Array]:
        attributes = _layout(self._content, ()).content
        return [strings(cast("list[str]", column(records, names))) for names in attributes]


def joined(pieces: Sequence[pa.Array]) -> pa.Array:
    """String arrays one after the other: `string`, or `large_string` where they need more than 2 GiB."""
    if len(pieces) == 1:
        return pieces[0]
    if not pieces:
        return strings([])
    if sum(piece.nbytes for piece in pieces) > LONGEST_STRINGS:
        pieces = [piece.cast(pa.large_string()) for piece in pieces]
    return pa.concat_arrays(pieces)


def _edges(parts: Sequence[Lines]) -> tuple[Positions, Positions]:
    """Where the records of all parts begin and end."""
    if len(parts) == 1:
        return parts[0].starts, parts[0].stops
    return np.concatenate([part.starts for part in parts]), np.concatenate([part.stops for part in parts])


def _edges_and_text(values: pa.LargeBinaryArray) -> tuple[Positions, memoryview]:
    """Where each value starts and ends in the buffer they share, and that buffer."""
    _, offsets, data = values.buffers()
    edges = np.frombuffer(offsets, np.int64)[values.offset : values.offset + len(values) + 1]
    return edges - edges[0], memoryview(data)[edges[0] : edges[-1]]
