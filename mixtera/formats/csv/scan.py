"""The scan of delimited text: offsets and properties in one pass."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import BinaryIO, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mixtera.arrow import from_numpy
from mixtera.contracts.format import BadSample, ContentColumn, FileFacts, PropertyColumn, ScanBatch
from mixtera.contracts.storage import FileInfo, Storage
from mixtera.errors import SampleError
from mixtera.formats.compression import Compression
from mixtera.formats.csv.decode import decode, joined
from mixtera.formats.csv.header import Header, parse_header
from mixtera.formats.csv.records import Positions, Records, field_counts, record_blocks
from mixtera.formats.csv.values import property_values
from mixtera.formats.framed import FrameStream, frame_stream
from mixtera.formats.opening import open_unchanged, read_fully
from mixtera.formats.values import ARROW_TYPES, INDEX_FIELDS, clean

BLOCK_BYTES: Final = 4 << 20
"""Bytes that are read and decoded at once: a call of the CSV reader takes as long as 300 kB."""

WHOLE_BYTES: Final = 64 << 20
"""A compressed file larger than this when decompressed is reported as one group that is read as a whole."""

HEAD_BYTES: Final = 64 << 10

_EXCERPT_BYTES: Final = 80
_SHOWN: Final = 60

Mask = npt.NDArray[np.bool_]


class CsvScan:
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
        self._properties = properties
        self._content = content
        self._schema = pa.schema([*INDEX_FIELDS, *(pa.field(p.name, ARROW_TYPES[p.type]) for p in properties)])
        self._rows = 0
        self._content_bytes = 0
        self._compression: Compression | None = None
        self._frames: FrameStream | None = None

    def __iter__(self) -> Iterator[ScanBatch]:
        """Pieces of the index, about 4 MiB of records each."""
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
        header, head = read_header(stream, self._file)
        told = 0
        if header is not None:
            fields = _Fields(header, self._file, self._content, self._properties)
            offset = header.length
            for data, records in record_blocks(stream, head[offset:], header.delimiter, BLOCK_BYTES, self._file):
                table, bad = self._piece(data, records, fields, offset)
                offset += records.consumed
                here = source.tell()
                yield ScanBatch(table, bad, here - told)
                told = here
        if self._file.size > told:
            yield ScanBatch(pa.RecordBatch.from_pylist([], self._schema), (), self._file.size - told)

    def _piece(
        self, data: bytes, records: Records, fields: _Fields, offset: int
    ) -> tuple[pa.RecordBatch, tuple[BadSample, ...]]:
        if self._frames is not None:
            self._frames.count(records.starts + offset)
        good, columns = _decoded(data, records, fields, self._file)
        reasons = dict(records.broken)
        numbers = np.flatnonzero(good)
        arrays = fields.check(columns, numbers, reasons)
        if len(reasons) > len(records.broken):
            kept = ~np.isin(numbers, np.fromiter(reasons, np.int64, len(reasons)))
            numbers = numbers[kept]
            arrays = [array.filter(pa.array(kept)) for array in arrays]
        first, self._rows = self._rows, self._rows + len(records.stops)
        starts, lengths = records.starts[numbers], records.ends[numbers] - records.starts[numbers]
        self._content_bytes += int(lengths.sum())
        index = [from_numpy(first + numbers), from_numpy(offset + starts), from_numpy(lengths)]
        table = pa.RecordBatch.from_arrays([*index, *arrays], schema=self._schema)
        return table, tuple(_bad(data, records, number, first, offset, reasons[number]) for number in sorted(reasons))


class _Fields:
    """The fields of a file that are decoded, and what each must be."""

    def __init__(
        self, header: Header, file: FileInfo, content: Sequence[ContentColumn], properties: Sequence[PropertyColumn]
    ) -> None:
        self.header = header
        self._properties = [(prop, header.find(prop.path)) for prop in properties]
        places = header.content(file, content)
        self._content = dict(zip(places, content, strict=True))
        found = [place for _, place in self._properties if place is not None]
        self.wanted = sorted({*places, *found})
        for prop, place in self._properties:
            if place is not None and prop.type.startswith("list"):
                raise SampleError(
                    f"{file.url}: property {prop.name!r} ({prop.path}) cannot be {prop.type}: a field of a CSV file "
                    "holds no list; declare it as string"
                )

    def check(self, columns: Sequence[pa.Array], numbers: Positions, reasons: dict[int, str]) -> list[pa.Array]:
        """The properties of decoded records; why some of the records cannot be used is added to `reasons`."""
        fields = dict(zip(self.wanted, columns, strict=True))
        for place, column in self._content.items():
            for at in np.flatnonzero(fields[place].is_null().to_numpy(zero_copy_only=False)).tolist():
                reason = f'content field {column.path!r} is empty (a text without characters is written "")'
                reasons.setdefault(int(numbers[at]), reason)
        texts = {place: _as_text(fields[place]) for place in self.wanted}
        for place, (_, invalid) in texts.items():
            for at in invalid:
                reasons.setdefault(int(numbers[at]), f"field {self.header.names[place]!r} is not valid UTF-8")
        return [self._property(prop, place, texts, numbers, reasons) for prop, place in self._properties]

    def _property(
        self,
        prop: PropertyColumn,
        place: int | None,
        texts: dict[int, tuple[pa.StringArray, list[int]]],
        numbers: Positions,
        reasons: dict[int, str],
    ) -> pa.Array:
        if place is None:
            return clean(pa.nulls(len(numbers), ARROW_TYPES[prop.type]))
        fields = texts[place][0]
        values, failing = property_values(fields, prop.type)
        for at in failing.tolist():
            shown = fields[at].as_py()[:_SHOWN]
            reason = f"property {prop.name!r} ({prop.path}): expected {prop.type}, got {shown!r}"
            reasons.setdefault(int(numbers[at]), reason)
        return values


def read_header(stream: BinaryIO, file: FileInfo) -> tuple[Header | None, bytes]:
    """The header of a file, None where it is empty, and all bytes that were read.

    Raises:
        SampleError: The file has no header that can be read.
    """
    head = b""
    while True:
        piece = read_fully(stream, HEAD_BYTES)
        head += piece
        header = parse_header(head, len(piece) < HEAD_BYTES, file)
        if header is not None or len(piece) < HEAD_BYTES:
            return header, head


def _decoded(data: bytes, records: Records, fields: _Fields, file: FileInfo) -> tuple[Mask, list[pa.Array]]:
    """Which records are whole, and their fields as bytes; those with a wrong number of fields become broken."""
    good = records.ends > records.starts
    good[list(records.broken)] = False
    try:
        return good, _columns(data, records, good, fields)
    except pa.ArrowInvalid:
        expected = len(fields.header.names)
        counts = field_counts(np.frombuffer(data, np.uint8), records, fields.header.delimiter)
        for number in np.flatnonzero(good & (counts != expected)).tolist():
            records.broken[number] = f"it has {counts[number]} field(s) and the header has {expected}"
            good[number] = False
    try:
        return good, _columns(data, records, good, fields)
    except pa.ArrowInvalid as error:
        raise SampleError(f"{file.url} cannot be read as CSV: {error}") from error


def _columns(data: bytes, records: Records, good: Mask, fields: _Fields) -> list[pa.Array]:
    if not good.any():
        return [pa.array([], pa.binary()) for _ in fields.wanted]
    text = joined(data, records.starts[good], records.stops[good])
    header = fields.header
    columns = decode(text, len(header.names), header.delimiter, fields.wanted, pa.binary())
    if len(columns[0]) != int(good.sum()):
        raise pa.ArrowInvalid(f"{good.sum()} records are read as {len(columns[0])}")
    return columns


def _as_text(field: pa.BinaryArray) -> tuple[pa.StringArray, list[int]]:
    """A field as strings, NULL where it is not valid UTF-8, and where that is."""
    try:
        return field.cast(pa.string()), []
    except pa.ArrowInvalid:
        invalid = _invalid(field, 0)
    mask = np.zeros(len(field), np.bool_)
    mask[invalid] = True
    import pyarrow.compute as pc

    return pc.if_else(pa.array(mask), pa.scalar(None, pa.binary()), field).cast(pa.string()), invalid


def _invalid(field: pa.BinaryArray, first: int) -> list[int]:
    """Places of values that are not UTF-8, by halving."""
    try:
        field.cast(pa.string())
    except pa.ArrowInvalid:
        if len(field) == 1:
            return [first]
        half = len(field) // 2
        return _invalid(field[:half], first) + _invalid(field[half:], first + half)
    return []


def _bad(data: bytes, records: Records, number: int, first: int, offset: int, reason: str) -> BadSample:
    start, end = int(records.starts[number]), int(records.ends[number])
    excerpt = data[start : min(end, start + _EXCERPT_BYTES)].decode("utf-8", "replace")
    return BadSample(first + number, offset + start, reason, excerpt)
