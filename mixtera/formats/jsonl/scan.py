"""The scan of a JSONL file: offsets and properties in one pass, at the speed of the JSON parser."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Any, BinaryIO, Final

import msgspec
import numpy as np
import pyarrow as pa

from mixtera.arrow import from_numpy
from mixtera.contracts.format import BadSample, ContentColumn, FileFacts, PropertyColumn, ScanBatch
from mixtera.contracts.storage import FileInfo, Storage
from mixtera.formats.arrays import property_array
from mixtera.formats.compression import Compression
from mixtera.formats.framed import FrameStream, frame_stream
from mixtera.formats.jsonl.layout import Layout, columns, layout, taken
from mixtera.formats.jsonl.lines import (
    BYTE_ORDER_MARK,
    Positions,
    line_blocks,
    line_edges,
    look_like_objects,
    without_line_ends,
)
from mixtera.formats.jsonl.reasons import DECODE_ERRORS, EXCERPT_BYTES, bad_sample, too_long
from mixtera.formats.opening import open_unchanged
from mixtera.formats.values import ARROW_TYPES, INDEX_FIELDS

BLOCK_BYTES: Final = 256 << 10
"""Bytes that are read and decoded at once: a block and its records stay in the processor's cache and below the
garbage collector's threshold; blocks of 4 MiB take 1.5 × as long."""

BATCH_BYTES: Final = 8 << 20
"""Bytes behind one batch of the index, about."""

WHOLE_BYTES: Final = 64 << 20
"""A compressed file larger than this when decompressed is reported as one group that is read as a whole."""


_layout = lru_cache(layout)
"""Files of a source have the same layout; making it takes longer than scanning a small file."""


@dataclass(frozen=True, slots=True)
class _Piece:
    """The good records of some consecutive lines, column by column, and the bad ones."""

    rows: Positions
    offsets: Positions
    lengths: Positions
    columns: list[list[Any]]
    bad: list[BadSample]


