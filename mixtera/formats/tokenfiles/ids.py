"""Token ids as they are stored, and as they are delivered: 32-bit integers."""

from __future__ import annotations

from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

Int32s: TypeAlias = npt.NDArray[np.int32]
Bytes: TypeAlias = npt.NDArray[np.uint8]
TokenType: TypeAlias = "np.dtype[np.integer[npt.NBitBase]]"

NAMES: Final = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64")
"""Types that token ids may be stored in."""

DELIVERED: Final = np.dtype("<i4")
_LIMITS: Final = np.iinfo(np.int32)


def token_type(name: str) -> TokenType:
    """The type of that name, little-endian, as all of these files are."""
    return np.dtype(name).newbyteorder("<")


def is_narrow(kind: TokenType) -> bool:
    """Whether each value of a type is one that is delivered."""
    return np.can_cast(kind, np.int32)


def out_of_range(values: npt.NDArray[np.integer[npt.NBitBase]]) -> int | None:
    """The place of the first id that 32 bits do not hold; None if there is none."""
    if is_narrow(values.dtype) or not len(values):
        return None
    if int(values.max()) <= _LIMITS.max and int(values.min()) >= _LIMITS.min:
        return None
    return int(np.flatnonzero((values > _LIMITS.max) | (values < _LIMITS.min))[0])
