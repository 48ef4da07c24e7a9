"""Guess the types of properties from the first records of some files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

import msgspec

from mixtera.contracts.properties import PropertyType
from mixtera.contracts.storage import FileInfo, Storage
from mixtera.formats.compression import plain_stream
from mixtera.formats.guess import Guess, spread
from mixtera.formats.jsonl.lines import BYTE_ORDER_MARK, LONGEST_LINE
from mixtera.formats.jsonl.reasons import DECODE_ERRORS
from mixtera.formats.opening import open_unchanged, read_fully
from mixtera.formats.paths import split_elements

_HEAD_BYTES: Final = 1 << 20
_HEAD_RECORDS: Final = 1000

_Decoder: TypeAlias = msgspec.json.Decoder[msgspec.Struct]

_SCALARS: Final[dict[type, PropertyType]] = {str: "string", bool: "bool", int: "int64", float: "float64"}
_LISTS: Final[dict[type, PropertyType]] = {str: "list<string>", int: "list<int64>", float: "list<float64>"}


def infer(storage: Storage, files: Sequence[FileInfo], paths: Mapping[str, str]) -> dict[str, PropertyType | None]:
    """Guess from up to 1,000 records of the first MiB of up to eight files, spread over the list."""
    guesses = {name: Guess(name, path) for name, path in paths.items()}
    keys = {name: split_elements(path) for name, path in paths.items()}
    firsts = {pieces[0][0]: f"f{i}" for i, pieces in enumerate(keys.values())}
    wanted = [(guess, firsts[keys[name][0][0]], keys[name][0][1:], keys[name][1:]) for name, guess in guesses.items()]
    last: dict[Guess, type] = {}
    decoder = _decoder(firsts)
    for file in spread(files):
        for row, record in _head(storage, file, decoder):
            for guess, first, rest, inside in wanted:
                value = value_at(getattr(record, first), rest)
                if inside:
                    value = elements_at(value, inside)
                kind = type(value)
                if kind is last.get(guess) or value is None:
                    continue  # it says nothing new
                look(guess, value, f"{file.url}, line {row + 1}")
                if kind in _SCALARS:
                    last[guess] = kind
    return {name: guess.result() for name, guess in guesses.items()}


def _decoder(firsts: Mapping[str, str]) -> _Decoder:
    """Decodes some keys of a record, each to the attribute given, and passes over the others."""
    names = {attribute: key for key, attribute in firsts.items()}
    return msgspec.json.Decoder(msgspec.defstruct("Head", [(name, object, None) for name in names], rename=names))


def _head(storage: Storage, file: FileInfo, decoder: _Decoder) -> list[tuple[int, msgspec.Struct]]:
    """The first records with their rows; lines that are no JSON are the scan's to report."""
    with open_unchanged(storage, file) as source, plain_stream(source, file) as (stream, _):
        head = read_fully(stream, _HEAD_BYTES)
        while b"\n" not in head and len(head) < LONGEST_LINE and (more := read_fully(stream, len(head))):
            head += more
    whole = len(head) < _HEAD_BYTES or head.rfind(b"\n") < 0
    lines = head.removeprefix(BYTE_ORDER_MARK).split(b"\n")
    records: list[tuple[int, msgspec.Struct]] = []
    for row, line in enumerate((lines if whole else lines[:-1])[:_HEAD_RECORDS]):
        try:
            records.append((row, decoder.decode(line)))
        except DECODE_ERRORS:
            continue
    return records


def value_at(record: object, keys: tuple[str, ...]) -> object:
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
        guess.see(_LISTS[type(value)], place)


def _no_list(element: object, path: str) -> str:
    if isinstance(element, dict):
        keys = ", ".join(f"{path}[*].{key}" for key in list(element)[:5])
        return f"is a list of objects: take one of their keys ({keys})"
    return "is a list of something else than strings or numbers, which cannot be a property"
