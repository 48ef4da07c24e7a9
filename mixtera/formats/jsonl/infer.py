"""Guess the types of properties from the first records of some files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from types import NoneType
from typing import Final, TypeAlias

import msgspec

from mixtera.contracts.format import PropertyColumn
from mixtera.contracts.properties import PropertyType
from mixtera.contracts.storage import FileInfo, Storage
from mixtera.formats.compression import plain_stream
from mixtera.formats.guess import Guess, spread
from mixtera.formats.jsonl.layout import PROPERTY_TYPES, Layout, columns, layout
from mixtera.formats.jsonl.lines import BYTE_ORDER_MARK, LONGEST_LINE
from mixtera.formats.jsonl.reasons import DECODE_ERRORS
from mixtera.formats.opening import open_unchanged, read_fully
from mixtera.formats.paths import split_elements

_HEAD_BYTES: Final = 1 << 20
_HEAD_RECORDS: Final = 1000
_SHOWN: Final = 40
_FIRST_RECORDS: Final = 16
"""Records of a file that are looked at before the others: they nearly always tell all there is to tell."""

_Decoder: TypeAlias = msgspec.json.Decoder[msgspec.Struct]

_SCALARS: Final[dict[type, PropertyType]] = {str: "string", bool: "bool", int: "int64", float: "float64"}
_LISTS: Final[dict[type, PropertyType]] = {str: "list<string>", int: "list<int64>", float: "list<float64>"}


def infer(storage: Storage, files: Sequence[FileInfo], paths: Mapping[str, str]) -> dict[str, PropertyType | None]:
    """Guess from up to 1,000 records of the first MiB of up to eight files, spread over the list."""
    guesses = {name: Guess(name, path) for name, path in paths.items()}
    seen = _Seen(guesses)
    for file in spread(files):
        head, begin, end = _head(storage, file)
        row = 0
        for count in (_FIRST_RECORDS, _HEAD_RECORDS - _FIRST_RECORDS):
            stop = _after_lines(head, count, begin, end)
            seen.add(memoryview(head)[begin:stop], row, file.url)
            begin, row = stop, row + count
    return {name: guess.result() for name, guess in guesses.items()}


class _Seen:
    """What was seen of properties: records whose values all have the type of the last one are not looked at singly."""

    def __init__(self, guesses: Mapping[str, Guess]) -> None:
        self._guesses = guesses
        self._keys = {name: split_elements(guess.path) for name, guess in guesses.items()}
        self._last: dict[str, type] = {}
        firsts = {pieces[0][0]: f"f{i}" for i, pieces in enumerate(self._keys.values())}
        self._firsts, self._decoder = firsts, _decoder(firsts)

    def add(self, lines: memoryview, row: int, url: str) -> None:
        """Look at the records of some lines, the first of which has a row.

        Raises:
            SampleError: A value cannot be a property, or does not go together with what was seen before.
        """
        news = self._news(lines)
        if not news:
            return
        wanted = [(name, self._firsts[pieces[0][0]], pieces) for name in news for pieces in [self._keys[name]]]
        for number, line in enumerate(bytes(lines).split(b"\n"), row + 1):
            try:
                record = self._decoder.decode(line)
            except DECODE_ERRORS:
                continue  # the scan's to report
            for name, first, ((_, *rest), *inside) in wanted:
                value = value_at(getattr(record, first), rest)
                self._look(name, elements_at(value, inside) if inside else value, f"{url}, line {number}")

    def _look(self, name: str, value: object, place: str) -> None:
        kind = type(value)
        if value is None or kind is self._last.get(name):
            return  # it says nothing new
        look(self._guesses[name], value, place)
        if kind in _SCALARS:
            self._last[name] = kind

    def _news(self, lines: memoryview) -> list[str]:
        """Properties of which some lines may have something new; cheap, since no value is looked at in Python."""
        known = [name for name in self._guesses if name in self._last]
        wanted = [PropertyColumn(name, self._guesses[name].path, _SCALARS[self._last[name]]) for name in known]
        found = _kinds(lines, tuple(wanted))
        old = {name for name, kinds in zip(known, found, strict=True) if kinds <= {NoneType, self._last[name]}}
        return [name for name in self._guesses if name not in old]


def _kinds(lines: memoryview, wanted: tuple[PropertyColumn, ...]) -> list[set[type]]:
    """The types of the values of some properties; that of `object` where a record is not as it should be."""
    if not wanted:
        return []
    record = _of_anything(wanted)
    try:
        records = record.decoder.decode_lines(lines)
    except DECODE_ERRORS:
        return [{object}] * len(wanted)
    return [set(map(type, values)) for values in columns(records, record.properties)]


@lru_cache
def _of_anything(properties: tuple[PropertyColumn, ...]) -> Layout:
    """How to decode records whose values may be of any type, those on the way to them being objects."""
    return layout((), properties, types=dict.fromkeys(PROPERTY_TYPES, object))


def _decoder(firsts: Mapping[str, str]) -> _Decoder:
    """Decodes some keys of a record, each to the attribute given, and passes over the others."""
    names = {attribute: key for key, attribute in firsts.items()}
    return msgspec.json.Decoder(msgspec.defstruct("Head", [(name, object, None) for name in names], rename=names))


def _head(storage: Storage, file: FileInfo) -> tuple[bytes, int, int]:
    """The first bytes, and where the whole lines in them begin and end."""
    with open_unchanged(storage, file) as source, plain_stream(source, file) as (stream, _):
        head = read_fully(stream, _HEAD_BYTES)
        while b"\n" not in head and len(head) < LONGEST_LINE and (more := read_fully(stream, len(head))):
            head += more
    begin = len(BYTE_ORDER_MARK) if head.startswith(BYTE_ORDER_MARK) else 0
    last = -1 if len(head) < _HEAD_BYTES else head.rfind(b"\n")
    return head, begin, len(head) if last < 0 else last


def _after_lines(head: bytes, count: int, begin: int, end: int) -> int:
    """Where the line begins that comes after so many; the end when there are no more."""
    for _ in range(count):
        found = head.find(b"\n", begin, end)
        if found < 0:
            return end
        begin = found + 1
    return begin


def value_at(record: object, keys: Sequence[str]) -> object:
    """The value at a path of a record; None where there is none."""
    for key in keys:
        if not isinstance(record, dict):
            return None
        record = record.get(key)
    return record


def elements_at(value: object, inside: Sequence[tuple[str, ...]]) -> object:
    """What is inside the elements of a list, as one list; anything else is the scan's to report."""
    if not isinstance(value, list):
        return None
    found = [value_at(element, inside[0]) for element in value]
    if not inside[1:]:
        return found
    parts = [elements_at(part, inside[1:]) for part in found]
    return [element for part in parts if isinstance(part, list) for element in part]


