"""What a spec says of flat token files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NoReturn

from mixtera.errors import PluginError
from mixtera.formats.tokenfiles.ids import NAMES, TokenType, token_type

NONE, INDEX, CSV = "none", "index", "csv"
_BOUNDARIES: Final = (INDEX, CSV, NONE)
_NAMES: Final = ("dtype", "separator", "start", "length", "boundaries")
_LONGEST: Final = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Options:
    """The options, checked; each None where it is not given.

    Attributes:
        kind: Type of the tokens.
        separator: The id that ends a document.
        start: The id that a document begins with.
        length: Tokens of each document.
        boundaries: What beside the file says where documents end.
    """

    kind: TokenType | None = None
    separator: int | None = None
    start: int | None = None
    length: int | None = None
    boundaries: str | None = None


def options_of(given: Mapping[str, str]) -> Options:
    """The options as a spec gives them.

    Raises:
        PluginError: One is unknown, or not allowed; several say where documents end.
    """
    for name in given:
        if name not in _NAMES:
            _refuse(f"the format 'tokens' has no option {name!r}; it has {', '.join(_NAMES)}")
    ways = [name for name in _NAMES[1:] if name in given]
    if len(ways) > 1:
        _refuse(f"{' and '.join(ways)}: one of them says where documents end; leave the others out")
    kind = token_type(_one_of("dtype", given["dtype"], NAMES)) if "dtype" in given else None
    boundaries = _one_of("boundaries", given["boundaries"], _BOUNDARIES) if "boundaries" in given else None
    separator, start = _number("separator", given, 0), _number("start", given, 0)
    return Options(kind, separator, start, _number("length", given, 1), boundaries)


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        _refuse(f"{name}: {value!r} is not allowed; allowed: {', '.join(allowed)}")
    return value


def _number(name: str, given: Mapping[str, str], least: int) -> int | None:
    text = given.get(name)
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or not least <= int(text) <= _LONGEST:
        _refuse(f"{name}: expected a whole number from {least} to {_LONGEST}, found {text!r}")
    return int(text)


def _refuse(message: str) -> NoReturn:
    raise PluginError(message)


def says_where_documents_end(options: Options) -> bool:
    """Whether any option does."""
    return (options.separator, options.start, options.length, options.boundaries) != (None, None, None, None)
