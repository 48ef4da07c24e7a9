"""Names of sources, components and properties that the spec allows, each once."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterator
from itertools import chain, count
from typing import Final

from mixtera.contracts.properties import RESERVED_NAMES

_MOST: Final = 80


class Names:
    """Gives each asked name once: a second one gets a number."""

    def __init__(self, separator: str = "-") -> None:
        self._separator = separator
        self._taken: set[str] = set()
        self._numbers: dict[str, Iterator[int]] = {}

    def new(self, name: str) -> str:
        """The name, or `name-2`, `name-3` … where it is taken; case does not tell names apart."""
        numbers = self._numbers.setdefault(name.casefold(), count(2))  # goes on where it was: many may have one name
        numbered = chain([name], (f"{name}{self._separator}{number}" for number in numbers))
        free = next(candidate for candidate in numbered if candidate.casefold() not in self._taken)
        self._taken.add(free.casefold())
        return free


def source_name(text: str) -> str:
    """A name of a source made of any text: other characters become `-`."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", text).strip("-.")[:_MOST].rstrip("-.") or "data"


def component_name(text: str) -> str:
    """A name of a component made of any text: `/` joins nested names and becomes `-`."""
    line = "".join(c for c in " ".join(text.replace("/", "-").split()) if c.isprintable())
    return line.strip()[:_MOST].strip() or "data"


def property_name(text: str) -> str:
    """A name of a property made of any text: letters, digits and `_`."""
    name = re.sub(r"[^A-Za-z0-9_]+", "_", text).strip("_")[:_MOST] or "property"
    if name[0].isdigit() or keyword.iskeyword(name) or name.casefold() in RESERVED_NAMES:
        return f"field_{name}"
    return name


def last_part(path: str) -> str:
    """What a path is called: its last part that has no wildcard, without the suffix of a data file."""
    parts = [part for part in path.rstrip("/").split("/") if part not in ("", ".", "..")]
    plain = [part for part in parts if not re.search(r"[*?\[{]", part)] or parts or ["data"]
    return re.sub(r"(\.(jsonl?|ndjson|parquet|pq|csv|tsv|txt|tar|arrow|npy|bin))?(\.(gz|zst|bz2|xz))?$", "", plain[-1])


def words_of(names: tuple[str, ...]) -> str:
    """Some names as words of a message."""
    shown = ", ".join(names[:8])
    return shown if len(names) <= 8 else f"{shown}, … ({len(names)} in all)"
