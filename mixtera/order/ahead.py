"""Phases planned ahead: seats that follow weights which change over time.

Each phase apportions anew, so the rounding of many short phases could add up. It does not: at the end of every phase
the seats are the rounded *integral* of the shares since the last component ran out. A phase of given length and counts
is one whose weights are these counts: at its end exactly they have been given.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from mixtera.order.blocks import Blocks, in_blocks
from mixtera.order.seats import Float64s, Int64s
from mixtera.order.shares import Group, Shares, Stretch, stretches
from mixtera.order.timeline import ORDER_VERSION, Phase

PIECE_CELLS: Final = 1 << 18
"""Pieces × components of a ramp at most."""
MOST_PIECES: Final = 1 << 14
"""Pieces of a ramp at most."""
NEARLY_ONE: Final = 0.999
"""Seats that the weights as asked may end away from what is owed: where that is a whole number, not at all."""
_GAUSS: Final = (0.5 - math.sqrt(3) / 6, 0.5 + math.sqrt(3) / 6)
"""Where a piece is looked at: the mean of the shares there is their mean over the piece, exact for cubics."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A phase, the position that ends it (None: it has no end), and the seats of each component there (none: ())."""

    phase: Phase
    last: int | None
    after: tuple[int, ...] = ()


def run(
    mixture: Group,
    first: int,
    base: Sequence[int],
    left: Sequence[bool],
    end: int | None,
    blocks: Blocks | None = None,
) -> Iterator[Planned]:
    """The phases from a position on, as long as no component runs out.

    Args:
        mixture: The weights.
        first: Position that they start at.
        base: Seats of each component before it.
        left: Which components have something to give.
        end: Position after the last; None for no end.
        blocks: How positions lie in blocks of one kind; all phases begin one.

    Yields:
        Phases in order. They end at `end`, or where no component that is left has a weight any more.
    """
    parts = _pieces(stretches(mixture), first, end, len(left), 1 if blocks is None else blocks.size)
    over_time = Shares(mixture, left)
    asked = ((piece, _mean(over_time, piece)) for piece in parts)
    held = np.array(base, np.int64)
    exact = held.astype(np.float64)
    waiting: list[Stretch] = []
    for piece, weights in asked:
        waiting.append(piece)
        if not any(weights):
            continue  # nothing that is left has a weight here: the next weights hold already
        for part in waiting:
            if part.last is None:
                yield Planned(Phase(part.first, tuple(weights), tuple(held.tolist()), ORDER_VERSION, blocks), None)
                return
            length = part.last - part.first
            exact += _exact(weights, length)
            phase, held = _phase(part, weights, held, exact - held, blocks, is_last=part.last == end)
            yield Planned(phase, part.last, tuple(held.tolist()))
        waiting = []


def _phase(
    part: Stretch, weights: Sequence[float], held: Int64s, owed: Float64s, blocks: Blocks | None, *, is_last: bool
) -> tuple[Phase, Int64s]:
    """A phase that ends with what is owed, rounded, and the seats after it.

    Where the weights as they were asked for end within one seat of what is owed, they are kept; in blocks also where
    nothing comes after it, which may be in the middle of a block.
    """
    phase = Phase(part.first, tuple(weights), tuple(held.tolist()), ORDER_VERSION, blocks)
    assert part.last is not None
    length = part.last - part.first
    if not part.ramp or (blocks is not None and is_last):
        after = phase.filled(np.array([part.last]))[0]
        if np.abs(after - held - owed).max() < NEARLY_ONE or (blocks is not None and is_last):
            return phase, after
    if blocks is None:
        counts = rounded(owed, np.array(weights) > 0, length)
    else:
        counts = in_blocks(owed, weights, length, blocks, rounded)
    as_counts = tuple(counts.astype(np.float64).tolist())
    return Phase(part.first, as_counts, phase.base, ORDER_VERSION, blocks), held + counts


def _pieces(parts: Sequence[Stretch], first: int, end: int | None, components: int, block: int) -> Iterator[Stretch]:
    """Stretches from a position on up to the end, ramps cut into pieces of whole blocks."""
    for part in parts:
        last = part.last if end is None else end if part.last is None else min(part.last, end)
        if last is not None and last <= max(first, part.first):
            continue
        if not part.ramp or part.last is None:
            yield Stretch(max(first, part.first), last, False)
            continue
        bounds = _bounds(part.first, part.last, components, block)
        for low, high in pairwise(bounds):
            piece = Stretch(max(low, first), high if end is None else min(high, end), True)
            if piece.first < (piece.last or 0):
                yield piece


def _bounds(first: int, last: int, components: int, block: int) -> list[int]:
    """Where the pieces of a ramp begin, and the end.

    Inside a piece of h positions the integral bends away from a straight line by at most h² / 8 times the steepest
    change of a share; with √n / 2 pieces that is half a sample for a linear ramp from 0 to 1 over n positions.
    """
    length = last - first
    most = max(1, min(MOST_PIECES, PIECE_CELLS // components, length))
    count = min(most, math.isqrt(length) // 2 + 1)
    return [first + length * number // count // block * block for number in range(count)] + [last]


def _mean(over_time: Shares, piece: Stretch) -> Sequence[float]:
    """The mean share of each component over a stretch."""
    if not piece.ramp or piece.last is None:
        return over_time.at(piece.first)
    length = piece.last - piece.first
    low, high = (_exact(over_time.at(piece.first + length * place), 1) for place in _GAUSS)
    mean: list[float] = ((low + high) / 2).tolist()
    return mean


def _exact(weights: Sequence[float], length: int) -> Float64s:
    """Exact shares of some positions."""
    total = math.fsum(weights)
    return np.array(weights) / total * length if total else np.zeros(len(weights))


def rounded(owed: Float64s, active: np.ndarray[tuple[int], np.dtype[np.bool_]], total: int) -> Int64s:
    """Whole numbers as near to some others as can be.

    Args:
        owed: [K] what each should get; may be negative.
        active: [K] which of them may get anything; at least one.
        total: The sum of the result.

    Returns:
        [K] int64, not negative.
    """
    given = np.where(active, np.maximum(np.floor(owed), 0), 0).astype(np.int64)
    while (missing := total - int(given.sum())) != 0:
        step = 1 if missing > 0 else -1
        may = np.flatnonzero(active if step > 0 else given > 0)
        order = np.argsort(-step * (owed - given)[may], kind="stable")
        given[may[order[: abs(missing)]]] += step
    return given
