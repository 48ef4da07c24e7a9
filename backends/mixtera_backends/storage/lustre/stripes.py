"""How wide the stripes of a file are: asked of `lfs`, once per directory."""

from __future__ import annotations

import math
import os
import shutil
from typing import Final

DEFAULT_BYTES: Final = 1 << 20
"""Lustre's own default."""
LEAST_BYTES: Final = 64 << 10
"""Lustre's stripes are multiples of it."""
LARGEST_UNIT_BYTES: Final = 4 << 20
"""What one request to a server carries at most: wider stripes are read in parts of them."""
TIMEOUT_SECONDS: Final = 5.0


class Stripes:
    """The stripes of the directories that this process has read from."""

    def __init__(self, given: int | None = None, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        """Use a width that is given for all files, or ask `lfs` for each directory."""
        self._given = given
        self._timeout = timeout_seconds
        self._known: dict[str, int] = {}
        self._answers = True

    def unit(self, path: str) -> int:
        """Bytes of an aligned read of a file: a stripe, or the largest part of one that a request carries."""
        return math.gcd(self._width(path), LARGEST_UNIT_BYTES)

    def _width(self, path: str) -> int:
        if self._given is not None:
            return self._given
        directory = os.path.dirname(path)  # noqa: PTH120 - called for every file that is opened
        if directory not in self._known:
            self._known[directory] = self._asked(path) or DEFAULT_BYTES
        return self._known[directory]

    def _asked(self, path: str) -> int | None:
        """What `lfs` says; None where it says nothing of use. One that does not answer is not asked again."""
        lfs = shutil.which("lfs") if self._answers else None
        if lfs is None:
            return None
        import subprocess  # 5 ms, which other file systems have no use for

        command = [lfs, "getstripe", "--stripe-size", path]
        try:
            said = subprocess.run(command, capture_output=True, text=True, timeout=self._timeout, check=True).stdout
        except subprocess.TimeoutExpired:
            self._answers = False
            return None
        except (OSError, subprocess.CalledProcessError):
            return None
        widths = [int(word) for word in said.split() if word.isascii() and word.isdecimal()]
        return widths[-1] if widths and widths[-1] > 0 and widths[-1] % LEAST_BYTES == 0 else None
