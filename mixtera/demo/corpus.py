"""The demo's corpus: built once from an installation, rebuilt when what is installed has changed.

The same installation gives the same files, byte for byte: packages and paths are taken in sorted order, and where a
kind of document is above its budget the sample is chosen by a hash of the paths.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from mixtera.demo.documents import candidates, documents, within_budget
from mixtera.demo.installation import Installation
from mixtera.demo.kinds import KINDS
from mixtera.demo.writing import write
from mixtera.errors import StorageError

VERSION: Final = 2
"""Raised whenever the same installation would give another corpus."""
STAMP: Final = "corpus.json"


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a corpus was built from, and what it holds; the file `corpus.json` in its directory."""

    version: int
    requirements: tuple[str, ...]
    documents: dict[str, int]


@dataclass(frozen=True, slots=True)
class Corpus:
    """A corpus on disk: its directory, the documents per kind, and whether it was built just now."""

    directory: Path
    documents: dict[str, int]
    built: bool


def build(directory: Path, installation: Installation) -> Corpus:
    """Make the corpus in `directory`, unless it is there already and was built from the same packages.

    It is written beside its place and then moved there, so a half-built corpus is never seen.

    Raises:
        StorageError: The directory cannot be written.
    """
    requirements = installation.requirements()
    present = _read_stamp(directory)
    if present is not None and (present.version, present.requirements) == (VERSION, requirements):
        return Corpus(directory, present.documents, built=False)
    try:
        return Corpus(directory, _build(directory, installation, requirements), built=True)
    except OSError as error:
        raise StorageError(f"cannot write the demo's corpus to {directory}: {error.strerror or error}") from error


def _build(directory: Path, installation: Installation, requirements: tuple[str, ...]) -> dict[str, int]:
    partial = directory.with_name(f"{directory.name}.{os.getpid()}.tmp")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        counts = dict(_write_all(partial, installation))
        stamp = Stamp(VERSION, requirements, counts)
        (partial / STAMP).write_bytes(msgspec.json.format(msgspec.json.encode(stamp), indent=2))
        if directory.exists():
            shutil.rmtree(directory)
        partial.rename(directory)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return counts


def _write_all(directory: Path, installation: Installation) -> dict[str, int]:
    found = list(candidates(installation))
    chosen = [candidate for kind in KINDS for candidate in within_budget(found, kind)]
    return {str(kind): count for kind, count in write(directory, documents(chosen)).items()}


def _read_stamp(directory: Path) -> Stamp | None:
    try:
        return msgspec.json.decode((directory / STAMP).read_bytes(), type=Stamp)
    except (FileNotFoundError, NotADirectoryError, msgspec.DecodeError, msgspec.ValidationError):
        return None
