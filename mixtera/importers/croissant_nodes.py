"""JSON-LD as Croissant writes it: prefixes of names, references, types."""

from __future__ import annotations

import re
from dataclasses import replace

from mixtera.spec.document import Entry, Mapping, Node, Scalar, Sequence


def local(name: str) -> str:
    """A name without its prefix: `cr:recordSet` and `http://mlcommons.org/croissant/recordSet` are `recordSet`."""
    return name if name.startswith("@") else re.split(r"[:/#]", name)[-1]


def localised(node: Mapping) -> Mapping:
    """The same mapping with names without prefixes, all the way down."""
    entries: dict[str, Entry] = {}
    for entry in node.entries:
        name = local(entry.key.text)
        key = replace(entry.key, value=name, text=name)
        entries.setdefault(name, Entry(key, entry.value if name == "@context" else _inside(entry.value)))
    return Mapping(tuple(entries.values()), node.place)


def _inside(node: Node) -> Node:
    match node:
        case Mapping():
            return localised(node)
        case Sequence():
            return Sequence(tuple(_inside(item) for item in node.items), node.place)
        case _:
            return node


def value_of(node: Mapping, name: str) -> Node | None:
    """The value of a key."""
    return next((entry.value for entry in node.entries if entry.key.text == name), None)


def text_at(node: Mapping, name: str) -> Scalar | None:
    """The text of a key, where it is one."""
    found = value_of(node, name)
    return found if isinstance(found, Scalar) and isinstance(found.value, str) and found.text.strip() else None


def identity(node: Mapping) -> str | None:
    """What others refer to a node by: `@id`, in version 0.8 `name`."""
    found = text_at(node, "@id") or text_at(node, "name")
    return None if found is None else found.text


def reference(node: Node | None) -> str | None:
    """What a reference refers to: `{"@id": "x"}`, `"x"`, in old files `"#{x}"`."""
    if isinstance(node, Sequence) and node.items:
        node = node.items[0]
    if isinstance(node, Mapping):
        return identity(node)
    if isinstance(node, Scalar) and isinstance(node.value, str):
        return node.text.removeprefix("#{").removesuffix("}")
    return None


def kind_of(node: Node | None) -> tuple[str, ...]:
    """The types a node names, without prefixes."""
    items = node.items if isinstance(node, Sequence) else () if node is None else (node,)
    return tuple(local(item.text) for item in items if isinstance(item, Scalar))
