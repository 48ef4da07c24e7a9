"""What a path of a spec means in a tar: the extension of a member, and where more keys follow, a place in its JSON.

`txt` is the text of that member, `jpg;png` the bytes of the first of these that a sample has, `json.width` a key of the
JSON that the member `json` holds. An extension with a dot stands in quotes: `"seg.png"`. `__key__` is the key.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from mixtera.errors import SampleError
from mixtera.formats.paths import ELEMENTS, split_elements

KEY: Final = "__key__"
"""The path of the key."""

JSON: Final = frozenset({b"json", b"jsn"})
"""Members that are JSON as a whole; of others a number, a truth value or a list is read as JSON, and text as text."""

WORDS: Final = frozenset(
    {b"txt", b"text", b"transcript", b"caption", b"title", b"prompt", b"html", b"md", b"csv", b"tsv", b"xml", b"url"}
    | {b"srt", b"vtt", b"tex"}
)
"""Members that are text, never numbers."""

TEXTS: Final = (
    WORDS | JSON | {b"jsonl", b"cls", b"cls2", b"class", b"label", b"lang", b"count", b"index", b"inx", b"id"}
)
"""Members that are delivered as strings; all others are delivered as bytes."""


@dataclass(frozen=True, slots=True)
class Field:
    """A path of a spec.

    Attributes:
        path: As it is written.
        extensions: The extensions that it names, the first that a sample has counts; empty for the key.
        below: The path into the member's JSON; empty where the member itself is meant.
    """

    path: str
    extensions: tuple[bytes, ...]
    below: str

    @property
    def is_key(self) -> bool:
        """Whether it is the key of the sample."""
        return not self.extensions

    @property
    def is_text(self) -> bool:
        """Whether it is delivered as a string."""
        return self.is_key or bool(self.below) or all(ends_with(one, TEXTS) for one in self.extensions)

    @property
    def type(self) -> pa.DataType:
        """The Arrow type of the content."""
        return pa.string() if self.is_text else pa.binary()

    @property
    def label(self) -> str:
        """The extensions in words."""
        return " or ".join(repr(one.decode()) for one in self.extensions)


def field_of(path: str) -> Field:
    """Understand a path.

    Raises:
        SampleError: It is none.
    """
    (first, *below), *elements = split_elements(path)
    if elements and not below:
        raise SampleError(
            f"{path!r} takes the elements of a whole member: name a key of its JSON, such as {first}.KEY{ELEMENTS}"
        )
    if first == KEY and not below:
        return Field(path, (), "")
    extensions = tuple(one.strip().lower().encode() for one in first.split(";") if one.strip())
    return Field(path, extensions or (first.encode(),), _dotted(below) + "".join(map(_inside, elements)))


def fields_of(columns: Sequence[str]) -> list[Field]:
    """Understand some paths."""
    return [field_of(path) for path in columns]


def ends_with(extension: bytes, words: frozenset[bytes]) -> bool:
    """Whether the last part of an extension, such as `en.txt`, is one of some words."""
    return extension.rpartition(b".")[2] in words


def _inside(keys: Sequence[str]) -> str:
    return f"{ELEMENTS}.{_dotted(keys)}" if keys else ELEMENTS


def _dotted(keys: Sequence[str]) -> str:
    return ".".join(f'"{key}"' if "." in key or ELEMENTS in key else key for key in keys)
