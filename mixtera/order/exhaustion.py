"""Exhaustion: where components run out, computed ahead as phases and an end (DESIGN 2.4.5–6)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mixtera.order.timeline import Phase, Timeline


def timeline(weights: Sequence[float], places: Sequence[int | None], on_exhaust: Sequence[str]) -> Timeline:
    """The phases of static weights over components of limited size.

    Args:
        weights: One positive weight per component, any scale.
        places: How often each component can be chosen; None for no limit.
        on_exhaust: What each does once a seat of it cannot be filled: `redistribute` takes it out and the others keep
            their relative weights; anything else ends the stream before that seat.

    Returns:
        A timeline; `total` is None when no limited component ends it.
    """
    remaining = list(weights)
    phases: list[Phase] = []
    first, end, base = 0, 0, (0,) * len(weights)
    while any(remaining):
        phase = Phase(first, tuple(remaining), base)
        found = _end(phase, places)
        if found is None:
            return Timeline((*phases, phase), None)
        end = found
        filled = phase.filled(np.array([end, end + 1]))
        out = [c for c, limit in enumerate(places) if limit is not None and filled[1, c] > limit]
        if end > first:
            phases.append(phase)
        if any(on_exhaust[c] != "redistribute" for c in out):
            break
        for c in out:
            remaining[c] = 0.0
        first, base = end, tuple(int(n) for n in filled[0])
    return Timeline(tuple(phases) or (Phase(0, tuple(weights), base),), end)


def _end(phase: Phase, places: Sequence[int | None]) -> int | None:
    """The largest position of the phase whose seats all exist; None if there is no such."""
    limited = [c for c, limit in enumerate(places) if limit is not None and phase.weights[c] > 0]
    if not limited:
        return None
    limits = np.array([places[c] for c in limited], np.int64)

    def fits(position: int) -> bool:
        return bool((phase.filled(np.array([position]))[0, limited] <= limits).all())

    width = 1
    while fits(phase.first + width):
        width *= 2
    low, high = phase.first + width // 2, phase.first + width  # fits(low) and not fits(high)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low
