"""Reads the keys of one section, and reports what is wrong with them."""

from __future__ import annotations

import math
from collections.abc import Sequence as Values
from typing import Final

from mixtera.spec.document import Entry, Mapping, Node, Scalar, Sequence, describe
from mixtera.spec.issues import Issues, nearest, suggestion
from mixtera.spec.keys import Section
from mixtera.spec.model import Place

_NOT_YET: Final = "is not supported by this version; remove it"


class Fields:
    """The keys of one section. Making one reports unknown, unsupported, empty and missing keys.

    Each reading method returns None where the key is not there or its value is wrong (which is then reported).
    """

    def __init__(self, node: Mapping, section: Section, issues: Issues, place: Place | None = None) -> None:
        self.place = place or node.place
        self.section = section
        self._issues = issues
        self._entries: dict[str, Entry] = {}
        self._seen = {self._admit(entry) for entry in node.entries}
        for name in section.required:
            if self.is_absent(name):
                issues.add(self.place, f"{section.name} needs the key {name!r}")

    def _admit(self, entry: Entry) -> str:
        """Keep an entry, or report it; returns the key it was probably meant to be."""
        name = entry.key.text
        if name in self.section.later:
            self._issues.add(entry.key.place, f"{name!r} in {self.section.name} {_NOT_YET}")
        elif name in self.section.elsewhere:
            message = f"{name!r} has no place in {self.section.name}: {self.section.elsewhere[name]}"
            self._issues.add(entry.key.place, message)
        elif name not in self.section.allowed:
            allowed = self.section.allowed
            message = f"unknown key {name!r} in {self.section.name}{suggestion(name, allowed)}"
            self._issues.add(entry.key.place, message)
            return nearest(name, allowed) or name
        elif isinstance(entry.value, Scalar) and entry.value.value is None:
            self._issues.add(entry.key.place, f"{name!r} has no value; give one or remove the key")
        else:
            self._entries[name] = entry
        return name

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    def is_absent(self, name: str) -> bool:
        """Whether a key is not there, not even misspelt or without a value."""
        return name not in self._seen

    def node(self, name: str) -> Node | None:
        """The value as it stands."""
        return self._entries[name].value if name in self._entries else None

    def key_place(self, name: str) -> Place:
        """The place of a key, or of the section where it is not there."""
        return self._entries[name].key.place if name in self._entries else self.place

    def value_place(self, name: str) -> Place:
        """The place of a value, or of the section where it is not there."""
        return self._entries[name].value.place if name in self._entries else self.place

    def mapping(self, name: str) -> Mapping | None:
        """A mapping that is not empty."""
        node = self.node(name)
        if node is None or (isinstance(node, Mapping) and node.entries):
            return node
        found = "an empty one" if isinstance(node, Mapping) else describe(node)
        self._issues.add(node.place, f"{name}: expected a mapping, found {found}")
        return None

    def text(self, name: str) -> str | None:
        """A text that is not empty."""
        node = self.node(name)
        return None if node is None else text_of(node, name, self._issues)

    def texts(self, name: str) -> tuple[Scalar, ...]:
        """One text or a list of them, each not empty; an empty tuple where there is none."""
        node = self.node(name)
        items: tuple[Node, ...] = () if node is None else node.items if isinstance(node, Sequence) else (node,)
        if node is not None and not items:
            self._issues.add(node.place, f"{name}: the list is empty")
        good = (item for item in items if text_of(item, name, self._issues) is not None)
        return tuple(item for item in good if isinstance(item, Scalar))

    def choice(self, name: str, allowed: Values[str]) -> str | None:
        """One of some words."""
        node = self.node(name)
        if node is None or (isinstance(node, Scalar) and node.value in allowed):
            return None if node is None else str(node.value)
        hint = suggestion(node.text, allowed) if isinstance(node, Scalar) else f"; allowed: {', '.join(allowed)}"
        self._issues.add(node.place, f"{name}: {describe(node)} is not allowed{hint}")
        return None

    def flag(self, name: str) -> bool | None:
        """True or false."""
        node = self.node(name)
        if node is None or (isinstance(node, Scalar) and isinstance(node.value, bool)):
            return None if node is None else bool(node.value)
        self._issues.add(node.place, f"{name}: expected true or false, found {describe(node)}")
        return None

    def whole(self, name: str, least: int, most: int) -> int | None:
        """A whole number in [least, most]."""
        node = self.node(name)
        if node is None:
            return None
        if isinstance(node, Scalar) and type(node.value) is int and least <= node.value <= most:
            return node.value
        self._issues.add(node.place, f"{name}: expected a whole number from {least} to {most}, found {describe(node)}")
        return None

    def number(self, name: str, *, zero: bool = True) -> float | None:
        """A finite number that is not negative; with `zero` false, greater than 0."""
        node = self.node(name)
        return None if node is None else number_of(node, name, self._issues, zero=zero)


def text_of(node: Node, name: str, issues: Issues) -> str | None:
    """The text of a node; anything else is reported."""
    if isinstance(node, Scalar) and isinstance(node.value, str) and node.value.strip():
        return node.value
    quote = "; put quotes around it" if isinstance(node, Scalar) and node.text else ""
    found = "an empty text" if isinstance(node, Scalar) and isinstance(node.value, str) else describe(node)
    issues.add(node.place, f"{name}: expected a text, found {found}{quote if found != 'an empty text' else ''}")
    return None


def number_of(node: Node, name: str, issues: Issues, *, zero: bool = True) -> float | None:
    """The number of a node: finite and not negative; anything else is reported."""
    value = node.value if isinstance(node, Scalar) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        problem = f"expected a number, found {describe(node)}"
    elif not _is_finite(value):
        problem = f"{describe(node)} is too large"
    elif value < 0 or (value == 0 and not zero):
        problem = f"expected a number {'of 0 or more' if zero else 'greater than 0'}, found {describe(node)}"
    else:
        return float(value)
    issues.add(node.place, f"{name}: {problem}")
    return None


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(float(value))
    except OverflowError:
        return False
