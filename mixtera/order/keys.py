"""Keyed hashes: splitmix64 (Steele, Lea & Flood, OOPSLA 2014), vectorised, the same on every machine and numpy.

numpy's own generators do not promise their streams over versions; these few lines do.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

UInt64s = npt.NDArray[np.uint64]

_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)
_FIRST: Final = np.uint64(0xBF58476D1CE4E5B9)
_SECOND: Final = np.uint64(0x94D049BB133111EB)
_MASK: Final = (1 << 64) - 1


def mix(values: UInt64s) -> UInt64s:
    """The splitmix64 finaliser of each value plus the golden gamma; a bijection of 64-bit integers.

    Args:
        values: [n] uint64.

    Returns:
        [n] uint64.
    """
    z = values + _GOLDEN
    z = (z ^ (z >> np.uint64(30))) * _FIRST
    z = (z ^ (z >> np.uint64(27))) * _SECOND
    return z ^ (z >> np.uint64(31))


def key_of(*parts: int) -> np.uint64:
    """One key from some integers: each is mixed into the key of those before it."""
    key = np.zeros(1, np.uint64)
    for part in parts:
        key = mix(key ^ np.uint64(part & _MASK))
    return np.uint64(key[0])


def keys(key: np.uint64 | UInt64s, indices: npt.NDArray[np.int64]) -> UInt64s:
    """The key of each index under a common key: a bijection of the indices.

    Args:
        key: What they have in common; one for all, or [n] uint64.
        indices: [n] int64, not negative.

    Returns:
        [n] uint64.
    """
    return mix(mix(indices.astype(np.uint64)) ^ key)


def text_keys(key: np.uint64, offsets: npt.NDArray[np.int64], data: npt.NDArray[np.uint8]) -> UInt64s:
    """The keys of some texts under a common key, of their bytes eight at a time.

    Args:
        key: What they have in common.
        offsets: [n + 1] int64, where each text begins in `data`, and where the last one ends.
        data: Their bytes.

    Returns:
        [n] uint64; the same text has the same key wherever it stands.
    """
    starts, lengths = offsets[:-1], np.diff(offsets)
    result = keys(key, lengths)
    padded = np.concatenate([data, np.zeros(8, np.uint8)])
    active = np.flatnonzero(lengths > 0)
    word = 0
    while len(active):
        at = starts[active] + 8 * word
        left = np.minimum(lengths[active] - 8 * word, 8)
        value = np.zeros(len(active), np.uint64)
        for byte in range(8):
            found = padded[at + np.minimum(byte, left)].astype(np.uint64) << np.uint64(8 * byte)
            value |= np.where(byte < left, found, np.uint64(0))
        result[active] = mix(result[active] ^ value)
        word += 1
        active = active[lengths[active] > 8 * word]
    return result
