"""Which files of a Python installation the demo takes, and what each of them is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final, Literal, TypeAlias, get_args

Kind: TypeAlias = Literal["source", "header", "license", "documentation", "metadata"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)

BUDGET_BYTES: Final[dict[Kind, int]] = {
    "source": 120_000_000,
    "header": 40_000_000,
    "license": 10_000_000,
    "documentation": 30_000_000,
    "metadata": 5_000_000,
}
"""Most bytes of text per kind: a big installation gives a sample of its files, not all of them."""

MAXIMUM_FILE_BYTES: Final = 64_000
"""Larger files are generated tables more often than not."""


@dataclass(frozen=True, slots=True)
class Nature:
    """What a file is: its kind and the language it is written in."""

    kind: Kind
    language: str


_BY_SUFFIX: Final[dict[str, Nature]] = {
    ".py": Nature("source", "python"),
    ".pyi": Nature("source", "python"),
    ".pyx": Nature("source", "cython"),
    ".c": Nature("source", "c"),
    ".cc": Nature("source", "c++"),
    ".cpp": Nature("source", "c++"),
    ".js": Nature("source", "javascript"),
    ".f90": Nature("source", "fortran"),
    ".cmake": Nature("source", "cmake"),
    ".sh": Nature("source", "shell"),
    ".h": Nature("header", "c"),
    ".hpp": Nature("header", "c++"),
    ".hxx": Nature("header", "c++"),
    ".cuh": Nature("header", "cuda"),
    ".pxd": Nature("header", "cython"),
    ".md": Nature("documentation", "markdown"),
    ".rst": Nature("documentation", "rst"),
    ".txt": Nature("documentation", "text"),
}
_LICENSE_NAMES: Final = ("license", "licence", "copying", "notice", "copyright")
_LICENSE_SUFFIXES: Final = ("", ".txt", ".md", ".rst")


def nature_of(path: PurePosixPath) -> Nature | None:
    """What the file of that path is, or None when the demo has no use for it."""
    if path.name.lower().startswith(_LICENSE_NAMES) and path.suffix.lower() in _LICENSE_SUFFIXES:
        return Nature("license", "text")
    if any(part.endswith(".dist-info") for part in path.parts):
        return Nature("metadata", "text") if path.name == "METADATA" and len(path.parts) == 2 else None
    return _BY_SUFFIX.get(path.suffix.lower())


LANGUAGE_OF_CONTENT_TYPE: Final = {"text/markdown": "markdown", "text/x-rst": "rst", "text/plain": "text"}
"""Language of a package's long description, by its content type."""
