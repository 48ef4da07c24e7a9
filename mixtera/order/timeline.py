"""The timeline: phases of constant weights, and the end (DESIGN 2.4.5).

Positions, seats and places are int64 throughout. Everything is a pure function of the phases.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mixtera.order import seats
from mixtera.order.seats import Float64s, Int64s


@dataclass(frozen=True)
class Phase:
    """Constant weights from a position on.

    Attributes:
        first: First position of the phase.
        weights: One weight per component, any scale, zero for those that have no seat in it.
        base: Seats of each component before the phase.
    """

    first: int
    weights: tuple[float, ...]
    base: tuple[int, ...]

    @cached_property
    def _active(self) -> tuple[Int64s, Float64s]:
        weights = np.array(self.weights, np.float64)
        active = np.flatnonzero(weights > 0)
        return active, weights[active]

    def filled(self, totals: Int64s) -> Int64s:
        """[G, K] seats of each component before the positions `totals` [G], which lie in this phase or end it."""
        active, weights = self._active
        result = np.tile(np.array(self.base, np.int64), (len(totals), 1))
        result[:, active] += seats.seats(totals - self.first, weights)
        return result

    def components(self, starts: Int64s, stops: Int64s) -> Int64s:
        """Component of each position of ascending ranges that lie in this phase."""
        active, weights = self._active
        return active[seats.components(starts - self.first, stops - self.first, weights)]


@dataclass(frozen=True)
class Timeline:
    """Phases in ascending order of `first` (the first at 0), and the total number of positions (None: no end)."""

    phases: tuple[Phase, ...]
    total: int | None

    @cached_property
    def _firsts(self) -> Int64s:
        return np.array([phase.first for phase in self.phases], np.int64)

    def filled(self, totals: Int64s) -> Int64s:
        """Seats of each component before each of some positions.

        Args:
            totals: [G] int64, positions; those behind the end count as the end.

        Returns:
            [G, K] int64; row sums are the (clipped) totals.
        """
        totals = totals if self.total is None else np.minimum(totals, self.total)
        phase_of = np.searchsorted(self._firsts, totals, side="right") - 1
        result = np.empty((len(totals), len(self.phases[0].weights)), np.int64)
        for index in np.unique(phase_of):
            mine = phase_of == index
            result[mine] = self.phases[index].filled(totals[mine])
        return result

    def components(self, starts: Int64s, stops: Int64s) -> Int64s:
        """Component of each position of ascending, disjoint ranges [start, stop) before the end, concatenated."""
        first, last = (int(i) - 1 for i in np.searchsorted(self._firsts, [starts[0], stops[-1] - 1], side="right"))
        if first == last:
            return self.phases[first].components(starts, stops)
        bounds = np.append(self._firsts, np.iinfo(np.int64).max)
        parts: list[Int64s] = []
        for index in range(first, last + 1):
            low, high = np.maximum(starts, bounds[index]), np.minimum(stops, bounds[index + 1])
            mine = low < high
            if mine.any():
                parts.append(self.phases[index].components(low[mine], high[mine]))
        joined: Int64s = np.concatenate(parts)
        return joined
