"""The fenced blocks of a Markdown page that its test runs.

A block is run when the first line of its fence says `run` (```` ```bash run ````, ```` ```python run ````), and written
to a file when it says `file=NAME`. All other blocks are only shown.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

FENCE = re.compile(r"^```(?P<language>\w+) (?P<words>[^\n]+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A block: its language, the file it is written to (or None, then it is run), its text, its first line."""

    language: str
    file: str | None
    text: str
    line: int


def blocks(page: Path) -> list[Block]:
    """The blocks of a page that are run or written, in their order."""
    text = page.read_text(encoding="utf-8")
    found = []
    for match in FENCE.finditer(text):
        words = match["words"].split()
        file = next((word.removeprefix("file=") for word in words if word.startswith("file=")), None)
        if file is not None or "run" in words:
            line = text.count("\n", 0, match.start()) + 1
            found.append(Block(match["language"], file, match["text"], line))
    return found
