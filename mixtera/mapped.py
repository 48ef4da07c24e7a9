"""Arrays that are mapped from files, and larger than what a process should hold."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from typing import Any, Final, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

Index: TypeAlias = "slice | npt.NDArray[np.int64]"
"""A part of a column, or the numbers of some of its values."""

STEP_BYTES: Final = 16 << 20
"""Bytes of a long array that are worked on at a time."""


class Column(Protocol):
    """Values by number: a numpy array of one dimension, or what gives parts of a longer one as such arrays."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values."""

    @property
    def nbytes(self) -> int:
        """Bytes of all values."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: Index, /) -> npt.NDArray[Any]: ...


def forget(*arrays: npt.NDArray[Any]) -> None:
    """Let go of the memory in which some arrays were read or written; what they hold stays in their files.

    Arrays that are not mapped are left alone. A mapped page counts as memory of the process until then, and a limit
    on a job's memory may count it too.
    """
    for array in arrays:
        base: object = array
        while isinstance(base, (np.ndarray, memoryview)):
            base = base.base if isinstance(base, np.ndarray) else base.obj
        if isinstance(base, mmap.mmap):
            base.madvise(mmap.MADV_DONTNEED)


def steps(values: Column) -> Iterator[npt.NDArray[Any]]:
    """A long array in consecutive parts; each is forgotten when the next is asked for."""
    size = max(1, STEP_BYTES // values.dtype.itemsize)
    for first in range(0, len(values), size):
        part = values[first : first + size]
        yield part
        forget(part)


def fill(values: npt.NDArray[Any], value: object) -> None:
    """Fill a long array with one value."""
    for part in steps(values):
        part.fill(value)
