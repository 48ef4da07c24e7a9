"""The typed shape of a record: only the fields that are needed become Python objects, whatever else a record holds."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Annotated, Any, Final, Generic, TypeVar

import msgspec

from mixtera.contracts.format import ContentColumn, PropertyColumn
from mixtera.contracts.properties import PropertyType
from mixtera.errors import SampleError
from mixtera.formats.paths import split_path

_Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]

PROPERTY_TYPES: Final[dict[PropertyType, object]] = {
    "string": str | None,
    "int64": _Int64 | None,
    "float64": float | None,
    "bool": bool | None,
    "date": datetime.date | None,
    "timestamp": datetime.datetime | None,
    "list<string>": list[str | None] | None,
    "list<int64>": list[_Int64 | None] | None,
    "list<float64>": list[float | None] | None,
}

_Leaf = TypeVar("_Leaf")


@dataclass
class _Node(Generic[_Leaf]):
    """An object of the record: its keys that are wanted, each a value or an object."""

    keys: dict[str, _Leaf | _Node[_Leaf]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Field:
    type: object
    required: bool
    wanted_by: str


@dataclass(frozen=True)
class Layout:
    """How to decode the records of a file, and how to get at each value.

    Attributes:
        decoder: Makes one struct of each record.
        content: For each content column, the attributes to follow.
        properties: For each property, the attributes to follow.
    """

    decoder: msgspec.json.Decoder[msgspec.Struct]
    content: tuple[tuple[str, ...], ...]
    properties: tuple[tuple[str, ...], ...]


def layout(
    content: Sequence[ContentColumn], properties: Sequence[PropertyColumn], content_type: object = str
) -> Layout:
    """Lay out a record with these content fields (required) and properties (null when missing).

    Raises:
        SampleError: A path is none, or two of them contradict each other.
    """
    root: _Node[_Field] = _Node()
    for column in content:
        _insert(root, column.path, _Field(content_type, True, f"content field {column.path!r}"))
    for prop in properties:
        wanted_by = f"property {prop.name!r} ({prop.path})"
        _insert(root, prop.path, _Field(PROPERTY_TYPES[prop.type], False, wanted_by))
    return Layout(
        msgspec.json.Decoder(_struct(root)),
        tuple(_attributes(root, column.path) for column in content),
        tuple(_attributes(root, prop.path) for prop in properties),
    )


def _insert(root: _Node[_Field], path: str, wanted: _Field) -> None:
    *parents, last = split_path(path)
    node = root
    for key in parents:
        child = node.keys.setdefault(key, _Node())
        if isinstance(child, _Field):
            raise SampleError(f"{child.wanted_by} is an object for {wanted.wanted_by}: use a dotted path for it too")
        node = child
    present = node.keys.setdefault(last, wanted)
    if isinstance(present, _Node):
        raise SampleError(f"{wanted.wanted_by} is an object, other paths go through it: use a dotted path for it too")
    if _bare(present.type) != _bare(wanted.type):
        raise SampleError(f"{present.wanted_by} and {wanted.wanted_by} are the same field: give both the same type")


def _bare(wanted: object) -> object:
    """A type without its `| None`; content of any representation is a string."""
    if wanted in (str, msgspec.Raw):
        return PROPERTY_TYPES["string"]
    return wanted


def _struct(node: _Node[_Field]) -> type[msgspec.Struct]:
    names = {f"f{i}": key for i, key in enumerate(node.keys)}
    fields = [_struct_field(name, child) for name, child in zip(names, node.keys.values(), strict=True)]
    return msgspec.defstruct("Record", fields, rename=names, gc=False, kw_only=True)


def _struct_field(name: str, child: _Field | _Node[_Field]) -> tuple[str, object] | tuple[str, object, object]:
    if isinstance(child, _Field):
        return (name, child.type) if child.required else (name, child.type, None)
    nested = _struct(child)
    if _has_required(child):
        return name, nested
    return name, nested | None, msgspec.field(default_factory=nested)


def _has_required(node: _Node[_Field]) -> bool:
    return any(child.required if isinstance(child, _Field) else _has_required(child) for child in node.keys.values())


def _attributes(root: _Node[_Field], path: str) -> tuple[str, ...]:
    names: list[str] = []
    node: _Field | _Node[_Field] = root
    for key in split_path(path):
        assert isinstance(node, _Node)
        names.append(f"f{list(node.keys).index(key)}")
        node = node.keys[key]
    return tuple(names)


def column(records: list[msgspec.Struct], attributes: tuple[str, ...]) -> list[Any]:
    """One value of each record; None where an object on the way is null."""
    return columns(records, [attributes])[0]


def columns(records: list[msgspec.Struct], paths: Sequence[tuple[str, ...]]) -> list[list[Any]]:
    """The same for several attributes; objects that are on the way to more than one are got at once."""
    found: dict[tuple[str, ...], list[Any]] = {(): records}
    for path in paths:
        for depth, name in enumerate(path):
            if path[: depth + 1] not in found:
                found[path[: depth + 1]] = _values(found[path[:depth]], name)
    return [found[path] for path in paths]


def _values(parents: list[Any], name: str) -> list[Any]:
    try:
        return list(map(attrgetter(name), parents))
    except AttributeError:  # a null
        return [None if parent is None else getattr(parent, name) for parent in parents]
