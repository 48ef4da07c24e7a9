"""Shell braces in file names (`shard_{000..120}.tar`, `{a,b}`), which a glob of a spec has not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

MOST: Final = 20_000
_INNERMOST: Final = re.compile(r"\{(?:(?P<first>\d{1,12})\.\.(?P<last>\d{1,12})|(?P<choices>[^{}]*,[^{}]*))\}")


def expanded(pattern: str) -> list[str]:
    """All names that a pattern stands for.

    Raises:
        ValueError: They are too many.
    """
    names, done = [pattern], False
    while not done:
        opened = [_once(name) for name in names]
        done = all(len(one) == 1 and one[0] == name for one, name in zip(opened, names, strict=True))
        names = list(dict.fromkeys(name for one in opened for name in one))
        if len(names) > MOST:
            raise ValueError(f"braces make more than {MOST:,} file names")
    return names


def _once(name: str) -> list[str]:
    """The names with the first innermost pair of braces opened."""
    found = _INNERMOST.search(name)
    if found is None:
        return [name]
    return [name[: found.start()] + choice + name[found.end() :] for choice in _choices(found)]


def _choices(found: re.Match[str]) -> Iterator[str]:
    if found["choices"] is not None:
        yield from found["choices"].split(",")
        return
    first, last = int(found["first"]), int(found["last"])
    if abs(last - first) >= MOST:
        raise ValueError(f"braces make more than {MOST:,} file names")
    width = max(len(found["first"]), len(found["last"])) if found["first"].startswith("0") else 0
    for number in range(first, last + 1) if first <= last else range(first, last - 1, -1):
        yield f"{number:0{width}d}"
