"""The scan of a JSONL file: offsets and properties in one pass, at the speed of the JSON parser."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import BinaryIO, Final

import msgspec
import numpy as np
import pyarrow as pa

from mixtera.contracts.format import BadSample, ContentColumn, FileFacts, PropertyColumn, ScanBatch
from mixtera.contracts.storage import FileInfo, Storage
from mixtera.formats.compression import Compression, plain_stream
from mixtera.formats.jsonl.layout import Layout, column, layout
from mixtera.formats.jsonl.lines import (
    BYTE_ORDER_MARK,
    Positions,
    line_blocks,
    line_edges,
    look_like_objects,
    without_line_ends,
)
from mixtera.formats.jsonl.reasons import DECODE_ERRORS, bad_sample
from mixtera.formats.opening import open_unchanged
from mixtera.formats.values import ARROW_TYPES, INDEX_FIELDS, clean

BLOCK_BYTES: Final = 8 << 20
"""Bytes that are read at once and come out as one batch."""

PIECE_BYTES: Final = 256 << 10
"""Bytes that are decoded at once: the records of a piece stay in the processor's cache and below the collector's
threshold; 4 MiB pieces take 1.5 × as long."""

WHOLE_BYTES: Final = 64 << 20
"""A compressed file larger than this when decompressed is reported as one group that is read as a whole."""


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
        self._layout: Layout = layout(content, properties)
        self._schema = pa.schema([*INDEX_FIELDS, *(pa.field(p.name, ARROW_TYPES[p.type]) for p in properties)])
        self._rows = 0
        self._content_bytes = 0
        self._compression: Compression | None = None

    def __iter__(self) -> Iterator[ScanBatch]:
        """Pieces of the index, about 8 MiB of records each."""
        self._rows = self._content_bytes = 0
        with (
            open_unchanged(self._storage, self._file) as source,
            plain_stream(source, self._file) as (stream, self._compression),
        ):
            yield from self._batches(source, stream)

    def facts(self) -> FileFacts:
        """What the scan found; valid after the last piece."""
        whole = self._compression is not None and self._content_bytes > WHOLE_BYTES
        return FileFacts(self._rows, (self._rows,) if whole else (), self._content_bytes)

    def _batches(self, source: BinaryIO, stream: BinaryIO) -> Iterator[ScanBatch]:
        told = 0
        for offset, block in line_blocks(stream, BLOCK_BYTES):
            parts = [self._piece(offset + start, piece) for start, piece in _pieces(block)]
            bad = tuple(sample for _, samples in parts for sample in samples)
            here = source.tell()
            yield ScanBatch(pa.concat_batches([batch for batch, _ in parts]), bad, here - told)
            told = here

    def _piece(self, offset: int, data: memoryview) -> tuple[pa.RecordBatch, list[BadSample]]:
        text = np.frombuffer(data, np.uint8)
        starts, stops = line_edges(text)
        if offset == 0 and bytes(data[:3]) == BYTE_ORDER_MARK:
            starts[0] = len(BYTE_ORDER_MARK)
        ends = without_line_ends(text, starts, stops)
        first_row = self._rows
        self._rows += len(starts)
        records, kept, bad = self._records(data, text, (starts, ends), first_row, offset)
        rows = np.arange(first_row, self._rows)
        if len(records) != len(starts):
            rows, starts, ends = rows[kept], starts[kept], ends[kept]
        lengths = ends - starts
        self._content_bytes += int(lengths.sum())
        return self._batch(records, rows, starts + offset, lengths), bad

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

    def _batch(
        self, records: list[msgspec.Struct], rows: Positions, offsets: Positions, lengths: Positions
    ) -> pa.RecordBatch:
        columns = [pa.array(rows), pa.array(offsets), pa.array(lengths)]
        for prop, attributes in zip(self._properties, self._layout.properties, strict=True):
            columns.append(clean(pa.array(column(records, attributes), ARROW_TYPES[prop.type])))
        return pa.RecordBatch.from_arrays(columns, schema=self._schema)


def _pieces(block: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Pieces of whole lines of about `PIECE_BYTES`, with where each starts in the block."""
    text = np.frombuffer(block, np.uint8)
    start = 0
    while start < len(block):
        stop = _line_stop(text, start + PIECE_BYTES)
        yield start, block[start:stop]
        start = stop


def _line_stop(text: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], position: int) -> int:
    """The byte after the first newline at or after a position, or the end."""
    step = 1 << 14
    while position < len(text):
        found = np.flatnonzero(text[position : position + step] == ord("\n"))
        if len(found):
            return position + int(found[0]) + 1
        position += step
    return len(text)
