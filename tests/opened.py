"""Which files this process has open. It has more than one test's: other tests' threads and servers come and go."""

from __future__ import annotations

import os
from pathlib import Path


def opened_below(directory: Path) -> list[str]:
    """The open files that lie below a directory, or lay there before they lost their names."""
    found = []
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            path = str(descriptor.readlink())
        except FileNotFoundError:  # closed by now, such as that of the list itself
            continue
        if path.startswith(f"{directory}{os.sep}"):
            found.append(path)
    return found
