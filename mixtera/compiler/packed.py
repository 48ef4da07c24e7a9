"""How tokens become positions, where samples are packed into sequences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class Packed:
    """The tokens of components, and the sequences that they fill.

    Attributes:
        stride: Tokens from one sequence to the next.
        overlap: Tokens that a sequence shares with the one before it.
        totals: [codes] tokens of each code, without what is excluded.
    """

    stride: int
    overlap: int
    totals: Sequence[int]

    def epoch(self, code: int) -> int:
        """Whole sequences of an epoch of a code."""
        return self.totals[code] // self.stride

    def places(self, code: int, epochs: float) -> int:
        """Whole sequences of some epochs; exact in the decimals of `epochs` as they are written."""
        tokens = int(self.totals[code] * Fraction(repr(epochs)))
        return max(0, (tokens - self.overlap) // self.stride)
