"""Which directories lie on Lustre: by the table of mounts, which asks no server, and not by `statfs`, which does."""

from __future__ import annotations

import os
import re
from functools import lru_cache
from pathlib import Path
from typing import Final

TABLE: Final = "/proc/self/mountinfo"
KIND: Final = "lustre"
_ESCAPED: Final = re.compile(r"\\([0-7]{3})")


@lru_cache(4096)
def lies_on_lustre(directory: str, table: str = TABLE) -> bool:
    """Whether a directory, an absolute path, lies on a Lustre file system; links are followed.

    Where no Lustre is mounted, which is nearly everywhere, nothing but the table is read.
    """
    mounts = _mounts(table)
    if KIND not in mounts.values():
        return False
    path = os.path.realpath(directory)
    points = [point for point in mounts if path == point or path.startswith(point.rstrip("/") + "/")]
    return bool(points) and mounts[max(points, key=len)] == KIND


def _mounts(table: str) -> dict[str, str]:
    """Mount point → kind of file system; of several on one point, the last hides the others."""
    try:
        lines = Path(table).read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:  # not Linux, or a /proc that is not to be seen
        return {}
    found = {}
    for line in lines:
        fields, mark, rest = line.partition(" - ")
        if mark and len(words := fields.split(" ")) > 4:
            found[_ESCAPED.sub(lambda match: chr(int(match[1], 8)), words[4])] = rest.split(" ", 1)[0]
    return found
