"""Files of an installation → documents with real properties."""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from email.parser import HeaderParser
from pathlib import PurePosixPath

from mixtera.demo.installation import Installation, InstalledFile, Package
from mixtera.demo.kinds import (
    BUDGET_BYTES,
    LANGUAGE_OF_CONTENT_TYPE,
    MAXIMUM_FILE_BYTES,
    Kind,
    Nature,
    nature_of,
)


@dataclass(frozen=True, slots=True)
class Document:
    """One record of the corpus.

    Attributes:
        text: The text.
        path: Path inside the installation, the package's root left out.
        kind: What it is.
        language: What it is written in.
        package: The package it came with.
        license: That package's license, or None when it does not say.
        topics: What that package is about.
        bytes: Size of the text in UTF-8.
        year: Year of the file's last change.
    """

    text: str
    path: str
    kind: Kind
    language: str
    package: str
    license: str | None
    topics: tuple[str, ...]
    bytes: int
    year: int


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file that may become a document."""

    package: Package
    file: InstalledFile
    nature: Nature
    size: int
    year: int


def candidates(installation: Installation) -> Iterator[Candidate]:
    """Every file of a useful kind and size, by package and name."""
    for package in installation.packages():
        for file in package.files:
            nature = nature_of(file.name)
            if nature is not None and (found := _candidate(package, file, nature)):
                yield found


def _candidate(package: Package, file: InstalledFile, nature: Nature) -> Candidate | None:
    try:
        status = file.path.stat()
    except OSError:  # listed by the package, removed since
        return None
    if not 0 < status.st_size <= MAXIMUM_FILE_BYTES:
        return None
    year = datetime.datetime.fromtimestamp(status.st_mtime, datetime.UTC).year
    return Candidate(package, file, nature, status.st_size, year)


def within_budget(found: list[Candidate], kind: Kind) -> list[Candidate]:
    """The candidates of a kind that fit its budget: all, or a sample by hash of the path, in their old order."""
    of_kind = [candidate for candidate in found if candidate.nature.kind == kind]
    chosen, total = set(), 0
    for candidate in sorted(of_kind, key=_hash):
        total += candidate.size
        if total > BUDGET_BYTES[kind]:
            break
        chosen.add(candidate.file.path)
    return [candidate for candidate in of_kind if candidate.file.path in chosen]


def _hash(candidate: Candidate) -> bytes:
    return hashlib.blake2b(f"{candidate.package.name}/{candidate.file.name}".encode(), digest_size=8).digest()


def documents(chosen: list[Candidate]) -> Iterator[Document]:
    """Read the files. Those that are no UTF-8 text, or empty, give nothing; metadata also gives a description."""
    for candidate in chosen:
        text = _read(candidate)
        if not text.strip():
            continue
        if candidate.nature.kind == "metadata":
            yield from _metadata(candidate, text)
        else:
            yield _document(candidate, text, candidate.nature, candidate.file.name)


def _read(candidate: Candidate) -> str:
    """The text of a file; empty for one that is no text, or that this user may not read."""
    try:
        return candidate.file.path.read_bytes().decode("utf-8").replace("\x00", "")
    except (UnicodeDecodeError, OSError):
        return ""


def _metadata(candidate: Candidate, text: str) -> Iterator[Document]:
    """A package's metadata is two documents: its fields, and the long description it carries."""
    message = HeaderParser().parsestr(text)
    name = candidate.file.name
    fields = "".join(f"{field}: {value}\n" for field, value in message.items())
    yield _document(candidate, fields, candidate.nature, name)
    description = str(message.get_payload()).strip()
    if description:
        content_type = str(message.get("Description-Content-Type") or "").partition(";")[0]
        nature = Nature("documentation", LANGUAGE_OF_CONTENT_TYPE.get(content_type, "text"))
        yield _document(candidate, description, nature, name.with_name("DESCRIPTION"))


def _document(candidate: Candidate, text: str, nature: Nature, name: PurePosixPath) -> Document:
    package = candidate.package
    return Document(
        text=text,
        path=name.as_posix(),
        kind=nature.kind,
        language=nature.language,
        package=package.name,
        license=package.license,
        topics=package.topics,
        bytes=len(text.encode()),
        year=candidate.year,
    )
