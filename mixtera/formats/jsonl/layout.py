"""The typed shape of a record: only the fields that are needed become Python objects, whatever else a record holds."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from operator import attrgetter
from typing import Annotated, Any, Final, Generic, TypeAlias, TypeVar, cast

import msgspec

from mixtera.contracts.format import ContentColumn, PropertyColumn
from mixtera.contracts.properties import PropertyType
from mixtera.errors import SampleError
from mixtera.formats.paths import Keys, split_elements, split_path

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

_ELEMENT: Final = ""
"""Stands for the element of a list among the keys of objects, none of which is empty."""

_Leaf = TypeVar("_Leaf")


@dataclass
class _Node(Generic[_Leaf]):
    """An object of the record: its keys that are wanted, each a value, an object or a list of such."""

    keys: dict[str, _Leaf | _Node[_Leaf] | _List[_Leaf]] = field(default_factory=dict)


@dataclass
class _List(Generic[_Leaf]):
    """A list of the record whose elements are looked into; the element is the one key, `_ELEMENT`, of a node."""

    inside: _Node[_Leaf] = field(default_factory=_Node)


@dataclass(frozen=True, slots=True)
class _Field:
    type: object
    required: bool
    wanted_by: str


_Child: TypeAlias = "_Field | _Node[_Field] | _List[_Field]"


@dataclass(frozen=True)
class Layout:
    """How to decode the records of a file, and how to get at each value.

    Attributes:
        decoder: Makes one struct of each record.
        content: For each content column, the attributes to follow.
        properties: For each property, the attributes to follow; where it takes elements of lists, those to the list.
        elements: For each property, the attributes to follow inside each element, of that list and of lists inside.
    """

    decoder: msgspec.json.Decoder[msgspec.Struct]
    content: tuple[tuple[str, ...], ...]
    properties: tuple[tuple[str, ...], ...]
    elements: tuple[tuple[tuple[str, ...], ...], ...]


def layout(
    content: Sequence[ContentColumn],
    properties: Sequence[PropertyColumn],
    content_type: object = str,
    types: Mapping[PropertyType, object] = PROPERTY_TYPES,
) -> Layout:
    """Lay out a record with these content fields (required) and properties (null when missing).

    Args:
        content: The content fields.
        properties: The properties.
        content_type: What the content is decoded to.
        types: What a property of a type is decoded to, where it is one value.

    Raises:
        SampleError: A path is none, or two of them contradict each other.
    """
    root: _Node[_Field] = _Node()
    for column in content:
        _insert(root, (split_path(column.path),), _Field(content_type, True, f"content field {column.path!r}"))
    for prop in properties:
        wanted_by = f"property {prop.name!r} ({prop.path})"
        pieces = _pieces(prop.path)
        type_ = types[prop.type] if len(pieces) == 1 else _element_type(prop, wanted_by)
        _insert(root, pieces, _Field(type_, False, wanted_by))
    ways = [_attributes(root, _pieces(prop.path)) for prop in properties]
    return Layout(
        msgspec.json.Decoder(_struct(root)),
        tuple(_attributes(root, (split_path(column.path),))[0] for column in content),
        tuple(way[0] for way in ways),
        tuple(way[1:] for way in ways),
    )


def _element_type(prop: PropertyColumn, wanted_by: str) -> object:
    """The type of what a property takes of each element of a list."""
    if not prop.type.startswith("list<"):
        raise SampleError(f"{wanted_by} takes the elements of a list: declare it as list<{prop.type}>, not {prop.type}")
    return PROPERTY_TYPES[cast(PropertyType, prop.type[len("list<") : -1])]


def _pieces(path: str) -> list[Keys]:
    """The keys of a path, cut at each `[*]`; those behind one begin with the element."""
    first, *inside = split_elements(path)
    return [first, *((_ELEMENT, *keys) for keys in inside)]


def _insert(root: _Node[_Field], pieces: Sequence[Keys], wanted: _Field) -> None:
    node = root
    for keys in pieces[:-1]:
        node = _list_at(_object_at(node, keys[:-1], wanted), keys[-1], wanted).inside
    node = _object_at(node, pieces[-1][:-1], wanted)
    present = node.keys.setdefault(pieces[-1][-1], wanted)
    if isinstance(present, _Node):
        raise SampleError(f"{wanted.wanted_by} is an object, other paths go through it: use a dotted path for it too")
    if isinstance(present, _List):
        raise SampleError(f"{wanted.wanted_by} is a list, other paths take its elements: use [*] for it too")
    if _bare(present.type) != _bare(wanted.type):
        raise SampleError(f"{present.wanted_by} and {wanted.wanted_by} are the same field: give both the same type")


def _object_at(node: _Node[_Field], keys: Keys, wanted: _Field) -> _Node[_Field]:
    for key in keys:
        child = node.keys.setdefault(key, _Node())
        if isinstance(child, _Field):
            raise SampleError(f"{child.wanted_by} is an object for {wanted.wanted_by}: use a dotted path for it too")
        if isinstance(child, _List):
            raise SampleError(f"{wanted.wanted_by} goes through a list, whose elements others take: use [*] here too")
        node = child
    return node


def _list_at(node: _Node[_Field], key: str, wanted: _Field) -> _List[_Field]:
    child = node.keys.setdefault(key, _List())
    if isinstance(child, _List):
        return child
    said = child.wanted_by if isinstance(child, _Field) else "another path"
    raise SampleError(f"{wanted.wanted_by} takes the elements of what is one value for {said}: use one of both for all")


def _bare(wanted: object) -> object:
    """A type without its `| None`; content of any representation is a string."""
    if wanted in (str, msgspec.Raw):
        return PROPERTY_TYPES["string"]
    return wanted


def _struct(node: _Node[_Field]) -> type[msgspec.Struct]:
    names = {f"f{i}": key for i, key in enumerate(node.keys)}
    fields = [_struct_field(name, child) for name, child in zip(names, node.keys.values(), strict=True)]
    return msgspec.defstruct("Record", fields, rename=names, gc=False, kw_only=True)


def _struct_field(name: str, child: _Child) -> tuple[str, object] | tuple[str, object, object]:
    if isinstance(child, _Field):
        return (name, child.type) if child.required else (name, child.type, None)
    if isinstance(child, _List):
        return name, _list_type(child), None
    nested = _struct(child)
    if _has_required(child):
        return name, nested
    return name, nested | None, msgspec.field(default_factory=nested)


def _list_type(child: _List[_Field]) -> object:
    element = child.inside.keys[_ELEMENT]
    if isinstance(element, _Field):
        inner = element.type
    else:
        inner = _list_type(element) if isinstance(element, _List) else _struct(element) | None
    return list[inner] | None  # type: ignore[valid-type]


def _has_required(node: _Node[_Field]) -> bool:
    return any(
        child.required if isinstance(child, _Field) else isinstance(child, _Node) and _has_required(child)
        for child in node.keys.values()
    )


def _attributes(root: _Node[_Field], pieces: Sequence[Keys]) -> tuple[tuple[str, ...], ...]:
    """The attributes to follow for each piece; an element of a list is there without any."""
    found: list[tuple[str, ...]] = []
    child: _Child = root
    for keys in pieces:
        node = child.inside if isinstance(child, _List) else child
        names: list[str] = []
        for key in keys:
            assert isinstance(node, _Node)
            if key != _ELEMENT:
                names.append(f"f{list(node.keys).index(key)}")
            child = node = node.keys[key]  # type: ignore[assignment]
        found.append(tuple(names))
    return tuple(found)


def taken(values: list[Any], ways: Sequence[tuple[str, ...]]) -> list[Any]:
    """What is inside the elements of lists, one list for each.

    Args:
        values: Lists of structs; None where there is none.
        ways: Attributes to follow inside each element, then inside each element of the lists there; none at all gives
            the values back.
    """
    if not ways:
        return values
    lists = [value or [] for value in values]
    found = iter(taken(column(list(chain.from_iterable(lists)), ways[0]), ways[1:]))
    parts = [list(islice(found, len(one))) for one in lists]
    return [list(chain.from_iterable(part)) for part in parts] if ways[1:] else parts


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
