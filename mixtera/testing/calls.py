"""Counts how often files are looked up by name and opened, in this process."""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

NAMED: Final = ("stat", "lstat", "open", "access", "readlink")
"""Functions of `os` that look a name up; what `pathlib`, `glob` and openers of files do ends in them."""


@contextmanager
def counted_calls(directory: Path) -> Iterator[Counter[tuple[str, str]]]:
    """Count the look-ups of names below a directory while the block runs.

    Patterns, which no file is named as, are not counted.

    Yields:
        (function, path below the directory) → calls.
    """
    calls: Counter[tuple[str, str]] = Counter()
    below = f"{directory}{os.sep}"
    plain = {name: getattr(os, name) for name in NAMED}

    def counting(name: str) -> Callable[..., object]:
        def counted_call(path: object, *rest: object, **more: object) -> object:
            text = os.fspath(path) if isinstance(path, str | os.PathLike) else ""
            if text.startswith(below) and not glob.has_magic(text):
                calls[name, text.removeprefix(below)] += 1
            return plain[name](path, *rest, **more)

        return counted_call

    for name in NAMED:
        setattr(os, name, counting(name))
    try:
        yield calls
    finally:
        for name, call in plain.items():
            setattr(os, name, call)
