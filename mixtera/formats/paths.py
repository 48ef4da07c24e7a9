"""Dotted paths into a record: `meta.language`; a key that holds a dot stands in quotes: `meta."a.b"`.

`languages[*].name` takes the name of each element of a list.
"""

from __future__ import annotations

import re
from typing import Final, TypeAlias

from mixtera.errors import SampleError

ELEMENTS: Final = "[*]"
_KEY: Final = re.compile(r'(?:"([^"]+)"|((?!\[\*\])[^."]+?))((?:\[\*\])*)(?=\.|\Z)')

Keys: TypeAlias = tuple[str, ...]


def split_path(path: str) -> Keys:
    """The keys of a dotted path that leads to one value.

    Raises:
        SampleError: It is empty, has an empty key or an open quote, or goes through the elements of a list.
    """
    keys, *elements = split_elements(path)
    if elements:
        raise SampleError(
            f"{path!r} takes the elements of a list, which only properties can, of JSONL, Parquet and Arrow files and "
            f"of the JSON in tars: name one field, or write the key in quotes if it holds {ELEMENTS} itself"
        )
    return keys


def split_elements(path: str) -> tuple[Keys, ...]:
    """The keys of a dotted path, cut at each `[*]`: those to a list, those inside its elements, and so on.

    Raises:
        SampleError: It is empty, has an empty key or an open quote.
    """
    pieces: list[list[str]] = [[]]
    position = 0
    while match := _KEY.match(path, position):
        pieces[-1].append(match[1] or match[2])
        pieces += [[] for _ in range(len(match[3]) // len(ELEMENTS))]
        position = match.end() + 1
        if match.end() == len(path):
            return tuple(map(tuple, pieces))
    raise SampleError(
        f'{path!r} is no path into a record: write keys with dots between them, like meta.lang or "a.b".c, and [*] '
        "behind the key of a list"
    )
