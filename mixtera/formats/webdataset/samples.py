"""What is looked at in each sample while a tar is scanned: whether its content is there, and its properties."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

import msgspec
import pyarrow as pa

from mixtera.contracts.format import ContentColumn, PropertyColumn
from mixtera.formats.arrays import property_array
from mixtera.formats.jsonl.layout import PROPERTY_TYPES, Layout, columns, layout, taken
from mixtera.formats.jsonl.reasons import DECODE_ERRORS, kind_of, reason_of
from mixtera.formats.webdataset.fields import JSON, WORDS, Field, ends_with, field_of
from mixtera.formats.webdataset.members import Sample

_EXCERPT_BYTES: Final = 80
_AS_TEXT: Final = ("date", "timestamp")

_layout = lru_cache(layout)
_decoder = lru_cache(msgspec.json.Decoder)


@dataclass(frozen=True, slots=True)
class Document:
    """What is asked of one JSON member.

    Attributes:
        member: One of the paths into it.
        layout: Decodes what is asked.
        content: The content columns below it, by their paths there.
        properties: The properties below it likewise.
        places: The places of these among all properties.
        records: The decoded members; None for a sample that has none.
    """

    member: Field
    layout: Layout
    content: tuple[ContentColumn, ...]
    properties: tuple[PropertyColumn, ...]
    places: tuple[int, ...]
    records: list[msgspec.Struct | None] = field(default_factory=list)

    def decode(self, data: bytes) -> msgspec.Struct:
        """The member as a struct.

        Raises:
            ValueError: It is not as it should be; says why.
        """
        try:
            return self.layout.decoder.decode(data)
        except DECODE_ERRORS as error:
            raise ValueError(_why_no_document(data, self.content, self.properties, error)) from error


def _why_no_document(
    data: bytes, content: Sequence[ContentColumn], properties: Sequence[PropertyColumn], error: Exception
) -> str:
    try:
        found = msgspec.json.decode(data)
    except DECODE_ERRORS:
        found = {}
    if not isinstance(found, dict):
        return f"it is {kind_of(found)}, must be an object"
    return reason_of(data, content, properties, error)


def documents(content: Sequence[ContentColumn], properties: Sequence[PropertyColumn]) -> list[Document]:
    """What is asked of JSON members, by member.

    Raises:
        SampleError: A path is none, or two of them contradict each other.
    """
    parts: dict[tuple[bytes, ...], tuple[list[ContentColumn], list[PropertyColumn], list[int], Field]] = {}
    for column in content:
        found = field_of(column.path)
        if found.below:
            part = parts.setdefault(found.extensions, ([], [], [], found))
            part[0].append(ContentColumn(column.name, found.below))
    for place, prop in enumerate(properties):
        found = field_of(prop.path)
        if found.below:
            part = parts.setdefault(found.extensions, ([], [], [], found))
            part[1].append(PropertyColumn(prop.name, found.below, prop.type))
            part[2].append(place)
    return [
        Document(found, _layout(tuple(texts), tuple(props)), tuple(texts), tuple(props), tuple(places))
        for texts, props, places, found in parts.values()
    ]


class Looking:
    """Collects the properties of good samples, and tells what is wrong with the others."""

    def __init__(self, content: Sequence[ContentColumn], properties: Sequence[PropertyColumn]) -> None:
        self._content = [found for column in content if not (found := field_of(column.path)).is_key]
        self._properties = tuple(properties)
        self._documents = documents(content, properties)
        fields = [field_of(prop.path) for prop in properties]
        self._single = [(place, found) for place, found in enumerate(fields) if not found.below]
        self._values: list[list[Any]] = [[] for _ in properties]
        read = [found for found in self._content if found.is_text] + [found for found in fields if not found.is_key]
        self.wanted = frozenset(one for found in read for one in found.extensions)

    def take(self, sample: Sample) -> str:
        """Look at a sample; returns why it cannot be used, or nothing after its properties were kept."""
        try:
            for found in self._content:
                self._check(sample, found)
            records = [self._record(sample, document) for document in self._documents]
            values = [self._value(sample, self._properties[place], found) for place, found in self._single]
        except ValueError as error:
            return str(error)
        for document, record in zip(self._documents, records, strict=True):
            document.records.append(record)
        for (place, _), value in zip(self._single, values, strict=True):
            self._values[place].append(value)
        return ""

    def drain(self) -> list[pa.Array]:
        """The properties of the samples since the last call."""
        for document in self._documents:
            asked = document.layout
            found = columns(document.records, asked.properties)  # type: ignore[arg-type]
            for place, values, inside in zip(document.places, found, asked.elements, strict=True):
                self._values[place] = taken(values, inside)
            document.records.clear()
        arrays = [property_array(self._values[place], prop.type) for place, prop in enumerate(self._properties)]
        self._values = [[] for _ in self._properties]
        return arrays

    def _check(self, sample: Sample, found: Field) -> None:
        extension = _present(sample, found)
        if extension is None:
            raise ValueError(_why_absent(sample, found))
        if found.is_text and not found.below:
            _text(sample, extension)

    def _record(self, sample: Sample, document: Document) -> msgspec.Struct | None:
        extension = _present(sample, document.member)
        if extension is None:
            return None
        try:
            return document.decode(sample.data[extension])
        except ValueError as error:
            raise ValueError(f"{_member(sample, extension)}: {error}") from error

    def _value(self, sample: Sample, prop: PropertyColumn, found: Field) -> object:
        if found.is_key:
            return _converted(sample.name, prop)
        extension = _present(sample, found)
        if extension is None:
            return None
        if prop.type == "string" and not ends_with(extension, JSON):
            return _text(sample, extension).removesuffix("\n").removesuffix("\r")
        return _decoded(sample, extension, prop)


def _present(sample: Sample, found: Field) -> bytes | None:
    """The extension of the member that a field means, if the sample has it.

    Raises:
        ValueError: It cannot be used.
    """
    extension = sample.find(found.extensions)
    if extension is not None and extension in sample.unusable:
        raise ValueError(f"{_member(sample, extension)} {sample.unusable[extension]}")
    return extension


def _why_absent(sample: Sample, found: Field) -> str:
    has = sorted({*sample.members, *sample.unusable})
    shown = ", ".join(one.decode("utf-8", "replace") for one in has[:8])
    dotted = found.path.lower().encode()
    hint = f": a name with a dot stands in quotes, write '\"{found.path}\"'" if found.below and dotted in has else ""
    return f"sample {sample.name!r} has no member {found.label}, it has {shown}{hint}"


def _member(sample: Sample, extension: bytes) -> str:
    return f"member {sample.name + '.' + extension.decode('utf-8', 'replace')!r}"


def _text(sample: Sample, extension: bytes) -> str:
    try:
        return sample.data[extension].decode()
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{_member(sample, extension)} is not valid UTF-8: {error.reason} at byte {error.start}"
        ) from error


def _decoded(sample: Sample, extension: bytes, prop: PropertyColumn) -> object:
    data = sample.data[extension].strip()
    if not data:
        return None
    if prop.type in _AS_TEXT and not ends_with(extension, JSON):
        return _converted(_text(sample, extension).strip(), prop)
    try:
        return _decoder(PROPERTY_TYPES[prop.type]).decode(data)
    except DECODE_ERRORS as error:
        raise ValueError(_refused(prop, data.decode("utf-8", "replace"))) from error


def _converted(text: str, prop: PropertyColumn) -> object:
    try:
        return msgspec.convert(text, PROPERTY_TYPES[prop.type], strict=False)
    except msgspec.ValidationError as error:
        raise ValueError(_refused(prop, text)) from error


def _refused(prop: PropertyColumn, got: str) -> str:
    return f"property {prop.name!r} ({prop.path}): expected {prop.type}, got {got[:_EXCERPT_BYTES]}"


def value_of(extension: bytes, data: bytes) -> object:
    """What a member stands for, read without a type: to guess one. None if it says nothing."""
    if not data.strip():
        return None
    if not ends_with(extension, WORDS):
        try:
            found = msgspec.json.decode(data)
        except DECODE_ERRORS:
            found = None
        if ends_with(extension, JSON) or not isinstance(found, str | None):
            return found
    return data.decode("utf-8", "replace").removesuffix("\n").removesuffix("\r")