class JsonlScan:
    """The scan of one file: iterate it to the end, then ask for `facts`."""

    def __init__(
        self,
        storage: Storage,
        file: FileInfo,
        properties: Sequence[PropertyColumn],
        content: Sequence[ContentColumn],
    ) -> None:
        self._storage = storage
        self._file = file
        self._content = content
        self._properties = properties
        self._layout: Layout = _layout(tuple(content), tuple(properties))
        self._schema = pa.schema([*INDEX_FIELDS, *(pa.field(p.name, ARROW_TYPES[p.type]) for p in properties)])
        self._rows = 0
        self._content_bytes = 0
        self._compression: Compression | None = None
        self._frames: FrameStream | None = None

    def __iter__(self) -> Iterator[ScanBatch]:
        """Pieces of the index, about 8 MiB of records each."""
        self._rows = self._content_bytes = 0
        with (
            open_unchanged(self._storage, self._file) as source,
            frame_stream(source, self._file) as (stream, self._compression),
        ):
            yield from self._batches(source, stream)

    def facts(self) -> FileFacts:
        """What the scan found; valid after the last piece."""
        groups, frames = self._frames.pieces() if self._frames is not None else ((), ())
        if frames:
            return FileFacts(self._rows, groups, self._content_bytes, frames)
        whole = self._compression is not None and self._content_bytes > WHOLE_BYTES
        return FileFacts(self._rows, (self._rows,) if whole else (), self._content_bytes)

    def _batches(self, source: BinaryIO, stream: BinaryIO) -> Iterator[ScanBatch]:
        self._frames = stream if isinstance(stream, FrameStream) else None
        told = 0
        for pieces in self._pieces(stream):
            bad = tuple(sample for piece in pieces for sample in piece.bad)
            here = source.tell()
            yield ScanBatch(self._table(pieces), bad, here - told)
            told = here

    def _pieces(self, stream: BinaryIO) -> Iterator[list[_Piece]]:
        """The pieces of one batch at a time."""
        pieces: list[_Piece] = []
        size = 0
        for offset, block, whole in line_blocks(stream, BLOCK_BYTES):
            pieces.append(self._piece(offset, block) if whole else self._too_long(offset, block))
            size += len(block)
            if size >= BATCH_BYTES:
                yield pieces
                pieces, size = [], 0
        if pieces:
            yield pieces

    def _piece(self, offset: int, data: memoryview) -> _Piece:
        text = np.frombuffer(data, np.uint8)
        starts, stops = line_edges(text)
        if offset == 0 and bytes(data[:3]) == BYTE_ORDER_MARK:
            starts[0] = len(BYTE_ORDER_MARK)
        ends = without_line_ends(text, starts, stops)
        if self._frames is not None:
            self._frames.count(starts + offset)
        first_row = self._rows
        self._rows += len(starts)
        records, kept, bad = self._records(data, text, (starts, ends), first_row, offset)
        rows = np.arange(first_row, self._rows)
        if len(records) != len(starts):
            rows, starts, ends = rows[kept], starts[kept], ends[kept]
        return _Piece(rows, starts + offset, ends - starts, self._values(records), bad)

    def _too_long(self, offset: int, begin: memoryview) -> _Piece:
        nothing = np.empty(0, np.int64)
        bad = too_long(bytes(begin[:EXCERPT_BYTES]), self._rows, offset)
        self._rows += 1
        return _Piece(nothing, nothing, nothing, [[] for _ in self._properties], [bad])

    def _values(self, records: list[msgspec.Struct]) -> list[list[Any]]:
        """The values of each property."""
        found = columns(records, self._layout.properties)
        if not any(self._layout.elements):
            return found
        return [taken(values, ways) for values, ways in zip(found, self._layout.elements, strict=True)]

    def _table(self, pieces: Sequence[_Piece]) -> pa.RecordBatch:
        lengths = np.concatenate([piece.lengths for piece in pieces])
        self._content_bytes += int(lengths.sum())
        rows = np.concatenate([piece.rows for piece in pieces])
        offsets = np.concatenate([piece.offsets for piece in pieces])
        arrays = [from_numpy(rows), from_numpy(offsets), from_numpy(lengths)]
        for i, prop in enumerate(self._properties):
            values = list(chain.from_iterable(piece.columns[i] for piece in pieces))
            arrays.append(property_array(values, prop.type))
        return pa.RecordBatch.from_arrays(arrays, schema=self._schema)

    def _records(
        self,
        data: memoryview,
        text: np.ndarray[tuple[int, ...], np.dtype[np.uint8]],
        edges: tuple[Positions, Positions],
        first_row: int,
        offset: int,
    ) -> tuple[list[msgspec.Struct], list[int], list[BadSample]]:
        starts, ends = edges
        if look_like_objects(text, starts, ends):
            try:
                records = self._layout.decoder.decode_lines(data[starts[0] :])
            except DECODE_ERRORS:
                records = []
            if len(records) == len(starts):
                return records, [], []
        return self._records_one_by_one(data, edges, first_row, offset)

    def _records_one_by_one(
        self, data: memoryview, edges: tuple[Positions, Positions], first_row: int, offset: int
    ) -> tuple[list[msgspec.Struct], list[int], list[BadSample]]:
        """The good records, their numbers in the piece, and the bad ones; blank lines are neither."""
        records: list[msgspec.Struct] = []
        kept: list[int] = []
        bad: list[BadSample] = []
        for i, (start, end) in enumerate(zip(edges[0].tolist(), edges[1].tolist(), strict=True)):
            line = bytes(data[start:end])
            if line.isspace() or not line:
                continue
            try:
                records.append(self._layout.decoder.decode(line))
                kept.append(i)
            except DECODE_ERRORS as error:
                row, place = first_row + i, offset + start
                bad.append(bad_sample(line, row, place, self._content, self._properties, error))
        return records, kept, bad
