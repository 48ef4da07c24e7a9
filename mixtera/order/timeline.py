"""The timeline: phases of constant weights, and the end (DESIGN 2.4.5).

Positions, seats and places are int64 throughout. Everything is a pure function of the phases.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Protocol

import numpy as np

from mixtera.cached import cached_property
from mixtera.order import seats
from mixtera.order.blocks import BlockedSeats, Blocks
from mixtera.order.seats import Int64s, Splits
from mixtera.order.webster import Webster

ORDER_VERSION: Final = 2
"""The order of new plans. Version 1, which has other seats, can be read."""


class Seats(Protocol):
    """Which component stands at which position, counted from 0, under weights that do not change."""

    def seats(self, totals: Int64s) -> Int64s:
        """[G, K] seats of each component among the first t positions, for each of `totals` [G]."""

    def components(self, starts: Int64s, stops: Int64s) -> Int64s:
        """Component of each position of ascending, disjoint ranges [start, stop), concatenated."""

    def position(self, component: int, seat: int) -> int:
        """The position of a component's seat with this number, from 0."""


@dataclass(frozen=True)
class Phase:
    """Constant weights from a position on.

    Attributes:
        first: First position of the phase.
        weights: One weight per component, any scale, zero for those that have no seat in it.
        base: Seats of each component before the phase.
        order_version: Version of the order: what the seats are.
        blocks: How positions lie in blocks of one kind, of which the phase's first position begins one; None: they do
            not.
    """

    first: int
    weights: tuple[float, ...]
    base: tuple[int, ...]
    order_version: int = ORDER_VERSION
    blocks: Blocks | None = None

    @cached_property
    def seats(self) -> Seats:
        """The seats, counted from the phase's first position, without those before it."""
        weights = np.array(self.weights, np.float64)
        if self.blocks is not None:
            return BlockedSeats(self.blocks, weights)
        return Webster(weights) if self.order_version == 1 else Splits.of(weights)

    def filled(self, totals: Int64s) -> Int64s:
        """[G, K] seats of each component before the positions `totals` [G], which lie in this phase or end it."""
        return self.seats.seats(totals - self.first) + np.array(self.base, np.int64)

    def components(self, starts: Int64s, stops: Int64s) -> Int64s:
        """Component of each position of ascending ranges that lie in this phase."""
        return self.seats.components(starts - self.first, stops - self.first)

    def position(self, component: int, seat: int) -> int:
        """Where the phase, if it went on, would have a component's seat with this number, those before it counted."""
        return self.first + self.seats.position(component, seat - self.base[component])


@dataclass(frozen=True)
class Timeline:
    """Phases in ascending order of `first` (the first at 0), and the total number of positions (None: no end)."""

    phases: tuple[Phase, ...]
    total: int | None

    @cached_property
    def _firsts(self) -> Int64s:
        return np.array([phase.first for phase in self.phases], np.int64)

    @property
    def order_version(self) -> int:
        """Version of the order, which is that of all phases."""
        return self.phases[0].order_version if self.phases else ORDER_VERSION

    def _phase_of(self, positions: Int64s) -> Int64s:
        found: Int64s = np.searchsorted(self._firsts, positions, side="right") - 1
        return found

    def filled(self, totals: Int64s) -> Int64s:
        """Seats of each component before each of some positions.

        Args:
            totals: [G] int64, positions; those behind the end count as the end.

        Returns:
            [G, K] int64; row sums are the (clipped) totals.
        """
        totals = totals if self.total is None else np.minimum(totals, self.total)
        phase_of = self._phase_of(totals)
        result = np.empty((len(totals), len(self.phases[0].weights)), np.int64)
        order = np.argsort(phase_of, kind="stable")
        cuts = np.flatnonzero(np.diff(phase_of[order])) + 1
        for rows in np.split(order, cuts):
            if len(rows):
                result[rows] = self.phases[int(phase_of[rows[0]])].filled(totals[rows])
        return result

    def components(self, starts: Int64s, stops: Int64s) -> Int64s:
        """Component of each position of ascending, disjoint ranges [start, stop) before the end, concatenated."""
        first, last = (int(i) for i in self._phase_of(np.array([starts[0], stops[-1] - 1])))
        if first == last:
            return self.phases[first].components(starts, stops)
        cuts = self._firsts[first + 1 : last + 1]
        inside = np.searchsorted(starts, cuts, side="left") - 1  # the last range that begins before the cut
        cuts = cuts[cuts < stops[inside]]
        starts, stops = np.sort(np.concatenate([starts, cuts])), np.sort(np.concatenate([stops, cuts]))
        phase_of = self._phase_of(starts)
        held = [phase.seats for phase in self.phases[first : last + 1]]
        splits = [one for one in held if isinstance(one, Splits)]
        if len(splits) == len(held):
            before = self._firsts[phase_of]
            which = np.repeat(phase_of - first, stops - starts)
            return seats.components(splits, which, seats.ranges(starts - before, stops - before))
        bounds = np.searchsorted(phase_of, np.arange(first, last + 2))
        parts = [(first + n, slice(a, b)) for n, (a, b) in enumerate(pairwise(bounds.tolist())) if a < b]
        return np.concatenate([self.phases[n].components(starts[part], stops[part]) for n, part in parts])
