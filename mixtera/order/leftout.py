"""Samples that have a number but no place: what an exclusion takes out, and what an earlier plan has delivered.

They keep their number in the permutations, and are skipped when places are given out. So whatever is left out, the
others stand in the same relative order.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mixtera.mapped import Column
from mixtera.order.seats import Int64s

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class LeftOut:
    """Some of the samples, by number: those of the first entry, then those of the second, ….

    Attributes:
        bits: [⌈samples / 8⌉] uint8; sample i is left out where bit i mod 8 of byte i // 8 is set.
        count: [E] int64, how many of each entry.
    """

    bits: Column
    count: Int64s

    def holds(self, number: Int64s) -> Bools:
        """Which samples are left out.

        Args:
            number: [n] int64.

        Returns:
            [n] bool.
        """
        bit = self.bits[number >> 3] >> (number & 7).astype(np.uint8)
        left_out: Bools = (bit & np.uint8(1)).astype(np.bool_)
        return left_out

    @classmethod
    def of(cls, left_out: Bools, entry_counts: Int64s) -> LeftOut:
        """From one truth per sample.

        Args:
            left_out: [samples] bool.
            entry_counts: [E] int64, samples of each entry; at least 1.
        """
        starts = np.cumsum(entry_counts) - entry_counts
        count = np.add.reduceat(left_out, starts, dtype=np.int64) if len(starts) else np.zeros(0, np.int64)
        return cls(np.packbits(left_out, bitorder="little"), count)
