"""Aligned columns of text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

WIDTH: Final = 100
"""Columns that no line goes beyond, if it can."""
_GAP: Final = "  "


def table(rows: Sequence[Sequence[str]], left: int = 1) -> list[str]:
    """Lines of aligned columns; the first row is the head. Columns that are empty below the head are left out.

    Args:
        rows: Equally long rows.
        left: How many columns, from the first, are aligned to the left; the others to the right.
    """
    filled = [c for c in range(len(rows[0])) if any(row[c] for row in rows[1:])]
    widths = {c: max(len(row[c]) for row in rows) for c in filled}
    return [
        _GAP.join(row[c].ljust(widths[c]) if c < left else row[c].rjust(widths[c]) for c in filled).rstrip()
        for row in rows
    ]


def clipped(text: str, width: int) -> str:
    """A text cut in its middle, so that both ends stay readable."""
    if len(text) <= width:
        return text
    head = (width - 1) // 2
    return f"{text[:head]}…{text[len(text) - (width - 1 - head) :]}"


def wrapped(text: str, first: str, rest: str) -> list[str]:
    """Lines of at most WIDTH columns; `first` stands before the first, `rest` before the others."""
    lines, line = [], first
    for word in text.split(" "):
        if len(line) + len(word) > WIDTH and line.strip() not in ("", first.strip()):
            lines.append(line.rstrip())
            line = rest
        line += word + " "
    return [*lines, line.rstrip()]
