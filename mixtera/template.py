r"""Templates: content columns → one text, `"{title}\n\n{text}"`. `{name}` is a field, `{{` and `}}` are braces."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

_PIECE: Final = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]|[^{}]+")
_NAME: Final = re.compile(r"[^\W\d][\w.-]*")


class TemplateError(ValueError):
    """A template that cannot be used; the message says why, and at which character."""


def parse(text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Literals and fields of a template; a field may come again.

    Returns:
        What stands before, between and after the fields, one more than these; and the names of the fields.

    Raises:
        TemplateError: A brace stands alone, a field is no plain name, or there is no field.
    """
    literals, fields = [""], list[str]()
    for place, piece, name in _pieces(text):
        if name is None:
            literals[-1] += piece
        elif not _NAME.fullmatch(name):
            raise TemplateError(f"character {place}: {piece} is no field; a field is the name of a column in braces")
        else:
            fields.append(name)
            literals.append("")
    if not fields:
        raise TemplateError("it has no field: every sample would be the same text; write {text}")
    return tuple(literals), tuple(fields)


def _pieces(text: str) -> Iterator[tuple[int, str, str | None]]:
    """(place from 1, piece, name of the field or None) of a template; escapes are undone."""
    for match in _PIECE.finditer(text):
        piece, place = match[0], match.start() + 1
        if piece in ("{", "}"):
            raise TemplateError(f"character {place}: {piece} stands alone; write {piece * 2} for a brace")
        yield place, piece[0] if piece in ("{{", "}}") else piece, match[1]
