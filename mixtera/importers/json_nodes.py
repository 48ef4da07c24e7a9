"""JSON as nodes that know their place. YAML's reader would take most JSON, but not all of it, and not exactly."""

from __future__ import annotations

import json
import re
from typing import Final, NoReturn

from mixtera.spec.document import Entry, Mapping, Node, Scalar, ScalarValue, Sequence, Text
from mixtera.spec.issues import Issues
from mixtera.spec.reading import MAX_DEPTH, MAX_NODES

_SPACE: Final = re.compile(r"[ \t\n\r]*")
_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?P<fraction>\.[0-9]+)?(?P<exponent>[eE][-+]?[0-9]+)?")
_STRING: Final = re.compile(r'"(?:[^"\\\x00-\x1f]|\\[^\n])*"')
_WORD: Final = re.compile(r"true|false|null")
_WORDS: Final[dict[str, ScalarValue]] = {"true": True, "false": False, "null": None}
_FORBIDDEN: Final = re.compile("[\0\ud800-\udfff]")
_MAX_DIGITS: Final = 400


class _Stop(Exception):  # noqa: N818 - ends the reading of one file; its issue is already reported
    pass


def parse_json(text: Text, issues: Issues) -> Node | None:
    """The nodes of a text that is one JSON document; None where an issue says why there are none."""
    parser = _Parser(text, issues)
    try:
        node, stop = parser.value(parser.after_space(0), 0)
        if parser.after_space(stop) != len(text.content):
            parser.stop(parser.after_space(stop), "something stands after the end of the document")
    except _Stop:
        return None
    return node


class _Parser:
    def __init__(self, text: Text, issues: Issues) -> None:
        self._text = text
        self._raw = text.content
        self._issues = issues
        self._count = 0

    def stop(self, index: int, problem: str) -> NoReturn:
        self._issues.add(self._text.place(min(index, len(self._raw))), f"not JSON: {problem}")
        raise _Stop

    def after_space(self, index: int) -> int:
        found = _SPACE.match(self._raw, index)
        return index if found is None else found.end()

    def value(self, start: int, depth: int) -> tuple[Node, int]:
        self._count += 1
        if depth > MAX_DEPTH or self._count > MAX_NODES:
            limit = f"nested more than {MAX_DEPTH} levels deep" if depth > MAX_DEPTH else f"over {MAX_NODES:,} values"
            self.stop(start, limit)
        match self._raw[start : start + 1]:
            case "{":
                return self._mapping(start, depth)
            case "[":
                return self._sequence(start, depth)
            case '"':
                return self._string(start)
            case _:
                return self._plain(start)

    def _mapping(self, start: int, depth: int) -> tuple[Mapping, int]:
        entries: dict[str, Entry] = {}
        index = self.after_space(start + 1)
        while self._raw[index : index + 1] != "}":
            if self._raw[index : index + 1] != '"':
                self._expected(index, 'a key in "quotes"')
            key, index = self._string(index)
            index = self._past(index, ":")
            value, index = self.value(self.after_space(index), depth + 1)
            if key.text in entries:
                first = entries[key.text].key.place.line
                self._issues.add(key.place, f"duplicate key {key.text!r}; the first is in line {first}")
            entries.setdefault(key.text, Entry(key, value))
            index = self._next(index, "}")
        return Mapping(tuple(entries.values()), self._text.place(start)), index + 1

    def _sequence(self, start: int, depth: int) -> tuple[Sequence, int]:
        items: list[Node] = []
        index = self.after_space(start + 1)
        while self._raw[index : index + 1] != "]":
            item, index = self.value(index, depth + 1)
            items.append(item)
            index = self._next(index, "]")
        return Sequence(tuple(items), self._text.place(start)), index + 1

    def _next(self, index: int, end: str) -> int:
        """Where the next item begins, or the end of the collection."""
        index = self.after_space(index)
        if self._raw[index : index + 1] == end:
            return index
        index = self.after_space(self._past(index, ","))
        if self._raw[index : index + 1] == end:
            self.stop(index, "a comma before the end")
        return index

    def _past(self, index: int, mark: str) -> int:
        index = self.after_space(index)
        if self._raw[index : index + 1] != mark:
            self._expected(index, repr(mark))
        return index + 1

    def _expected(self, index: int, what: str) -> NoReturn:
        found = "the end of the file" if index >= len(self._raw) else repr(self._raw[index])
        self.stop(index, f"expected {what}, found {found}")

    def _string(self, start: int) -> tuple[Scalar, int]:
        found = _STRING.match(self._raw, start)
        if found is None:
            self.stop(start, "a text that does not end, or has a line end or a control character in it")
        try:
            value = str(json.loads(found[0]))
        except json.JSONDecodeError as error:
            self.stop(start + error.pos, error.msg[0].lower() + error.msg[1:])
        if bad := _FORBIDDEN.search(value):
            self.stop(start, f"a text holds the character U+{ord(bad[0]):04X}")
        return Scalar(value, value, '"', self._text, start, found.end()), found.end()

    def _plain(self, start: int) -> tuple[Scalar, int]:
        found = _WORD.match(self._raw, start) or _NUMBER.match(self._raw, start)
        if found is None:
            self._expected(start, "a value")
        return Scalar(self._number_or_word(found), found[0], "", self._text, start, found.end()), found.end()

    def _number_or_word(self, found: re.Match[str]) -> ScalarValue:
        if found[0] in _WORDS:
            return _WORDS[found[0]]
        if len(found[0]) > _MAX_DIGITS:
            self.stop(found.start(), "a number of too many digits")
        return float(found[0]) if found["fraction"] or found["exponent"] else int(found[0])
