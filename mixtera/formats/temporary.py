"""Temporary files without a name: nothing of them stays behind when the process dies."""

from __future__ import annotations

import os
import tempfile
from typing import BinaryIO, Final

SPOOL_VARIABLE: Final = "MIXTERA_SPOOL"
"""Environment variable: the directory of decompressed and decoded copies, else the system's temporary directory."""


def spool_directory() -> str:
    """Where decompressed and decoded copies are kept."""
    return os.environ.get(SPOOL_VARIABLE) or tempfile.gettempdir()


def unnamed_file(directory: str) -> BinaryIO:
    """A file of this process alone, unbuffered, freed when it is closed.

    Raises:
        OSError: There is no such directory, or nothing can be written there.
    """
    return tempfile.TemporaryFile(dir=directory, buffering=0)
