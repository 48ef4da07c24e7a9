"""Seats: which component stands at which position, exactly, at any position (order version 2).

The two lightest components of a mixture are put together, then again the two lightest of what there is, until one is
left (Huffman, 1952). So the mixture is *split* in two, and each side again, down to the components. Of the first n
seats of a split the lighter side, whose part of the weight is p, has ⌊n·p + ½⌋, the heavier one the others. The seats
of a component among the first t positions follow from t by a few such roundings; they never shrink, and no state is
kept.

Why every prefix is within 2 samples of the exact share, for any weights and any number of components: a split adds at
most ½ to what its side inherits, and a side inherits its part of the error above. Let a node of weight x lie beside
one of weight y, and both together beside one of weight z. When x and y were put together, nothing was lighter, so z is
at least as heavy as either; the node has x / (x + y + z) ≤ ½ of what is two splits above. Hence the error is at most
½ · (1 + 1) · (1 + ½ + ¼ + …) = 2. (Looked at more closely, ½ of the sum of the inverse Fibonacci numbers: 1.68.)

Only integers are used, and nothing is rounded before the end: weights are the doubles that they are, as whole numbers
of a common power of two, and p is ⌈p · 2⁶⁴⌉ / 2⁶⁴, too large by less than 2⁻⁶⁴. For whole weights of the sum N the rule
is kept exactly as long as n · N < 2⁶³; and at t = N, below 2⁶³, each component has had exactly its weight: n · p is a
whole number there, and n / 2⁶⁴ too small to change that. So a natural mixture delivers every sample once, and a phase
whose weights are counts ends on these counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from mixtera.cached import cached_property

Int64s = npt.NDArray[np.int64]
UInt64s = npt.NDArray[np.uint64]
Float64s = npt.NDArray[np.float64]

BLOCK_CELLS: Final = 1 << 20
"""Totals × components that are worked on at a time: bounds the memory of `Splits.seats`."""
WITHIN: Final = 2
"""Samples that a component may be away from its exact share, at any prefix."""
_WHOLE: Final = 64
"""A part of 1 is 2 to this."""
_WORD: Final = np.uint64(32)
_LOW: Final = np.uint64((1 << 32) - 1)
_SMALL: Final = np.uint64(1 << 32)
_HALF: Final = np.uint64(1 << 63)
_HALF_WORD: Final = np.uint64(1 << 31)


@dataclass(frozen=True, eq=False)
class Splits:
    """How a mixture is split down to its components.

    Attributes:
        sides: [S, 2] int64, the lighter and the heavier side of each split: the number of a split, or ~c for component
            c. The last split is the whole mixture.
        parts: [S] uint64, the lighter side's part of the weight, in 2⁻⁶⁴.
        size: Components, those without weight too.
        only: The component, where there is no split.
    """

    sides: Int64s
    parts: UInt64s
    size: int
    only: int

    @classmethod
    def of(cls, weights: Float64s) -> Splits:
        """The splits of some weights.

        Args:
            weights: [K] float64, any scale; not negative, at least one positive; those of weight 0 get no seats.
        """
        active = np.flatnonzero(weights > 0)
        sides, parts = _put_together(_whole(weights[active]), (~active).tolist())
        return cls(np.array(sides, np.int64).reshape(-1, 2), np.array(parts, np.uint64), len(weights), int(active[0]))

    @property
    def root(self) -> int:
        """The whole mixture, as `sides` has it."""
        return len(self.parts) - 1 if len(self.parts) else ~self.only

    def seats(self, totals: Int64s) -> Int64s:
        """Seats of each component among the first t positions, for many t.

        Args:
            totals: [G] int64, values of t, not negative.

        Returns:
            [G, K] int64; each row sums to its t.
        """
        rows = max(1, BLOCK_CELLS // self.size)
        blocks = [self._seats(totals[first : first + rows]) for first in range(0, len(totals), rows)]
        return np.concatenate([np.empty((0, self.size), np.int64), *blocks])

    def _seats(self, totals: Int64s) -> Int64s:
        result = np.zeros((self.size, len(totals)), np.uint64)
        held = np.empty((len(self.parts), len(totals)), np.uint64)
        (held if self.root >= 0 else result)[max(self.root, ~self.root)] = totals
        for level in self._levels:
            given = held[level]
            lighter = _given(given, self.parts[level, None])
            for sides, seats in zip(self.sides[level].T, (lighter, given - lighter), strict=True):
                inner = sides >= 0
                held[sides[inner]], result[~sides[~inner]] = seats[inner], seats[~inner]
        return result.T.astype(np.int64)

    def components(self, starts: Int64s, stops: Int64s) -> Int64s:
        """Component of each position of ranges [start, stop), concatenated."""
        positions = ranges(starts, stops)
        return components([self], np.zeros(len(positions), np.int64), positions)

    @cached_property
    def _levels(self) -> Sequence[Int64s]:
        """The splits, those nearer to the whole first."""
        found = list[Int64s]()
        level = np.array([self.root])
        while len(level := level[level >= 0]):
            found.append(level)
            level = self.sides[level].ravel()
        return found

    def position(self, component: int, seat: int) -> int:
        """The position of a component's seat with this number, from 0: the inverse of `components`."""
        node = ~component
        while node != self.root:
            split = int(self._above[node])
            part, half = int(self.parts[split]), (2 * seat + 1) << (_WHOLE - 1)
            lighter = self.sides[split, 0] == node
            seat = -(-half // part) - 1 if lighter else half // ((1 << _WHOLE) - part)
            node = split
        return seat

    @cached_property
    def _above(self) -> Int64s:
        """[S + K] the split that each split, and (counted from the end) each component, is a side of."""
        above = np.full(len(self.parts) + self.size, -1)
        above[self.sides] = np.arange(len(self.parts))[:, None]
        return above


def components(splits: Sequence[Splits], which: Int64s, positions: Int64s) -> Int64s:
    """Component of each of some positions: the way down to it from the whole.

    Args:
        splits: The splits of some phases.
        which: [n] int64, the phase of each position, an index into `splits`.
        positions: [n] int64, each counted from the beginning of its phase.

    Returns:
        [n] int64.
    """
    sides, parts, roots = _joined(splits)
    result = np.empty(len(positions), np.int64)
    node, seat, at = roots[which], positions.astype(np.uint64), np.arange(len(positions))
    while len(at):
        arrived = node < 0
        if arrived.any():
            result[at[arrived]] = ~node[arrived]
            inside = np.flatnonzero(~arrived)
            node, seat, at = node[inside], seat[inside], at[inside]
        part = parts[node]
        before = _given(seat, part)
        lighter = seat * part + _HALF + part < part  # modulo 2⁶⁴: whether the next seat is rounded up
        node = sides[2 * node + 1 - lighter]
        seat = np.where(lighter, before, seat - before)
    return result


def _joined(splits: Sequence[Splits]) -> tuple[Int64s, UInt64s, Int64s]:
    """Sides (flat) and parts of all, renumbered, and the whole of each."""
    first = np.cumsum([0, *(len(one.parts) for one in splits)]).tolist()
    sides = [np.where(one.sides >= 0, one.sides + at, one.sides) for one, at in zip(splits, first, strict=False)]
    roots = [one.root + (at if one.root >= 0 else 0) for one, at in zip(splits, first, strict=False)]
    return np.concatenate(sides).ravel(), np.concatenate([one.parts for one in splits]), np.array(roots)


def ranges(starts: Int64s, stops: Int64s) -> Int64s:
    """The positions of ranges [start, stop), concatenated."""
    lengths = stops - starts
    before = np.cumsum(lengths) - lengths
    result: Int64s = np.repeat(starts - before, lengths) + np.arange(int(lengths.sum()))
    return result


def _given(seats: UInt64s, part: UInt64s) -> UInt64s:
    """⌊seats · part / 2⁶⁴ + ½⌋, exactly, of seats below 2⁶³ and parts up to 2⁶³."""
    high, low = part >> _WORD, part & _LOW
    if not seats.size or seats.max() < _SMALL:
        small: UInt64s = (seats * high + (seats * low >> _WORD) + _HALF_WORD) >> _WORD
        return small
    above, below = seats >> _WORD, seats & _LOW
    middle = below * high + (below * low >> _WORD) + above * low + _HALF_WORD
    result: UInt64s = above * high + (middle >> _WORD)
    return result


def _put_together(weights: Sequence[int], names: Sequence[int]) -> tuple[list[int], list[int]]:
    """The sides of all splits, one after the other, and their parts: two queues, since sums never get lighter."""
    order = sorted(range(len(weights)), key=weights.__getitem__)
    singles, single_names = [weights[n] for n in order], [names[n] for n in order]
    sums: list[int] = []
    lights: list[int] = []
    sides: list[int] = []
    single = pair = 0
    for number in range(len(weights) - 1):
        both = light = 0
        for _ in range(2):
            # Of equal weights, what was made first: a component before a sum.
            if single < len(weights) and (pair == number or singles[single] <= sums[pair]):
                weight = singles[single]
                sides.append(single_names[single])
                single += 1
            else:
                weight = sums[pair]
                sides.append(pair)
                pair += 1
            light, both = light or weight, both + weight
        sums.append(both)
        lights.append(light)
    return sides, [-((-light << _WHOLE) // both) for light, both in zip(lights, sums, strict=True)]


def _whole(weights: Float64s) -> list[int]:
    """Positive doubles times a common power of two: whole numbers, nothing rounded."""
    mantissa, exponent = np.frexp(weights)
    digits = np.ldexp(mantissa, 53).astype(np.int64)
    shifts = exponent - exponent.min()
    return [digit << shift for digit, shift in zip(digits.tolist(), shifts.tolist(), strict=True)]
