"""The timeline: phases of constant weights, and the end (DESIGN 2.4.5).

Positions, seats and places are int64 throughout. Everything is a pure function of the phases.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Final

import numpy as np

from mixtera.order import seats
from mixtera.order.seats import Float64s, Int64s

CELLS_ALONE: Final = 4096
"""Ranges × components of a phase that are worked on by themselves; fewer, together with those of other phases."""


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

    @cached_property
    def _weights(self) -> Float64s:
        return np.array([phase.weights for phase in self.phases], np.float64)

    @cached_property
    def _bases(self) -> Int64s:
        return np.array([phase.base for phase in self.phases], np.int64)

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
        if len(totals) and phase_of.min() == phase_of.max():
            return self.phases[int(phase_of[0])].filled(totals)
        return self._bases[phase_of] + seats.seats(totals - self._firsts[phase_of], self._weights[phase_of])

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
        if len(starts) * len(self.phases[first].weights) >= CELLS_ALONE * (last - first + 1):
            bounds = np.searchsorted(phase_of, np.arange(first, last + 2))
            parts = [(first + n, slice(a, b)) for n, (a, b) in enumerate(pairwise(bounds.tolist())) if a < b]
            return np.concatenate([self.phases[n].components(starts[part], stops[part]) for n, part in parts])
        before = self._firsts[phase_of]
        return seats.components_of_phases(starts - before, stops - before, self._weights[phase_of], phase_of)
