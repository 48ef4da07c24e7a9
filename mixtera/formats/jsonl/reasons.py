"""Why a record cannot be used, in one line a person can act on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from mixtera.contracts.format import BadSample, ContentColumn, PropertyColumn
from mixtera.formats.jsonl.layout import PROPERTY_TYPES
from mixtera.formats.paths import split_path

DECODE_ERRORS: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding a record can raise."""

_EXCERPT_BYTES: Final = 80
_MISSING: Final = object()


def bad_sample(
    line: bytes,
    row: int,
    offset: int,
    content: Sequence[ContentColumn],
    properties: Sequence[PropertyColumn],
    error: Exception,
) -> BadSample:
    """Describe a line that decoding refused with `error`."""
    reason = reason_of(line, content, properties, error)
    return BadSample(row, offset, reason, line[:_EXCERPT_BYTES].decode("utf-8", "replace"))


def reason_of(
    line: bytes, content: Sequence[ContentColumn], properties: Sequence[PropertyColumn], error: Exception
) -> str:
    """What is wrong with a record: its JSON, its content fields or its properties, the first of them."""
    try:
        record = msgspec.json.decode(line)
    except DECODE_ERRORS as malformed:
        return _syntax(malformed)
    if not isinstance(record, dict):
        return f"the line is {kind_of(record)}, must be an object"
    reasons = [_content_reason(record, column.path) for column in content]
    reasons += [_property_reason(record, prop) for prop in properties]
    return next(filter(None, reasons), _syntax(error))


def kind_of(value: object) -> str:
    """What a JSON value is, in words."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    names: dict[type, str] = {str: "a string", int: "a number", float: "a number", list: "a list", dict: "an object"}
    return names[type(value)]


def _syntax(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return f"not valid UTF-8: {error.reason} at byte {error.start} of a string"
    if isinstance(error, RecursionError):
        return "nested too deeply"
    return f"malformed JSON: {str(error).removeprefix('JSON is malformed: ')}"


def _content_reason(record: object, path: str) -> str | None:
    value, stopped = _follow(record, path)
    if stopped:
        return f"content field {path!r}: {stopped}"
    if value is _MISSING:
        return f"content field {path!r} is missing"
    return None if isinstance(value, str) else f"content field {path!r} is {kind_of(value)}, must be a string"


def _property_reason(record: object, prop: PropertyColumn) -> str | None:
    value, stopped = _follow(record, prop.path)
    if stopped:
        return f"property {prop.name!r} ({prop.path}): {stopped}"
    if value is _MISSING:
        return None
    shown = msgspec.json.encode(value)
    try:
        msgspec.json.decode(shown, type=PROPERTY_TYPES[prop.type])
    except DECODE_ERRORS:
        text = shown[:_EXCERPT_BYTES].decode("utf-8", "replace")
        return f"property {prop.name!r} ({prop.path}): expected {prop.type}, got {text}"
    return None


def _follow(record: object, path: str) -> tuple[object, str]:
    """The value at a path (or `_MISSING`), and why it cannot be followed (or nothing)."""
    value = record
    for key in split_path(path):
        if value is None or value is _MISSING:
            return _MISSING, ""
        if not isinstance(value, dict):
            return _MISSING, f"the way to {key!r} is {kind_of(value)}, must be an object"
        value = value.get(key, _MISSING)
    return value, ""
