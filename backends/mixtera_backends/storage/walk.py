"""Files that match a pattern, where directories are listed one by one: each once, and only those that can matter."""

from __future__ import annotations

import glob
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Generic, TypeVar

from mixtera_backends.storage.patterns import matcher

Facts = TypeVar("Facts")


@dataclass(frozen=True, slots=True)
class Entry(Generic[Facts]):
    """What a directory holds: a name, whether it is a directory, and what the listing says beside that."""

    name: str
    is_directory: bool
    facts: Facts


class Walk(Generic[Facts]):
    """Lists directories, each at most once."""

    def __init__(self, listed: Callable[[str], Sequence[Entry[Facts]]]) -> None:
        """Use a function that lists a directory, whose path ends with a slash; what is not there holds nothing."""
        self._listed = listed
        self._known: dict[str, Sequence[Entry[Facts]]] = {}

    def entries(self, directory: str) -> Sequence[Entry[Facts]]:
        """What a directory holds."""
        if directory not in self._known:
            self._known[directory] = self._listed(directory)
        return self._known[directory]

    def matching(self, directory: str, parts: Sequence[str], below: str = "") -> Iterator[tuple[str, Entry[Facts]]]:
        """The files below a directory that match the parts of a pattern, with their paths below the first directory.

        A file may come twice where `**` stands twice.
        """
        part, *rest = parts
        if rest and part != "**" and not glob.has_magic(part):
            yield from self.matching(f"{directory}{part}/", rest, f"{below}{part}/")
            return
        if part == "**" and rest:
            yield from self.matching(directory, rest, below)
        for entry in self.entries(directory):
            deeper = f"{directory}{entry.name}/", f"{below}{entry.name}/"
            if not _fits(part, entry.name):
                continue
            if not entry.is_directory and not rest:
                yield below + entry.name, entry
            elif entry.is_directory and part == "**":
                yield from self.matching(deeper[0], parts, deeper[1])
            elif entry.is_directory and rest:
                yield from self.matching(deeper[0], rest, deeper[1])


def _fits(part: str, name: str) -> bool:
    return _matcher("*" if part == "**" else part)(name) is not None


_matcher = lru_cache(64)(matcher)
