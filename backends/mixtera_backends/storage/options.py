"""Options of a storage: the environment has the last word, so that a plan can be read on another machine."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from mixtera.contracts.storage import Option, Options, OptionValue
from mixtera.errors import StorageError

_TRUE, _FALSE = ("1", "true", "yes"), ("0", "false", "no", "")


def in_force(known: Sequence[Option], given: Options) -> dict[str, OptionValue]:
    """The options that are given, by the spec or by the environment; those that this version does not know are not.

    Raises:
        StorageError: The environment gives a value that is not of the option's kind.
    """
    names = {option.name for option in known}
    found = {name: value for name, value in given.items() if name in names}
    for option in known:
        if text := os.environ.get(option.variable, "") if option.variable else "":
            found[option.name] = _parsed(option, text)
    return found


def _parsed(option: Option, text: str) -> OptionValue:
    wanted: Mapping[str, str] = {"count": "a whole number from 1", "bytes": "a number of bytes from 1"}
    match option.kind:
        case "text":
            return text
        case "flag":
            if text.lower() in (*_TRUE, *_FALSE):
                return text.lower() in _TRUE
        case "rate":
            if (value := _number(text)) is not None and value > 0:
                return value
        case _:
            if text.isascii() and text.isdecimal() and int(text) > 0:
                return int(text)
    expected = wanted.get(option.kind, "true or false" if option.kind == "flag" else "a number greater than 0")
    raise StorageError(f"{option.variable} is {text!r}: it must be {expected}")


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
