"""From the columns that metadata list to content and properties of a source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from mixtera.contracts.properties import LIST_TYPES
from mixtera.importers.model import DraftProperty
from mixtera.importers.naming import Names, property_name

_CONTENT: Final = ("text", "content", "body", "code", "document", "raw_content")
_FACTS: Final = {
    "category",
    "domain",
    "dump",
    "kind",
    "label",
    "lang",
    "language",
    "license",
    "licence",
    "source",
    "split",
    "subset",
    "topic",
    "type",
}
"""Columns of texts that are facts of a sample; other texts may be long, and a catalog holds no payload."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a dataset: its name, the dotted path of it, and the type of a property (None: it can be none)."""

    name: str
    path: str
    type: str | None


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a source takes of some columns.

    Attributes:
        content: The field that training reads.
        certain: Whether its name tells so, or there is no other; otherwise it was guessed.
        texts: Names of the columns of text.
        properties: The other columns as properties.
    """

    content: str
    certain: bool
    texts: tuple[str, ...]
    properties: tuple[DraftProperty, ...]


def choose(columns: Sequence[Column], wanted: str | None) -> Chosen | None:
    """Choose content and properties; None where no column holds text.

    Args:
        columns: All columns.
        wanted: The path that the user wants as content.
    """
    texts = [column for column in columns if column.type == "string"]
    named = [c for name in _CONTENT for c in texts if c.name.rsplit(".", 1)[-1].casefold() == name]
    if wanted is not None:
        content, certain = wanted, True
    elif named or texts:
        content, certain = (named or texts)[0].path, bool(named) or len(texts) == 1
    else:
        return None
    names = Names("_")
    return Chosen(
        content,
        certain,
        tuple(column.path for column in texts),
        tuple(
            DraftProperty(names.new(property_name(c.name)), c.path, c.type, not _is_fact(c))
            for c in columns
            if c.type is not None and c.path != content
        ),
    )


def _is_fact(column: Column) -> bool:
    last = column.name.rsplit(".", 1)[-1].casefold()
    return last in _FACTS if column.type == "string" else column.type not in LIST_TYPES
