"""The timeline: phases of constant weights, and the end (DESIGN 2.4.5).

Positions, seats and places are int64 throughout. Everything is a pure function of the phases.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


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


@dataclass(frozen=True)
class Timeline:
    """Phases in ascending order of `first` (the first at 0), and the total number of positions (None: no end)."""

    phases: tuple[Phase, ...]
    total: int | None
