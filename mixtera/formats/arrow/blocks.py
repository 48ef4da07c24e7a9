"""Where the record batches of an Arrow file lie and how many rows each has, without decoding any of them.

pyarrow tells neither. Both stand in the metadata (flatbuffers, of which a few fields are read here): Message, Footer
and RecordBatch of https://github.com/apache/arrow/tree/main/format.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

MAGIC: Final = b"ARROW1"
STREAM_MARK: Final = b"\xff\xff\xff\xff"
"""First bytes of each message, and so of a stream."""

_END_MARK: Final = STREAM_MARK + bytes(4)
_SCHEMA, _DICTIONARY, _BATCH = 1, 2, 3


class BrokenLayout(ValueError):  # noqa: N818 - caught in this package, which names the file
    """The metadata do not fit the file."""


@dataclass(frozen=True, slots=True)
class Block:
    """A message of a file.

    Attributes:
        start: Its first byte.
        stop: The byte after its last one.
        rows: Rows, if it is a record batch; 0 for others.
        compressed: Whether its buffers are.
    """

    start: int
    stop: int
    rows: int = 0
    compressed: bool = False


@dataclass(frozen=True, slots=True)
class Layout:
    """The messages of a file.

    Attributes:
        stream: Whether it is of the stream format.
        head: The first block: of a stream the schema, of a file what stands before all others.
        dictionaries: Of a stream: the dictionaries, and for each the number of batches before it.
        batches: The record batches.
    """

    stream: bool
    head: Block
    dictionaries: tuple[tuple[int, Block], ...]
    batches: tuple[Block, ...]


def layout_of(source: pa.NativeFile, size: int) -> Layout:
    """Read the layout of an open file.

    Raises:
        BrokenLayout: It is not Arrow, or not whole; says what is wrong.
    """
    try:
        head = _bytes(source, 0, min(8, size), size)
        if head.startswith(MAGIC):
            return _of_file(source, size)
        if head.startswith(STREAM_MARK):
            return _of_stream(source, size)
    except (struct.error, IndexError) as error:
        raise BrokenLayout("its metadata are damaged") from error
    if head.startswith(b"FEA1"):
        raise BrokenLayout("it is Feather version 1: read it with pandas or pyarrow and write it again")
    raise BrokenLayout("it does not begin like an Arrow file or an Arrow stream")


def _of_file(source: pa.NativeFile, size: int) -> Layout:
    tail = _bytes(source, max(0, size - 10), min(10, size), size)
    if not tail.endswith(MAGIC) or size < 20:
        raise BrokenLayout("its end is missing: it was cut short, or not written to the end")
    length = struct.unpack_from("<i", tail)[0]
    footer = _bytes(source, size - 10 - length, length, size)
    blocks = [_block(source, start, metadata, body, size) for start, metadata, body in _footer_blocks(footer)]
    return Layout(False, Block(0, 8), (), tuple(blocks))


def _footer_blocks(footer: pa.Buffer) -> Iterator[tuple[int, int, int]]:
    """Start, metadata length and body length of the record batches that a footer lists."""
    place = _field(footer, _root(footer), 3)
    if place is None:
        return
    vector = place + struct.unpack_from("<I", footer, place)[0]
    for number in range(struct.unpack_from("<I", footer, vector)[0]):
        yield struct.unpack_from("<qi4xq", footer, vector + 4 + 24 * number)


def _block(source: pa.NativeFile, start: int, metadata_length: int, body: int, size: int) -> Block:
    prefixed = _bytes(source, start, metadata_length, size)
    kind, _, rows, compressed = _message(_without_prefix(prefixed))
    stop = start + metadata_length + body
    if kind != _BATCH or body < 0 or stop > size:
        raise BrokenLayout("its metadata are damaged")
    return Block(start, stop, rows, compressed)


def _of_stream(source: pa.NativeFile, size: int) -> Layout:
    head: Block | None = None
    dictionaries: list[tuple[int, Block]] = []
    batches: list[Block] = []
    at = 0
    while True:
        prefix = _bytes(source, at, 8, size)
        if prefix == _END_MARK:
            break
        if not prefix.startswith(STREAM_MARK):
            raise BrokenLayout(f"no message begins at byte {at}, where one must")
        length = struct.unpack_from("<i", prefix, 4)[0]
        kind, body, rows, compressed = _message(_bytes(source, at + 8, length, size))
        block = Block(at, at + 8 + length + body, rows, compressed)
        if body < 0 or block.stop > size:
            raise BrokenLayout(f"it is cut short: a message goes to byte {block.stop} and it has {size}")
        if (kind == _SCHEMA) != (head is None):
            raise BrokenLayout("its schema does not come first, once")
        if kind == _SCHEMA:
            head = block
        elif kind == _DICTIONARY:
            dictionaries.append((len(batches), Block(block.start, block.stop)))
        elif kind == _BATCH:
            batches.append(block)
        at = block.stop
    if head is None or at + 8 != size:
        raise BrokenLayout(f"{size - at - 8} bytes stand behind its end: were streams put together?")
    return Layout(True, head, tuple(dictionaries), tuple(batches))


def _message(metadata: bytes) -> tuple[int, int, int, bool]:
    """Kind, bytes of the body, rows and whether it is compressed."""
    message = _root(metadata)
    kind_at, header_at, body_at = (_field(metadata, message, number) for number in (1, 2, 3))
    if kind_at is None or header_at is None:
        raise BrokenLayout("its metadata are damaged")
    kind = metadata[kind_at]
    body = 0 if body_at is None else struct.unpack_from("<q", metadata, body_at)[0]
    if kind != _BATCH:
        return kind, body, 0, False
    header = header_at + struct.unpack_from("<I", metadata, header_at)[0]
    rows_at = _field(metadata, header, 0)
    rows = 0 if rows_at is None else struct.unpack_from("<q", metadata, rows_at)[0]
    return kind, body, rows, _field(metadata, header, 3) is not None


def _without_prefix(prefixed: bytes) -> bytes:
    if not prefixed.startswith(STREAM_MARK):
        raise BrokenLayout("it was written by Arrow before 0.15: read it with pyarrow and write it again")
    return prefixed[8:]


def _root(data: bytes) -> int:
    return int(struct.unpack_from("<I", data)[0])


def _field(data: bytes, table: int, number: int) -> int | None:
    """Where a field of a table stands; None where the table has not got it."""
    listed = table - struct.unpack_from("<i", data, table)[0]
    place = 4 + 2 * number
    if listed < 0 or place + 2 > struct.unpack_from("<H", data, listed)[0]:
        return None
    offset = struct.unpack_from("<H", data, listed + place)[0]
    return table + offset if offset else None


def _bytes(source: pa.NativeFile, start: int, length: int, size: int) -> bytes:
    if start < 0 or length < 0 or start + length > size:
        raise BrokenLayout(f"it is cut short: byte {start + length} is needed and it has {size}")
    source.seek(start)
    data: bytes = source.read(length)
    return data
