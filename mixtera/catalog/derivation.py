"""Pieces of work of the second kind: rows that the catalog has are written anew, with other columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

import msgspec

from mixtera.catalog.bundles import LARGEST_BUNDLE_BYTES, ScannedFile
from mixtera.catalog.columns import Column
from mixtera.catalog.derived import ComputedColumn, SidecarTable
from mixtera.catalog.model import Policy
from mixtera.contracts.format import ContentColumn, PropertyColumn
from mixtera.contracts.storage import FileInfo, StorageOptions


class BasedFile(msgspec.Struct, frozen=True):
    """A file whose rows the catalog has.

    Attributes:
        scanned: What is known of it.
        base: Path of the Parquet file that has its rows.
        alias: Its base name, where no other file of the source has that name; empty otherwise.
    """

    scanned: ScannedFile
    base: str
    alias: str = ""

    @property
    def info(self) -> FileInfo:
        """The file."""
        return self.scanned.info

    @property
    def file_id(self) -> int:
        """Its id in the catalog."""
        return self.scanned.file_id


class Derivation(msgspec.Struct, frozen=True, tag=True):
    """A piece of work for one process: the rows of some files with other columns; it crosses the border as JSON.

    Attributes:
        source: Name of the source, for messages.
        format: Name of its format.
        files: Files whose rows lie in one Parquet file of the catalog, by file id.
        keep: Columns that are copied.
        scan: Properties that are read from the files or their paths.
        sidecars: Tables that bring properties.
        tables: Files of each sidecar.
        ambiguous: Base names of several files, by which a sidecar cannot name one.
        paths: Paths of the source, for what they capture.
        computed: Properties that are computed, each after those it needs.
        content: What every sample has.
        columns: Columns of the new Parquet file, with field ids.
        policy: What to do with records that cannot be used.
        folders: Where the modules of functions lie, beside installed ones.
        directory: Where to write.
        name: File name to write under, without suffix.
        storage: What the spec says of storages.
    """

    source: str
    format: str
    files: tuple[BasedFile, ...]
    keep: tuple[str, ...]
    scan: tuple[PropertyColumn, ...]
    sidecars: tuple[SidecarTable, ...]
    tables: tuple[tuple[FileInfo, ...], ...]
    ambiguous: tuple[str, ...]
    paths: tuple[str, ...]
    computed: tuple[ComputedColumn, ...]
    content: tuple[ContentColumn, ...]
    columns: tuple[Column, ...]
    policy: Policy
    folders: tuple[str, ...]
    directory: str
    name: str
    storage: StorageOptions = ()

    @property
    def bytes(self) -> int:
        """Bytes of the files."""
        return sum(file.info.size for file in self.files)

    @property
    def needed(self) -> tuple[ContentColumn, ...]:
        """Content columns that the functions ask for."""
        names = {name for column in self.computed for name in column.columns}
        return tuple(column for column in self.content if column.name in names)


def cut(files: Sequence[BasedFile], pieces: int, smallest_bytes: int) -> Iterator[tuple[BasedFile, ...]]:
    """Cut files into pieces of about the same number of bytes, each with rows of one Parquet file, by file id."""
    total = sum(file.info.size for file in files)
    target = min(max(total // pieces, smallest_bytes, 1), LARGEST_BUNDLE_BYTES)
    ordered = sorted(files, key=lambda file: (file.base, file.file_id))
    for _, group in groupby(ordered, key=lambda file: file.base):
        piece: list[BasedFile] = []
        filled = 0
        for file in group:
            if piece and filled + file.info.size // 2 >= target:
                yield tuple(piece)
                piece, filled = [], 0
            piece.append(file)
            filled += file.info.size
        yield tuple(piece)


def base_names(names: Sequence[str]) -> tuple[Mapping[str, str], tuple[str, ...]]:
    """By which base names files can be told apart.

    Returns:
        Name → base name of each file that is the only one to have it, as name or base name; and the base names that
        are of several files and no file's name.
    """
    owners: dict[str, list[str]] = {}
    for name in names:
        owners.setdefault(name.rsplit("/", 1)[-1], []).append(name)
    whole = set(names)
    aliases = {found[0]: base for base, found in owners.items() if len(found) == 1 and base not in whole}
    return aliases, tuple(sorted(base for base, found in owners.items() if len(found) > 1 and base not in whole))
