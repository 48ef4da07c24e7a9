"""Why a record cannot be used, in one line a person can act on."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Final, cast

import msgspec

from mixtera.contracts.format import BadSample, ContentColumn, PropertyColumn
from mixtera.contracts.properties import PropertyType
from mixtera.formats.jsonl.layout import PROPERTY_TYPES
from mixtera.formats.jsonl.lines import LONGEST_LINE
from mixtera.formats.paths import Keys, split_elements, split_path

DECODE_ERRORS: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding a record can raise."""

EXCERPT_BYTES: Final = 80
"""Bytes of a record that are shown of it."""
_MISSING: Final = object()
_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F]")


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
    return BadSample(row, offset, reason, line[:EXCERPT_BYTES].decode("utf-8", "replace"))


def too_long(begin: bytes, row: int, offset: int) -> BadSample:
    """Describe a line that is longer than a line may be, by its first bytes."""
    reason = f"the line is longer than {LONGEST_LINE >> 20} MiB: write the document as several records"
    return BadSample(row, offset, reason, begin.decode("utf-8", "replace"))


def reason_of(
    line: bytes, content: Sequence[ContentColumn], properties: Sequence[PropertyColumn], error: Exception
) -> str:
    """What is wrong with a record: its JSON, its content fields or its properties, the first of them."""
    try:
        record = msgspec.json.decode(line)
    except DECODE_ERRORS as malformed:
        return _only_of_python(line) or _syntax(malformed)
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


def _only_of_python(line: bytes) -> str:
    """What Python's own module reads and writes although it is no JSON; empty if that is not what is wrong."""
    constants: list[str] = []
    try:
        json.loads(line, parse_constant=constants.append)
    except (ValueError, RecursionError):
        return ""
    if constants:
        return f"malformed JSON: {constants[0]} is no JSON value (write null)"
    if _SURROGATE.search(line):
        return "malformed JSON: a string has half of a surrogate pair (\\uD800 to \\uDFFF), which is no character"
    return ""


def _content_reason(record: object, path: str) -> str | None:
    value, stopped = _follow(record, path)
    if stopped:
        return f"content field {path!r}: {stopped}"
    if value is _MISSING:
        return f"content field {path!r} is missing"
    return None if isinstance(value, str) else f"content field {path!r} is {kind_of(value)}, must be a string"


def _property_reason(record: object, prop: PropertyColumn) -> str | None:
    first, *inside = split_elements(prop.path)
    type_ = prop.type[len("list<") : -1] if inside else prop.type
    named = f"property {prop.name!r} ({prop.path})"
    return _reason_inside(record, first, inside, cast(PropertyType, type_), named)


def _reason_inside(value: object, keys: Keys, inside: Sequence[Keys], type_: PropertyType, named: str) -> str | None:
    """Why what is at some keys, or in the elements of the lists there, is not of a type; None if it is."""
    found, stopped = _follow_keys(value, keys)
    if stopped:
        return f"{named}: {stopped}"
    if found is _MISSING:
        return None
    if inside:
        if found is None:
            return None
        if not isinstance(found, list):
            return f"{named}: {keys[-1] if keys else 'an element'!r} is {kind_of(found)}, must be a list"
        reasons = (_reason_inside(element, inside[0], inside[1:], type_, named) for element in found)
        return next(filter(None, reasons), None)
    shown = msgspec.json.encode(found)
    try:
        msgspec.json.decode(shown, type=PROPERTY_TYPES[type_])
    except DECODE_ERRORS:
        text = shown[:EXCERPT_BYTES].decode("utf-8", "replace")
        return f"{named}: expected {type_}, got {text}"
    return None


def _follow(record: object, path: str) -> tuple[object, str]:
    """The value at a path (or `_MISSING`), and why it cannot be followed (or nothing)."""
    return _follow_keys(record, split_path(path))


def _follow_keys(value: object, keys: Keys) -> tuple[object, str]:
    for key in keys:
        if value is None or value is _MISSING:
            return _MISSING, ""
        if not isinstance(value, dict):
            return _MISSING, f"the way to {key!r} is {kind_of(value)}, must be an object"
        value = value.get(key, _MISSING)
    return value, ""
