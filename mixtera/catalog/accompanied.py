"""Files that lie beside others and say where the samples are in them: part of what is noticed when it changes."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from mixtera.contracts.format import Accompanied
from mixtera.contracts.storage import FileInfo, Storage
from mixtera.errors import MissingError
from mixtera.registry import format_named


def with_beside(format_: str, storage: Storage, patterns: Sequence[str], files: Sequence[FileInfo]) -> list[FileInfo]:
    """Files with the marks of those beside them, where their format has such; by one more listing, not a look at each.

    Args:
        format_: Name of the format.
        storage: Where the files lie.
        patterns: Those that they were listed by.
        files: The files. Those that lack the file beside them are left as they are: their scan says what is missing.
    """
    plugin = format_named(format_)
    if not isinstance(plugin, Accompanied):
        return list(files)
    found: dict[str, FileInfo] = {}
    places = {file.url: place for file in files if (place := plugin.beside(file.url)) is not None}
    if places:
        wanted = [place for pattern in patterns if (place := plugin.beside(pattern)) is not None]
        found = {file.url: file for file in _listed(storage, wanted)}
    for place in set(places.values()) - found.keys():  # a pattern that does not say the suffix, such as `data/*`
        with suppress(MissingError):
            found[place] = storage.stat(place)
    return [
        replace(file, beside=found[places[file.url]].mark) if places.get(file.url) in found else file for file in files
    ]


def _listed(storage: Storage, patterns: Sequence[str]) -> list[FileInfo]:
    try:
        return storage.expand(patterns) if patterns else []
    except MissingError:
        found: list[FileInfo] = []
        for pattern in patterns if len(patterns) > 1 else ():
            found += _listed(storage, [pattern])
        return found
