"""Names and numbers of files: unique names inside a source, 32-bit ids inside a catalog, safe directory names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from hashlib import blake2b
from typing import Final
from urllib.parse import quote, unquote

from mixtera.contracts.storage import FileInfo

LABELS: Final = "labels"
"""Directory of a catalog in which compilations keep labels; below it one of the name of each source."""
FILE_IDS: Final = 1 << 32
"""A file id is below this."""


def commit_name(number: int) -> str:
    """Where a commit of a catalog at a URL lies, below that."""
    return f"commits/{number:010d}.json"


def directory_name(source: str) -> str:
    """A name that is safe as a directory and as an Iceberg namespace."""
    return quote(source, safe=" ").replace(".", "%2E")


def source_name(directory: str) -> str:
    """The opposite of `directory_name`."""
    return unquote(directory)


def file_id_of(source: str, name: str) -> int:
    """The id that a file gets unless another file of the catalog has it already."""
    return int.from_bytes(blake2b(f"{source}\0{name}".encode(), digest_size=4).digest(), "big")


def assign_file_ids(
    source: str, names: Iterable[str], known: Mapping[str, int], taken: AbstractSet[int]
) -> dict[str, int]:
    """Give each file its id: the one it has, or the first free one from `file_id_of` on, in sorted order of names.

    Args:
        source: The source's name.
        names: Its files.
        known: Ids that files of the source have already.
        taken: Ids that files of other sources have.
    """
    ids = {name: known[name] for name in names if name in known}
    used = {*taken, *known.values()}
    for name in sorted(set(names) - ids.keys()):
        file_id = file_id_of(source, name)
        while file_id in used:
            file_id = (file_id + 1) % FILE_IDS
        ids[name] = file_id
        used.add(file_id)
    return ids


def same_name(files: Sequence[FileInfo]) -> tuple[FileInfo, FileInfo] | None:
    """Two files that have one name, if there are any.

    `a/x.jsonl` and `b/x.jsonl`, listed by `a/*.jsonl` and `b/*.jsonl`, are both `x.jsonl` to the storage.
    """
    seen: dict[str, FileInfo] = {}
    for file in files:
        if seen.setdefault(file.name, file) is not file:
            return seen[file.name], file
    return None
