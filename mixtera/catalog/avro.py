"""Avro's container files, as far as Iceberg's manifests need them: records of a schema in one compressed block.

pyiceberg has an encoder too, behind imports of 0.25 s.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias

import msgspec

AvroSchema: TypeAlias = str | list[Any] | dict[str, Any]

_MAGIC: Final = b"Obj\x01"
_METADATA: Final[AvroSchema] = {"type": "map", "values": "bytes"}


def container(schema: AvroSchema, metadata: Mapping[str, str], records: Sequence[Mapping[str, object]]) -> bytes:
    """A container file of records.

    Args:
        schema: Schema of the records. An array that is logically a map is given as one: Iceberg's maps from numbers.
        metadata: Written into the header.
        records: One mapping of field names to values each.
    """
    described = {**metadata, "avro.codec": "deflate", "avro.schema": msgspec.json.encode(schema).decode()}
    marker = os.urandom(16)
    header = _MAGIC + encoded(_METADATA, {key: value.encode() for key, value in described.items()}) + marker
    if not records:
        return header
    block = _deflated(b"".join(encoded(schema, record) for record in records))
    return header + _number(len(records)) + _number(len(block)) + block + marker


def encoded(schema: AvroSchema, value: Any) -> bytes:  # noqa: ANN401 - the schema says what it is
    """A value in Avro's binary encoding.

    Args:
        schema: Its schema: a union is `["null", …]`.
        value: The value; None in a union.
    """
    if isinstance(schema, str):
        return _PRIMITIVES[schema](value)
    if isinstance(schema, list):
        return _number(0) if value is None else _number(1) + encoded(schema[1], value)
    if schema["type"] == "record":
        return b"".join(encoded(field["type"], value[field["name"]]) for field in schema["fields"])
    if schema["type"] == "map":
        return _block([_text(key) + encoded(schema["values"], item) for key, item in value.items()])
    if schema.get("logicalType") == "map":
        value = [{"key": key, "value": item} for key, item in value.items()]
    return _block([encoded(schema["items"], item) for item in value])


def _block(items: Iterable[bytes]) -> bytes:
    items = list(items)
    return b"".join([_number(len(items)), *items, _number(0)]) if items else _number(0)


def _number(value: int) -> bytes:
    """Zigzag, then seven bits per byte, the lowest first."""
    rest = (value << 1) ^ (value >> 63)
    found = bytearray()
    while rest > 0x7F:
        found.append(rest & 0x7F | 0x80)
        rest >>= 7
    found.append(rest)
    return bytes(found)


def _bytes(value: bytes) -> bytes:
    return _number(len(value)) + value


def _text(value: str) -> bytes:
    return _bytes(value.encode())


def _boolean(value: bool) -> bytes:
    return b"\x01" if value else b"\x00"


def _deflated(data: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return compressor.compress(data) + compressor.flush()


_PRIMITIVES: Final[Mapping[str, Callable[[Any], bytes]]] = {
    "boolean": _boolean,
    "int": _number,
    "long": _number,
    "bytes": _bytes,
    "string": _text,
}
