"""Files that match a pattern, where directories are listed one by one: each once, and only those that can matter."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Generic, TypeVar

from mixtera_backends.storage.patterns import matcher

Facts = TypeVar("Facts")


@dataclass(frozen=True, slots=True)
class Entry(Generic[Facts]):
    """What a directory holds: a name, whether it is a directory, what the listing says beside that, and whether it is a
    symbolic link.
    """

    name: str
    is_directory: bool
    facts: Facts
    is_link: bool = False


class Walk(Generic[Facts]):
    """Lists directories, each at most once."""

    def __init__(
        self,
        listed: Callable[[str], Sequence[Entry[Facts]]],
        looked_up: Callable[[str, str], Entry[Facts] | None] | None = None,
    ) -> None:
        """Use functions that ask for directories, whose paths end with a slash.

        Args:
            listed: Lists one; what is not there holds nothing.
            looked_up: Looks up one name in one that need not be listed, where that takes less; None where it is not
                there.
        """
        self._listed, self._looked_up = listed, looked_up
        self._known: dict[str, Sequence[Entry[Facts]]] = {}

    def entries(self, directory: str) -> Sequence[Entry[Facts]]:
        """What a directory holds."""
        if directory not in self._known:
            self._known[directory] = self._listed(directory)
        return self._known[directory]

    def matching(self, directory: str, parts: Sequence[str], below: str = "") -> Iterator[tuple[str, Entry[Facts]]]:
        """What matches the parts of a pattern below a directory, with its path below that; also other directories.

        It may come twice where `**` stands twice.
        """
        part, *rest = parts
        if part != "**" and not glob.has_magic(part) and (rest or self._looked_up is not None):
            yield from self._at(directory, part, rest, below)
            return
        if part == "**" and rest:
            yield from self.matching(directory, rest, below)
        for entry in self.entries(directory):
            deeper = f"{directory}{entry.name}/", f"{below}{entry.name}/"
            if not _fits(part, entry.name):
                continue
            if not rest:
                yield below + entry.name, entry
            if entry.is_directory and part == "**":
                if entry.is_link and _leads_back(directory, entry.name):
                    continue  # all that lies there is found without it
                yield from self.matching(deeper[0], parts, deeper[1])
            elif entry.is_directory and rest:
                yield from self.matching(deeper[0], rest, deeper[1])

    def _at(self, directory: str, name: str, rest: Sequence[str], below: str) -> Iterator[tuple[str, Entry[Facts]]]:
        """What matches where the next part is a name."""
        if rest:
            yield from self.matching(f"{directory}{name}/", rest, f"{below}{name}/")
        elif self._looked_up is not None and (entry := self._looked_up(directory, name)) is not None:
            yield below + name, entry


def _leads_back(directory: str, name: str) -> bool:
    """Whether a link in a directory leads to that directory, or to one that it lies in: so without an end."""
    here, there = os.path.realpath(directory), os.path.realpath(directory + name)
    return os.path.commonpath([here, there]) == there


def _fits(part: str, name: str) -> bool:
    return _matcher("*" if part == "**" else part)(name) is not None


_matcher = lru_cache(64)(matcher)
