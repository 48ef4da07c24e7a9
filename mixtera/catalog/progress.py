"""Progress of an indexing run, on stderr and only there."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from mixtera.catalog.scan import Advance


@contextmanager
def shown(source: str, total_bytes: int, wanted: bool) -> Iterator[Advance]:
    """Show a bar with bytes and rows per second while the block runs, if `wanted` and stderr is a terminal."""
    if not (wanted and total_bytes and sys.stderr.isatty()):
        yield lambda bytes_, rows: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("[bold]{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TextColumn("{task.fields[rows]:,} rows, {task.fields[speed]:,.0f}/s"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(source, total=total_bytes, rows=0, speed=0.0)
        rows_read = 0

        def advance(bytes_: int, rows: int) -> None:
            nonlocal rows_read
            rows_read += rows
            speed = rows_read / max(bar.tasks[task].elapsed or 0.0, 0.001)
            bar.update(task, advance=bytes_, rows=rows_read, speed=speed)

        yield advance


def say(message: str) -> None:
    """Write a line on stderr."""
    print(message, file=sys.stderr)
