"""How tokens become positions, where samples are packed into sequences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class Packed:
    """The tokens of components, and the sequences or rows that they fill.

    Attributes:
        stride: Tokens from one sequence to the next.
        overlap: Tokens that a sequence shares with the one before it.
        totals: [codes] tokens of each code, without what is excluded.
        rows: [codes] rows of an epoch, where whole documents are fitted into rows; None where they are concatenated.
    """

    stride: int
    overlap: int
    totals: Sequence[int]
    rows: Sequence[int] | None = None

    def epoch(self, code: int) -> int:
        """Whole sequences of an epoch of a code."""
        return self.totals[code] // self.stride if self.rows is None else self.rows[code]

    def places(self, code: int, epochs: float) -> int:
        """Whole sequences of some epochs; exact in the decimals of `epochs` as they are written."""
        if self.rows is not None:
            return int(self.rows[code] * Fraction(repr(epochs)))
        tokens = int(self.totals[code] * Fraction(repr(epochs)))
        return max(0, (tokens - self.overlap) // self.stride)

    def of_a_sample(self, code: int, samples: int) -> float:
        """What a sample of a code takes on average, in any scale."""
        whole = self.totals[code] if self.rows is None else self.rows[code]
        return whole / samples if samples else 0.0