def look(guess: Guess, value: object, place: str) -> None:
    """Take a value of a record into a guess.

    Raises:
        SampleError: It cannot be a property, or does not go together with what was seen before.
    """
    if isinstance(value, list):
        _look_at_list(guess, value, place)
    elif type(value) in _SCALARS:
        _check_whole(guess, value, place)
        guess.see(_SCALARS[type(value)], place)
    else:
        guess.refuse(f"is an object: use a dotted path to one of its keys ({', '.join(list(value)[:5])})", place)  # type: ignore[call-overload]


def _look_at_list(guess: Guess, values: list[object], place: str) -> None:
    guess.see_empty_list()
    for value in values:
        if value is None:
            continue
        if type(value) not in _LISTS:
            guess.refuse(_no_list(value, guess.path), place)
        _check_whole(guess, value, place)
        guess.see(_LISTS[type(value)], place)


def _check_whole(guess: Guess, value: object, place: str) -> None:
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        guess.refuse(f"is {str(value)[:_SHOWN]}, beyond int64: declare a type of float64, which rounds it", place)


def _no_list(element: object, path: str) -> str:
    if isinstance(element, dict):
        keys = ", ".join(f"{path}[*].{key}" for key in list(element)[:5])
        return f"is a list of objects: take one of their keys ({keys})"
    return "is a list of something else than strings or numbers, which cannot be a property"
