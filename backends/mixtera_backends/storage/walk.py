"""Files that a pattern matches, each directory listed once.

As `glob.glob(…, recursive=True)` finds them, with one difference: that passes over a directory it cannot list, and data
would be missing without a word.
"""

from __future__ import annotations

import errno
import fnmatch
import glob
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from mixtera.errors import StorageError

_GONE: Final = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
"""What a directory answers that is none any more, or is a link in a circle."""


@dataclass(frozen=True, slots=True)
class _Entry:
    name: str
    is_directory: bool


def expanded(base: str, pattern: str) -> set[str]:
    """The paths that match a pattern below a directory; directories may be among them.

    Args:
        base: The directory, with a slash at its end.
        pattern: Parts with wildcards; `**` stands for any depth, and no wildcard for a leading dot.

    Raises:
        StorageError: A directory cannot be listed.
    """
    return set(_matching(base, [part for part in pattern.split("/") if part], {}))


def _matching(base: str, parts: Sequence[str], known: dict[str, list[_Entry]]) -> Iterator[str]:
    part, rest = parts[0], parts[1:]
    if part == "**":
        yield from _at_any_depth(base, rest, known)
    elif not glob.has_magic(part):
        path = base + part
        if rest:
            yield from _matching(f"{path}/", rest, known)
        elif os.path.lexists(path):
            yield path
    else:
        for entry in _listed(base, known):
            if _fits(entry.name, part):
                if not rest:
                    yield base + entry.name
                elif entry.is_directory:
                    yield from _matching(f"{base}{entry.name}/", rest, known)


def _at_any_depth(base: str, rest: Sequence[str], known: dict[str, list[_Entry]]) -> Iterator[str]:
    if rest:
        yield from _matching(base, rest, known)
    for entry in _listed(base, known):
        if entry.name.startswith("."):
            continue
        if not rest:
            yield base + entry.name
        if entry.is_directory:
            yield from _at_any_depth(f"{base}{entry.name}/", rest, known)


def _fits(name: str, part: str) -> bool:
    return (part.startswith(".") or not name.startswith(".")) and fnmatch.fnmatchcase(name, part)


def _listed(directory: str, known: dict[str, list[_Entry]]) -> list[_Entry]:
    """What lies in a directory; nothing where there is none."""
    if directory not in known:
        try:
            with os.scandir(directory) as entries:
                known[directory] = [_Entry(entry.name, _is_directory(entry)) for entry in entries]
        except OSError as error:
            if error.errno not in _GONE:
                raise StorageError(f"{directory.rstrip('/')} cannot be listed: {error.strerror}") from error
            known[directory] = []
    return known[directory]


def _is_directory(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link in a circle
        return False
