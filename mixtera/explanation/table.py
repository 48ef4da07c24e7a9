"""Aligned columns of text."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

WIDTH: Final = 100
"""Columns that no line goes beyond, if it can."""
_GAP: Final = "  "
_GLUE: Final = "\u00a0"
_GLUED: Final = re.compile(r"`[^`]*`| [%×]")
_LEAST: Final = 12
"""Columns that the first cell keeps in any case."""


def table(rows: Sequence[Sequence[str]], left: int = 1, width: int = WIDTH) -> list[str]:
    """Lines of aligned columns; the first row is the head. Columns that are empty below the head are left out.

    Args:
        rows: Equally long rows.
        left: How many columns, from the first, are aligned to the left; the others to the right.
        width: Columns of text that a line may take; the cells of the first column are cut to fit.
    """
    filled = [c for c in range(len(rows[0])) if c == 0 or any(row[c] for row in rows[1:])]
    widths = {c: max(len(row[c]) for row in rows) for c in filled}
    others = sum(len(_GAP) + widths[c] for c in filled[1:])
    widths[0] = min(widths[0], max(_LEAST, width - others))
    return [_line([clipped(row[0], widths[0]), *row[1:]], widths, left) for row in rows]


def _line(row: Sequence[str], widths: Mapping[int, int], left: int) -> str:
    cells = (row[c].ljust(width) if c < left else row[c].rjust(width) for c, width in widths.items())
    return _GAP.join(cells).rstrip()


def clipped(text: str, width: int) -> str:
    """A text cut in its middle, so that both ends stay readable."""
    if len(text) <= width:
        return text
    head = (width - 1) // 2
    return f"{text[:head]}…{text[len(text) - (width - 1 - head) :]}"


def wrapped(text: str, first: str, rest: str) -> list[str]:
    """Lines of at most WIDTH columns; `first` stands before the first, `rest` before the others.

    What is written in backticks, and a number and its sign, stay on one line.
    """
    lines, line = [], first
    for word in _GLUED.sub(lambda found: found[0].replace(" ", _GLUE), text).split(" "):
        if len(line) + len(word) > WIDTH and line.strip() not in ("", first.strip()):
            lines.append(line)
            line = rest
        line += word + " "
    return [line.replace(_GLUE, " ").rstrip() for line in (*lines, line)]
