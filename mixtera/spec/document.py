"""A spec file as values that know their place: what YAML gives, without YAML's own types."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from mixtera.spec.model import Place

ScalarValue: TypeAlias = str | int | float | bool | None

_QUOTED_CHARACTER: Final = re.compile(
    r"\\x(?P<x>[0-9a-fA-F]{2})|\\u(?P<u>[0-9a-fA-F]{4})|\\U(?P<U>[0-9a-fA-F]{8})"
    r"|\\(?:\r\n|(?P<escape>.))|(?P<plain>.)",
    re.DOTALL,
)
_BLANK_ESCAPES: Final = " \tntvfreNLP_\n\r"


@dataclass(frozen=True)
class Text:
    """The text of one file, and where its lines start."""

    file: str
    content: str
    line_starts: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        starts = (0, *(match.end() for match in re.finditer("\n", self.content)))
        object.__setattr__(self, "line_starts", starts)

    def place(self, index: int) -> Place:
        """The place of a character of the content."""
        line = bisect_right(self.line_starts, index)
        return Place(self.file, line, index - self.line_starts[line - 1] + 1)


@dataclass(frozen=True, slots=True)
class Scalar:
    """One value.

    Attributes:
        value: The value: text, a number, a bool or None.
        text: The value as text, before numbers, bools and None were told apart.
        style: How YAML wrote it: `'`, `"`, `|`, `>`, or empty for a plain one.
        source: The file's text.
        start: Index of its first character.
        stop: Index after its last character.
    """

    value: ScalarValue
    text: str
    style: str
    source: Text
    start: int
    stop: int

    @property
    def place(self) -> Place:
        """Where it starts."""
        return self.source.place(self.start)

    def locator(self) -> Callable[[int], Place]:
        """From a character of `text` to its place in the file, whatever the quotes, escapes and line folds.

        Folding and indentation change white space only, so the other characters are matched one by one; white space,
        and the end, stand right behind the character before them.
        """
        ink, last = self._ink(), self.start
        indexes = []
        for character in self.text:
            index = last
            if not character.isspace():
                index, last = next(ink, (last, last))
            indexes.append(index)
        indexes.append(last)
        return lambda offset: self.source.place(indexes[min(offset, len(self.text))])

    def _ink(self) -> Iterator[tuple[int, int]]:
        """Where each character of `text` that is not white space is written: first index, index after it."""
        raw, start, stop = self.source.content, self.start, self.stop
        match self.style:
            case "'":
                spans = (m.span() for m in re.compile(r"''|\S").finditer(raw, start + 1, stop - 1))
            case '"':
                found = _QUOTED_CHARACTER.finditer(raw, start + 1, stop - 1)
                spans = (m.span() for m in found if not _is_blank(m))
            case "|" | ">":
                first = raw.find("\n", start, stop)
                spans = (m.span() for m in re.compile(r"\S").finditer(raw, first if first >= 0 else stop, stop))
            case _:
                spans = (m.span() for m in re.compile(r"\S").finditer(raw, start, stop))
        return spans


def _is_blank(match: re.Match[str]) -> bool:
    if match["plain"]:
        return match["plain"].isspace()
    if match["escape"]:
        return match["escape"] in _BLANK_ESCAPES
    code = match["x"] or match["u"] or match["U"]
    return code is None or chr(int(code, 16)).isspace()


@dataclass(frozen=True, slots=True)
class Sequence:
    """A list."""

    items: tuple[Node, ...]
    place: Place


@dataclass(frozen=True, slots=True)
class Entry:
    """One key of a mapping, and its value."""

    key: Scalar
    value: Node


@dataclass(frozen=True, slots=True)
class Mapping:
    """A mapping. Its keys are scalars, each once."""

    entries: tuple[Entry, ...]
    place: Place


Node: TypeAlias = Scalar | Sequence | Mapping


def describe(node: Node) -> str:
    """What a node is, for a message."""
    match node:
        case Sequence():
            return "a list"
        case Mapping():
            return "a mapping"
        case Scalar(value=None):
            return "nothing"
        case Scalar(value=bool()):
            return node.text
        case Scalar(value=str() as text):
            return f"the text {shorten(text)!r}"
        case _:
            return f"the number {shorten(node.text)}"


def shorten(text: str, limit: int = 60) -> str:
    """The text in one line, cut at `limit` characters."""
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"
