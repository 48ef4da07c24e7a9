"""Dotted paths into a record: `meta.language`; a key that holds a dot stands in quotes: `meta."a.b"`."""

from __future__ import annotations

import re
from typing import Final

from mixtera.errors import SampleError

_KEY: Final = re.compile(r'"([^"]+)"|([^."]+)')


def split_path(path: str) -> tuple[str, ...]:
    """The keys of a dotted path.

    Raises:
        SampleError: It is empty, has an empty key or an open quote.
    """
    keys: list[str] = []
    position = 0
    while match := _KEY.match(path, position):
        keys.append(match[1] or match[2])
        position = match.end() + 1
        if match.end() == len(path):
            return tuple(keys)
        if path[match.end()] != ".":
            break
    raise SampleError(
        f'{path!r} is no path into a record: write keys with dots between them, like meta.lang or "a.b".c'
    )
