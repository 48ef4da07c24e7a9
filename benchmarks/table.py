"""The table of figures: on the terminal, as Markdown, as JSON."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from rich.console import Console
from rich.table import Table

HEADERS = ("figure", "measured", "reference of the same run", "ratio", "asked", "met")


@dataclass(frozen=True)
class Row:
    """One figure.

    Attributes:
        figure: What was measured.
        measured: The figure, with its unit.
        reference: The physical reference, with its unit; empty where there is none.
        ratio: Measured ÷ reference, or None.
        asked: What it must reach.
        met: Whether it does; None where nothing is asked.
    """

    figure: str
    measured: str
    reference: str
    ratio: float | None
    asked: str
    met: bool | None

    def cells(self) -> tuple[str, ...]:
        """The row as text."""
        ratio = "" if self.ratio is None else f"{self.ratio:.2f}"
        met = "" if self.met is None else ("yes" if self.met else "NO")
        return self.figure, self.measured, self.reference, ratio, self.asked, met


def show(rows: Sequence[Row]) -> None:
    """Print the table."""
    table = Table(*HEADERS)
    for row in rows:
        table.add_row(*row.cells())
    Console(width=None if sys.stdout.isatty() else 150).print(table)


def markdown(rows: Sequence[Row], facts: dict[str, str], command: str, notes: str) -> str:
    """The page `RESULTS.md`."""
    head = "\n".join(f"- {name}: {value}" for name, value in facts.items())
    lines = [HEADERS, ("---",) * len(HEADERS), *(row.cells() for row in rows)]
    table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    return f"# Benchmark results\n\n{head}\n- command: `{command}`\n\n{table}\n\n{notes}"


def as_json(rows: Sequence[Row], facts: dict[str, str]) -> dict[str, object]:
    """The same for programs."""
    return {**facts, "figures": [asdict(row) for row in rows]}


def rate_text(samples_per_second: float) -> str:
    """A rate for people."""
    if samples_per_second >= 1_000_000:
        return f"{samples_per_second / 1_000_000:.2f} M/s"
    return f"{samples_per_second / 1000:.0f} k/s"


def size_text(size: float) -> str:
    """A size for people."""
    return f"{size / 1_000_000:.0f} MB"
