"""Texts and numbers as YAML that reads back as the same value, and comments that cannot become anything else."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from typing import Final

from mixtera.spec.paths import has_credentials

WIDTH: Final = 116
_PLAIN: Final = re.compile(r"[A-Za-z_/][A-Za-z0-9_/.-]*")
_WORDS: Final = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}
_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s'\"<>()\[\]{},]+")


def quoted(text: str) -> str:
    """The text as a YAML scalar: plain where that is safe in any place and for any reader, else in double quotes."""
    if _PLAIN.fullmatch(text) and text.casefold() not in _WORDS:
        return text
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def number(value: float) -> str:
    """The number as YAML: whole ones without a point."""
    return repr(int(value)) if value == int(value) and abs(value) < 1e16 else repr(value)


def comment(text: str, indent: int = 0) -> list[str]:
    """The lines of a comment: nothing in the text can end it, and no credentials of a URL get into it."""
    space = " " * indent
    safe = printable(without_secrets(text))
    return textwrap.wrap(
        safe,
        WIDTH,
        initial_indent=f"{space}# ",
        subsequent_indent=f"{space}#   ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def printable(text: str) -> str:
    """The text in one line without characters that do not print."""
    return "".join(c if c.isprintable() else "·" for c in " ".join(text.split()))


def without_secrets(text: str) -> str:
    """The text with every URL that holds a password or a signature taken out."""
    return _URL.sub(lambda found: "(a URL with credentials)" if _is_secret(found[0]) else found[0], text)


def urls_with_secrets(text: str) -> Iterator[str]:
    """The URLs in a text that hold a password or a signature."""
    return (found[0] for found in _URL.finditer(text) if _is_secret(found[0]))


def _is_secret(url: str) -> bool:
    try:
        return has_credentials(url)
    except ValueError:
        return "@" in url  # not a URL after all, but perhaps a secret
