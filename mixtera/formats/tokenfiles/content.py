"""What a document of a token file has: its tokens, and how many they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from mixtera.contracts.format import ContentColumn, PropertyColumn
from mixtera.contracts.properties import PropertyType
from mixtera.contracts.storage import FileInfo
from mixtera.errors import SampleError

TOKENS: Final = "tokens"
"""The content, and as a property the number of tokens."""

_NUMBERS: Final = ("int64", "float64")


def check_content(content: Sequence[ContentColumn], file: FileInfo) -> None:
    """Check that the content asked for is the tokens.

    Raises:
        SampleError: It is not.
    """
    for column in content:
        if column.path != TOKENS:
            raise SampleError(
                f"{file.url}: no content {column.path!r}: what a file of token ids holds is called {TOKENS!r}; write "
                f"`content: {{{column.name}: {TOKENS}}}`"
            )


def check_properties(properties: Sequence[PropertyColumn], known: Sequence[str], file: FileInfo) -> None:
    """Check that the properties that a file has are asked for as numbers.

    Raises:
        SampleError: One is not.
    """
    for column in properties:
        if column.path in known and column.type not in _NUMBERS:
            raise SampleError(
                f"{file.url}: property {column.name!r} ({column.path}) is declared as {column.type}, and it is a whole "
                f"number: write type {_NUMBERS[0]}"
            )


def infer(paths: Mapping[str, str], known: Sequence[str]) -> dict[str, PropertyType | None]:
    """The types of properties: those that a file has are numbers."""
    return {name: "int64" if path in known else None for name, path in paths.items()}
