"""Seats of order version 1: Webster's method (Sainte-Laguë). Plans of that version are read with it.

Seat i of component c (i = 0, 1, …) has the key ((2i + 1) / w_c, c); position t holds the t-th seat in the order of the
keys. So the seats of c among the first t positions are the Webster apportionment of t seats by the weights w
(Balinski & Young, "Fair Representation", 1982): monotone in t, and near to the exact share at every t as long as the
seats of components come at different times. Those of many of one weight do not: a large component beside 40 of them
is 14 samples off (docs/decisions/0012).

Only integers and correctly rounded double divisions are used, so the result is the same on every machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from mixtera.cached import cached_property
from mixtera.order.seats import Float64s, Int64s

BLOCK_CELLS: Final = 1 << 20
"""Totals × components that are worked on at a time: bounds the memory of `seats`."""


@dataclass(frozen=True, eq=False)
class Webster:
    """The seats of some weights.

    Attributes:
        weights: [K] float64, any scale; not negative, at least one positive; those of weight 0 get no seats.
    """

    weights: Float64s

    @cached_property
    def _active(self) -> tuple[Int64s, Float64s]:
        active = np.flatnonzero(self.weights > 0)
        return active, self.weights[active]

    def seats(self, totals: Int64s) -> Int64s:
        """[G, K] seats of each component among the first t positions, for each of `totals` [G]."""
        active, weights = self._active
        result = np.zeros((len(totals), len(self.weights)), np.int64)
        result[:, active] = seats(totals, weights)
        return result

    def components(self, starts: Int64s, stops: Int64s) -> Int64s:
        """Component of each position of ascending, disjoint ranges [start, stop), concatenated."""
        active, weights = self._active
        return active[components(starts, stops, weights)]

    def position(self, component: int, seat: int) -> int:
        """The position of a component's seat with this number, from 0: the inverse of `components`."""
        active, weights = self._active
        own = np.searchsorted(active, [component])
        return int(ranks(own, np.array([seat]), weights)[0])


def seats(totals: Int64s, weights: Float64s) -> Int64s:
    """Seats of each component among the first t positions, for many t.

    Args:
        totals: [G] int64, values of t, not negative.
        weights: [K] float64, all positive, any scale.

    Returns:
        [G, K] int64; each row sums to its t and is the first t elements of the order of the keys.
    """
    rows = max(1, BLOCK_CELLS // len(weights))
    blocks = [_apportion(totals[first : first + rows], weights) for first in range(0, len(totals), rows)]
    return np.concatenate([np.empty((0, len(weights)), np.int64), *blocks])


def _apportion(totals: Int64s, weights: Float64s) -> Int64s:
    shares = weights / weights.sum()
    filled: Int64s = np.floor(totals[:, None] * shares + 0.5).astype(np.int64)
    _give_missing(filled, totals, weights)
    _take_surplus(filled, totals, weights)
    _exchange(filled, weights)
    return filled


def _give_missing(filled: Int64s, totals: Int64s, weights: Float64s) -> None:
    """Give each row that has too few seats one more at its smallest free keys, until none has."""
    while True:
        missing = totals - filled.sum(axis=1)
        short = np.flatnonzero(missing > 0)
        if not len(short):
            return
        keys = (2 * filled[short] + 1) / weights
        _change(filled, short, np.argsort(keys, axis=1, kind="stable"), missing[short], 1)


def _take_surplus(filled: Int64s, totals: Int64s, weights: Float64s) -> None:
    """Take one seat at the largest taken keys from each row that has too many, until none has."""
    while True:
        surplus = filled.sum(axis=1) - totals
        long = np.flatnonzero(surplus > 0)
        if not len(long):
            return
        taken = filled[long]
        keys = np.where(taken > 0, (2 * taken - 1) / weights, -1.0)
        ranked = np.argsort(keys, axis=1, kind="stable")[:, ::-1]
        held = (taken > 0).sum(axis=1)
        _change(filled, long, ranked, np.minimum(surplus[long], held), -1)


def _change(filled: Int64s, rows: Int64s, ranked: Int64s, amounts: Int64s, step: int) -> None:
    """Add `step` to the first `amounts` components of `ranked` in each of the rows."""
    chosen = np.arange(ranked.shape[1]) < amounts[:, None]
    row, column = np.nonzero(chosen)
    filled[rows[row], ranked[row, column]] += step


def _exchange(filled: Int64s, weights: Float64s) -> None:
    """Move seats until the largest taken key stands before the smallest free one in every row: this makes it exact."""
    active = np.arange(len(filled))
    last = len(weights) - 1
    while len(active):
        now = filled[active]
        taken = np.where(now > 0, (2 * now - 1) / weights, -np.inf)
        free = (2 * now + 1) / weights
        giver = last - np.argmax(taken[:, ::-1], axis=1)  # of equal keys, the component that comes last
        taker = np.argmin(free, axis=1)  # of equal keys, the component that comes first
        rows = np.arange(len(active))
        largest, smallest = taken[rows, giver], free[rows, taker]
        wrong = (largest > smallest) | ((largest == smallest) & (giver > taker))
        active, giver, taker = active[wrong], giver[wrong], taker[wrong]
        filled[active, giver] -= 1
        filled[active, taker] += 1


def components(starts: Int64s, stops: Int64s, weights: Float64s) -> Int64s:
    """Component of each position of some ranges.

    The keys of a later range are never smaller than those of an earlier one, so one stable sort serves all ranges.

    Args:
        starts: [R] int64, first position of each range; ranges ascend and do not overlap.
        stops: [R] int64, position after each range.
        weights: [K] float64, all positive.

    Returns:
        [sum of lengths] int64, in ascending order of the positions.
    """
    low, high = seats(starts, weights).T, seats(stops, weights).T
    counts = (high - low).ravel()
    component = np.repeat(np.arange(len(weights)), (high - low).sum(axis=1))
    before = np.cumsum(counts) - counts
    seat = np.repeat(low.ravel() - before, counts) + np.arange(len(component))
    keys = (2 * seat + 1) / weights[component]
    return component[np.argsort(keys, kind="stable")]


def ranks(own: Int64s, seat: Int64s, weights: Float64s) -> Int64s:
    """The position of some seats: how many seats of all components stand before each.

    Args:
        own: [n] int64, the component of each seat.
        seat: [n] int64, the number of each seat in its component, from 0.
        weights: [K] float64, all positive.

    Returns:
        [n] int64; the inverse of `components`.
    """
    rows = max(1, BLOCK_CELLS // len(weights))
    blocks = [_ranks(own[i : i + rows], seat[i : i + rows], weights) for i in range(0, len(own), rows)]
    return np.concatenate([np.empty(0, np.int64), *blocks])


def _ranks(own: Int64s, seat: Int64s, weights: Float64s) -> Int64s:
    key = ((2 * seat + 1) / weights[own])[:, None]
    earlier_wins = np.arange(len(weights)) < own[:, None]
    count = np.maximum(np.floor((key * weights + 1) / 2), 0).astype(np.int64)

    def stands(index: Int64s) -> npt.NDArray[np.bool_]:
        other = (2 * index + 1) / weights
        before: npt.NDArray[np.bool_] = (other < key) | ((other == key) & earlier_wins)
        return before

    while (more := stands(count)).any():
        count += more
    while (less := (count > 0) & ~stands(count - 1)).any():
        count -= less
    total: Int64s = count.sum(axis=1)
    return total
