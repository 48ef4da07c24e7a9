"""The split by hash: which samples are held out, whatever the mixture.

A sample is held out where a hash of the salt and of its identity falls into the fraction: its file's name below the
pattern and its row, or the value of a property. Neither depends on the mixture, on other files or on the machine, so
the two sides of a split never meet.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from fractions import Fraction
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mixtera.arrow import from_numpy
from mixtera.compiler.files import FileIndex, Int64s
from mixtera.compiler.rows import Rows
from mixtera.order.keys import UInt64s, key_of, keys, text_keys
from mixtera.spec.model import Holdout

Bools: TypeAlias = npt.NDArray[np.bool_]

_ALL: Final = 1 << 64


class Split:
    """One side of a split."""

    def __init__(self, holdout: Holdout, index: FileIndex, sources: Sequence[str]) -> None:
        """Prepare a split.

        Args:
            holdout: What the spec says.
            index: The files.
            sources: Names of the sources.
        """
        self._first, self._sources = index.first, sources
        self._limit = np.uint64(min(_ALL - 1, int(Fraction(repr(holdout.fraction)) * _ALL)))
        self._by, self._wanted = holdout.by, holdout.part == "holdout"
        self._salt = _text_key(holdout.salt)
        names = index.table.column("name").to_pylist()
        self._file_keys = np.array([key_of(int(self._salt), int(_text_key(name))) for name in names], np.uint64)

    def kept(self, source: int, rows: Rows) -> Bools:
        """Which of some rows of a source are on this side."""
        hashed = self._row_keys(rows.number)
        if self._by == "dataset":
            hashed = np.full(len(hashed), self._value_keys(pa.array([self._sources[source]]))[0])
        elif self._by is not None and self._by in rows.groups.schema.names:
            values = rows.groups.column(self._by)
            known = values.is_valid().to_numpy(zero_copy_only=False)
            hashed[known] = self._value_keys(values.filter(from_numpy(known.view(np.uint8)).cast(pa.bool_())))
        held_out: Bools = hashed < self._limit
        kept: Bools = held_out == self._wanted
        return kept

    def _row_keys(self, number: Int64s) -> UInt64s:
        file = np.searchsorted(self._first, number, side="right") - 1
        return keys(self._file_keys[file], number - self._first[file])

    def _value_keys(self, values: pa.Array) -> UInt64s:
        if pa.types.is_string(values.type):
            _, offsets, data = values.buffers()
            edges = np.frombuffer(offsets, np.int32)[values.offset : values.offset + len(values) + 1].astype(np.int64)
            return text_keys(self._salt, edges, np.frombuffer(data or b"", np.uint8))
        return keys(self._salt, _integers(values))


def _integers(values: pa.Array) -> Int64s:
    """Values that are no text as integers, equal where they are equal."""
    if pa.types.is_floating(values.type):
        bits: Int64s = (values.to_numpy(zero_copy_only=False) + 0.0).view(np.int64)  # −0.0 is 0.0
        return bits
    if pa.types.is_date(values.type):
        values = values.cast(pa.int32())
    found: Int64s = values.cast(pa.int64()).to_numpy(zero_copy_only=False)
    return found


def _text_key(text: str) -> np.uint64:
    return np.uint64(int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little"))
