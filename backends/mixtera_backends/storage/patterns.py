"""Patterns of paths and keys, matched as a shell does, with `**` for any depth."""

from __future__ import annotations

import fnmatch
import glob
import re
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pattern:
    """A key, or a path, with wildcards.

    Attributes:
        base: What stands before the part with the first wildcard, with its slash: names are relative to it.
        prefix: What every key that matches begins with.
        flat: Whether only keys directly below `base` can match.
    """

    base: str
    prefix: str
    flat: bool

    @classmethod
    def of(cls, key: str) -> Pattern:
        """What a pattern says about the keys that it can match."""
        parts = key.split("/")
        wild = next(i for i, part in enumerate(parts) if glob.has_magic(part))
        base = "".join(part + "/" for part in parts[:wild])
        literal = re.split(r"[*?\[]", parts[wild], maxsplit=1)[0]
        return cls(base, base + literal, wild == len(parts) - 1 and parts[wild] != "**")


def matcher(key: str) -> Callable[[str], re.Match[str] | None]:
    """Whether a key matches a pattern: `**` stands for any depth, and no wildcard for a leading dot."""
    return re.compile(_expression(key.split("/")), re.DOTALL).fullmatch


def _expression(parts: list[str]) -> str:
    *folders, last = parts
    text = "".join(r"(?:(?!\.)[^/]+/)*" if part == "**" else _part(part) + "/" for part in folders)
    return text + (r"(?:(?!\.)[^/]+/)*(?!\.)[^/]+" if last == "**" else _part(last))


def _part(part: str) -> str:
    """A regular expression for one part of a key, from what the standard library makes of it."""
    if not glob.has_magic(part):
        return re.escape(part)
    hidden = "" if part.startswith(".") else r"(?!\.)"
    pieces = re.findall(r"\[!?\]?[^\]]*\]|\*+|\?|.", part, re.DOTALL)
    return hidden + "".join(_piece(piece) for piece in pieces)


def _piece(piece: str) -> str:
    if piece[0] == "*":
        return "[^/]*"
    if piece == "?":
        return "[^/]"
    if piece[0] == "[" and len(piece) > 1:
        return "(?!/)" + fnmatch.translate(piece)[len("(?s:") : -len(r")\Z")]
    return re.escape(piece)
