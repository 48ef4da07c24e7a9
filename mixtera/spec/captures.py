"""Captures: `{year}` in the path of a source takes what stands there in the path of a file, and is a property.

A capture stands for one part of a path or a piece of one, at least one character and never a slash. Braces around
anything but a name, such as `{a,b}`, are not captures. A property that is captured has the path `{name}`.
"""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from mixtera.spec.document import Scalar
from mixtera.spec.issues import Issues
from mixtera.spec.model import Property

_CAPTURE: Final = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_HIVE: Final = re.compile(r"[^={}*?\[\]]+=\{([A-Za-z_][A-Za-z0-9_]*)\}")
_PIECE: Final = re.compile(r"\{[A-Za-z_][A-Za-z0-9_]*\}|\[!?\]?[^\]]*\]|\*+|.", re.DOTALL)
_MAGIC: Final = re.compile(r"[*?\[]")
_HIVE_NULL: Final = "__HIVE_DEFAULT_PARTITION__"


def captured_names(path: str) -> tuple[str, ...]:
    """The names that a path captures, in its order."""
    return tuple(_CAPTURE.findall(path))


def capture_of(path: str) -> str | None:
    """The capture that the path of a property stands for; None where it is a path into the record."""
    found = _CAPTURE.fullmatch(path)
    return None if found is None else found[1]


def as_glob(path: str) -> str:
    """The pattern that storages expand: a capture is at least one character."""
    return _CAPTURE.sub("?*", path)


def without_captures(path: str) -> str:
    """A path in which names in braces are meant as they stand: a file may have them in its name."""
    return _CAPTURE.sub(r"[{]\1}", path)


def tail_of(path: str) -> str:
    """The part of a path from its first wildcard or capture on: what the captured values depend on."""
    parts = path.split("/")
    first = next((i for i, part in enumerate(parts) if _MAGIC.search(part) or _CAPTURE.search(part)), len(parts))
    return "/".join(parts[first:])


def problem_of_captures(path: str) -> str | None:
    """Why the captures of a path cannot be told apart, or None."""
    names = captured_names(path)
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        return f"{path!r} captures {twice!r} twice: write * for one of them"
    for part in path.split("/"):
        if any(_touches(part, match) for match in _CAPTURE.finditer(part)):
            return (
                f"{part!r} has a capture right beside another or a wildcard: nobody could tell where it ends; put "
                "something between them, or leave the wildcard out"
            )
    return None


def _touches(part: str, match: re.Match[str]) -> bool:
    before, after = part[: match.start()], part[match.end() :]
    return before.endswith(("*", "?", "]", "}")) or after.startswith(("*", "?", "[", "{"))


def with_captures(
    properties: Sequence[Property], paths: Sequence[Scalar], others: Sequence[str], issues: Issues
) -> tuple[Property, ...]:
    """The properties of a source and those that its paths capture without being asked: they are strings.

    Args:
        properties: As they are written.
        paths: The paths, as they are written.
        others: Names of properties that are computed.
        issues: Gets what does not go together.
    """
    places = {name: scalar.place for scalar in paths for name in captured_names(scalar.text)}
    asked = {name for wanted in properties if (name := capture_of(wanted.path)) is not None}
    for wanted in properties:
        name = capture_of(wanted.path)
        if name is not None and name not in places:
            known = ", ".join(places) or "nothing"
            issues.add(
                wanted.place,
                f"property {wanted.name!r} takes the capture {name!r}, and the paths capture {known}: write "
                f"{{{name}}} into a path, or name another",
            )
    taken = {*others, *(wanted.name for wanted in properties)}
    fresh = []
    for name, place in places.items():
        if name in taken - asked:
            issues.add(
                place,
                f"the path captures {name!r}, and a property of that name has another origin: take the capture with "
                f"{name}: {{capture: {name}}}, or give one of them another name",
            )
        elif name not in asked:
            fresh.append(Property(name, f"{{{name}}}", "string", place))
    return (*properties, *fresh)


class Captures:
    """What the paths of a source capture of the URL of a file."""

    def __init__(self, paths: Sequence[str]) -> None:
        plain = [_as_url(path) for path in paths]
        wild = [path for path in plain if _CAPTURE.search(path) or _MAGIC.search(path)]
        self._exact = {path for path in plain if path not in wild}
        self._patterns = [(re.compile(_expression(path), re.DOTALL), _hive_names(path)) for path in wild]

    def values(self, url: str) -> Mapping[str, str | None]:
        """Capture → value; nothing for a path without captures, None where a Hive partition says that it is NULL.

        Raises:
            ValueError: Two paths capture different values, or none matches.
        """
        found: dict[str, str | None] = {}
        matches = [(match, hive) for pattern, hive in self._patterns if (match := pattern.fullmatch(url))]
        if not matches and url not in self._exact:
            raise ValueError("it does not match any path of the source as it is written")
        for match, hive in matches:
            for name, text in match.groupdict().items():
                value = _of_hive(text) if name in hive else text
                if found.setdefault(name, value) != value:
                    raise ValueError(f"two paths match it, and capture {found[name]!r} and {value!r} as {name!r}")
        return found


def _of_hive(text: str) -> str | None:
    return None if text == _HIVE_NULL else unquote(text)


def _hive_names(path: str) -> frozenset[str]:
    """Captures that are the whole value of a part like `year={year}`: writers of such directories escape values."""
    return frozenset(match[1] for part in path.split("/") if (match := _HIVE.fullmatch(part)))


def _as_url(path: str) -> str:
    """A path as the URLs of its files begin: those of local files are absolute paths."""
    if "://" in path and not path.startswith("file://"):
        return path
    plain = unquote(path.removeprefix("file://").removeprefix("localhost")) if "://" in path else path
    home = str(Path(plain).expanduser()) if plain.startswith("~") else plain
    return os.path.abspath(home)  # noqa: PTH100 - pathlib keeps `..`


def _expression(path: str) -> str:
    *folders, last = path.split("/")
    text = "".join("(?:[^/]+/)*" if part == "**" else _part(part) + "/" for part in folders)
    return text + ("(?:[^/]+/)*[^/]+" if last == "**" else _part(last))


def _part(part: str) -> str:
    return "".join(map(_piece, _PIECE.findall(part)))


def _piece(piece: str) -> str:
    """A regular expression for a piece of a part; captures and stars take as little as they can, from the left."""
    if (name := capture_of(piece)) is not None:
        return f"(?P<{name}>[^/]+?)"
    if piece[0] == "*":
        return "[^/]*?"
    if piece == "?":
        return "[^/]"
    if piece[0] == "[" and len(piece) > 1:
        return "(?!/)" + fnmatch.translate(piece)[len("(?s:") : -len(r")\Z")]
    return re.escape(piece)
