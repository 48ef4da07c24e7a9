"""Reads a spec file into nodes: UTF-8, one YAML document, bounded in size and depth, each key once.

The same reading serves the files that `mixtera import` reads (`read_text`, `parse_text`).

Plain scalars follow YAML 1.2: only `true` and `false` are bools (`no` is a text), numbers have one meaning (`010`,
`1_000` and `1:30` are texts), and dates stay texts.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import yaml

from mixtera.errors import MixteraError
from mixtera.registry import storage_of
from mixtera.spec.document import Entry, Mapping, Node, Scalar, ScalarValue, Sequence, Text
from mixtera.spec.issues import Issues
from mixtera.spec.model import Place

MAX_BYTES: Final = 4 << 20
MAX_DEPTH: Final = 50
MAX_NODES: Final = 100_000

_Loader: Final = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
_INTEGER: Final = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS: Final[dict[str, ScalarValue]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_UNPRINTABLE: Final = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_MAX_DIGITS: Final = 400
_SPEC: Final = "a spec"


class _Stop(Exception):  # noqa: N818 - ends the reading of one file; its issue is already reported
    pass


def read(file: str, issues: Issues, named_at: Place | None = None) -> Node | None:
    """Read one spec file; None where an issue makes the rest unreadable.

    Args:
        file: Path or URL.
        issues: Takes the issues.
        named_at: Where another file names this one: the place of the issue that it cannot be opened.
    """
    text = read_text(file, issues, named_at)
    return None if text is None else parse_text(text, issues)


def read_text(file: str, issues: Issues, named_at: Place | None = None, what: str = _SPEC) -> Text | None:
    """The text of a file of at most `MAX_BYTES` in UTF-8; None where an issue says why there is none.

    Args:
        file: Path or URL.
        issues: Takes the issues.
        named_at: Where another file names this one: the place of the issue that it cannot be opened.
        what: What messages call such a file.
    """
    try:
        return _decode(file, _read_bytes(file, issues, named_at or Place(file, 1, 1), what), issues)
    except _Stop:
        return None


def parse_text(text: Text, issues: Issues, what: str = _SPEC) -> Node | None:
    """The nodes of a text that is one YAML document; None where an issue makes the rest unreadable."""
    try:
        _check_characters(text, issues)
        _check_events(text, issues, what)
        root = yaml.compose(text.content, Loader=_Loader)
        if root is None:
            hint = "; the smallest spec has version, sources and mixture" if what == _SPEC else ""
            issues.add(Place(text.file, 1, 1), f"the file is empty{hint}")
            return None
        return _Converter(text, issues).convert(root, 0)
    except yaml.YAMLError as error:
        issues.add(*_syntax_issue(text, error, what))
    except _Stop:
        pass
    return None


def _read_bytes(file: str, issues: Issues, place: Place, what: str) -> bytes:
    try:
        if "://" in file:
            with storage_of(file).open(file) as remote:
                data = remote.read(MAX_BYTES + 1)
        else:
            with Path(file).open("rb") as local:
                data = local.read(MAX_BYTES + 1)
    except FileNotFoundError:
        message = f"no such file: {file}"
    except (OSError, MixteraError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        message = f"cannot read {file}: {reason}"
    else:
        if len(data) <= MAX_BYTES:
            return data
        message = f"{file} is larger than {MAX_BYTES >> 20} MiB: is it a data file? {what} is a small YAML file"
    issues.add(place, message)
    raise _Stop


def _decode(file: str, data: bytes, issues: Issues) -> Text:
    try:
        text = Text(file, data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        before = Text(file, data[: error.start].decode("utf-8-sig", "replace"))
        place = before.place(len(before.content))
        issues.add(place, f"the byte 0x{data[error.start]:02x} is not UTF-8; save the file as UTF-8 text")
        raise _Stop from error
    return text


def _check_characters(text: Text, issues: Issues) -> None:
    if bad := _UNPRINTABLE.search(text.content):
        issues.add(text.place(bad.start()), f"the character U+{ord(bad[0]):04X} is not allowed in YAML; remove it")
        raise _Stop


def _check_events(text: Text, issues: Issues, what: str) -> None:
    """Bound depth and number of values before anything recursive looks at the file."""
    depth = 0
    for count, event in enumerate(yaml.parse(text.content, Loader=_Loader)):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            problem = f"nested more than {MAX_DEPTH} levels deep"
        elif count > MAX_NODES:
            problem = f"more than {MAX_NODES:,} values"
        else:
            continue
        mark = event.start_mark
        issues.add(text.place(mark.index if mark else 0), f"{problem}: this is not {what}")
        raise _Stop


def _syntax_issue(text: Text, error: yaml.YAMLError, what: str) -> tuple[Place, str]:
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return Place(text.file, 1, 1), f"not YAML: {error}"
    index = min(error.problem_mark.index, len(text.content))
    problem = error.problem or "syntax error"
    if "another document" in problem:
        return text.place(index), f"not YAML of {what}: a second document begins here; {what} is one"
    if error.context_mark is not None and error.context and error.context_mark.index != index:
        begun = text.place(error.context_mark.index)
        problem += f" {error.context} that starts at {begun.line}:{begun.column}"
    if "\t" in text.content[max(index - 1, 0) : index + 1]:
        problem += "; YAML is indented with spaces, not with tabs"
    if "mapping values" in problem:
        problem += "; a text that holds ': ' needs quotes"
    return text.place(index), f"not YAML: {problem}"


class _Converter:
    """Turns composed YAML into nodes; counts them, because an alias repeats what it names."""

    def __init__(self, text: Text, issues: Issues) -> None:
        self._text = text
        self._issues = issues
        self._count = 0

    def convert(self, node: yaml.Node, depth: int) -> Node:
        self._count += 1
        if depth > MAX_DEPTH or self._count > MAX_NODES:
            self._stop(node, f"aliases (*name) make more than {MAX_NODES:,} values of this, or it holds itself")
        if _TAGS[type(node)] != node.tag:
            self._stop(node, f"the tag {node.tag.replace('tag:yaml.org,2002:', '!!')} is not allowed; remove it")
        match node:
            case yaml.ScalarNode():
                return self._scalar(node)
            case yaml.SequenceNode():
                return Sequence(tuple(self.convert(item, depth + 1) for item in node.value), self._place(node))
            case yaml.MappingNode():
                return Mapping(self._entries(node, depth), self._place(node))
        raise AssertionError(f"not a YAML node: {node!r}")

    def _scalar(self, node: yaml.ScalarNode) -> Scalar:
        style = node.style or ""
        if "\0" in node.value:
            self._stop(node, "a text holds the character U+0000")
        value = node.value if style else _resolve(node.value)
        return Scalar(value, node.value, style, self._text, node.start_mark.index, node.end_mark.index)

    def _entries(self, node: yaml.MappingNode, depth: int) -> tuple[Entry, ...]:
        merged: dict[str, Entry] = {}
        own: dict[str, Entry] = {}
        for key_node, value_node in node.value:
            key = self.convert(key_node, depth + 1)
            if not isinstance(key, Scalar):
                self._issues.add(key.place, "a key must be one word or text, not a list or a mapping")
                continue
            value = self.convert(value_node, depth + 1)
            if key.text == "<<" and not key.style:
                merged = {entry.key.text: entry for entry in self._merged(value)} | merged
            elif key.text in own:
                first = own[key.text].key.place
                self._issues.add(key.place, f"duplicate key {key.text!r}; the first is in line {first.line}")
            else:
                own[key.text] = Entry(key, value)
        return tuple((merged | own).values())

    def _merged(self, value: Node) -> tuple[Entry, ...]:
        match value:
            case Mapping():
                return value.entries
            case Sequence() if all(isinstance(item, Mapping) for item in value.items):
                mappings = [item for item in value.items if isinstance(item, Mapping)]
                return tuple(entry for mapping in reversed(mappings) for entry in mapping.entries)
        self._issues.add(value.place, "<< merges a mapping: write <<: *name of an anchored mapping")
        return ()

    def _place(self, node: yaml.Node) -> Place:
        return self._text.place(node.start_mark.index)

    def _stop(self, node: yaml.Node, problem: str) -> None:
        self._issues.add(self._place(node), problem)
        raise _Stop


_TAGS: Final[dict[type[yaml.Node], str]] = {
    yaml.ScalarNode: "tag:yaml.org,2002:str",
    yaml.SequenceNode: "tag:yaml.org,2002:seq",
    yaml.MappingNode: "tag:yaml.org,2002:map",
}


def _resolve(text: str) -> ScalarValue:
    """The value of a plain scalar."""
    if text in _WORDS:
        return _WORDS[text]
    if len(text) > _MAX_DIGITS:
        return text
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text
