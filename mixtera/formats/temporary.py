"""Where decompressed and decoded copies are kept, and temporary files without a name.

Nothing of an unnamed file stays behind when the process dies.
"""

from __future__ import annotations

import os
import re
import tempfile
from typing import BinaryIO, Final

from mixtera.errors import StorageError

SPOOL_VARIABLE: Final = "MIXTERA_SPOOL"
"""Environment variable: the directory of decompressed and decoded copies, else the system's temporary directory. Where
it is set, decompressed copies of files are shared by the processes of the machine."""
SIZE_VARIABLE: Final = "MIXTERA_SPOOL_SIZE"
"""Environment variable: bytes that the decompressed copies of files may have, such as `64GiB`."""
SPOOL_BYTES: Final = 16 << 30

_UNITS: Final = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_SIZE: Final = re.compile(r"(\d+)\s*([KMGT]?)(?:i?B)?", re.IGNORECASE)


def spool_directory() -> str:
    """Where decompressed and decoded copies are kept."""
    return os.environ.get(SPOOL_VARIABLE) or tempfile.gettempdir()


def shared_directory() -> str | None:
    """The directory whose decompressed copies the processes of this machine share; None where none is named."""
    return os.environ.get(SPOOL_VARIABLE) or None


def spool_bytes() -> int:
    """Bytes that decompressed copies may have together.

    Raises:
        StorageError: The variable is no size.
    """
    text = os.environ.get(SIZE_VARIABLE)
    if not text:
        return SPOOL_BYTES
    try:
        return size_of(text)
    except ValueError as error:
        raise StorageError(f"{SIZE_VARIABLE}={text}: {error}") from error


def size_of(text: str) -> int:
    """Bytes of a size as people write it: `500MB`, `64 GiB`, `1T` (units are powers of 1,024).

    Raises:
        ValueError: It is none.
    """
    found = _SIZE.fullmatch(text.strip())
    if found is None or not int(found[1]):
        raise ValueError(f"{text!r} is not a size: write bytes, or a number with KiB, MiB, GiB or TiB")
    return int(found[1]) * _UNITS[found[2].upper()]


def unnamed_file(directory: str) -> BinaryIO:
    """A file of this process alone, unbuffered, freed when it is closed.

    Raises:
        OSError: There is no such directory, or nothing can be written there.
    """
    return tempfile.TemporaryFile(dir=directory, buffering=0)
