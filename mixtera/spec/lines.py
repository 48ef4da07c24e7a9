"""A spec file as normalised lines: without comments, one value a line, written in one way.

Two files that YAML reads as the same have the same lines, so that a difference of lines is a difference of the spec.
What is included stands where it is merged; values, paths among them, stay as they are written.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Final

from mixtera.spec.document import Mapping, Node, Scalar

_PLAIN: Final = re.compile(r"[A-Za-z_/][A-Za-z0-9_./*@+ =<>()-]*(?<! )")
_UNSAFE: Final = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
"""Characters that YAML takes for line ends, or does not take as they are."""
_OTHERWISE: Final = re.compile(r"(true|false|null)", re.IGNORECASE)


def lines(node: Node) -> tuple[str, ...]:
    """The lines of a mapping, in the order of its keys."""
    return tuple(_lines(node))


def _lines(node: Node) -> Iterator[str]:
    match node:
        case Scalar():
            yield _value(node)
        case Mapping():
            for entry in node.entries:
                yield from _entry(_text(entry.key.text), entry.value)
        case _:
            for item in node.items:
                inner = _lines(item) if _is_open(item) else iter((_short(item),))
                yield f"- {next(inner)}"
                yield from (f"  {line}" for line in inner)


def _entry(key: str, value: Node) -> Iterator[str]:
    if not _is_open(value):
        yield f"{key}: {_short(value)}"
        return
    yield f"{key}:"
    yield from (f"  {line}" for line in _lines(value))


def _is_open(node: Node) -> bool:
    """Whether a node takes lines of its own: it holds something."""
    if isinstance(node, Scalar):
        return False
    return bool(node.entries if isinstance(node, Mapping) else node.items)


def _short(node: Node) -> str:
    if isinstance(node, Scalar):
        return _value(node)
    return "{}" if isinstance(node, Mapping) else "[]"


def _value(scalar: Scalar) -> str:
    match scalar.value:
        case None:
            return "null"
        case bool():
            return str(scalar.value).lower()
        case str():
            return _text(scalar.value)
        case _:
            return scalar.text


def _text(text: str) -> str:
    """A text as YAML reads it back: plain where nothing can be mistaken, else in double quotes."""
    if _PLAIN.fullmatch(text) and not _OTHERWISE.fullmatch(text):
        return text
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(text, ensure_ascii=False))
