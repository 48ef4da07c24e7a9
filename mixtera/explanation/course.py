"""The course of a mixture: where its weights change or a component leaves, and the shares between."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from mixtera.artifact.model import PlanData
from mixtera.explanation.facts import Facts, StretchFact
from mixtera.explanation.model import Begins, Span

RAMP_SPANS: Final = 4
"""Spans that a ramp is shown in."""


def leavings(data: PlanData) -> dict[int, tuple[str, ...]]:
    """Position → the components that have nothing left from there on, while others go on."""
    phases = data.timeline.phases
    if len(phases) == 1:
        return {}
    weighted = np.array([phase.weights for phase in phases]) > 0
    gone = len(phases) - np.argmax(weighted[::-1], axis=0)  # the phase after the last with a weight
    found: dict[int, list[str]] = {}
    for number, (component, index) in enumerate(zip(data.components, gone.tolist(), strict=True)):
        if index < len(phases) and phases[index].base[number] == component.places:
            found.setdefault(phases[index].first, []).append(component.name)
    return {position: tuple(names) for position, names in sorted(found.items())}


def course(data: PlanData, facts: Facts) -> tuple[Span, ...]:
    """The spans of a plan, ascending; one where nothing ever changes."""
    start = data.timeline.phases[0].first
    begins = {at: what for at, what in _begins(facts.stretches, data.timeline.total).items() if at > start}
    begins[start] = "start"
    leaving = leavings(data)
    firsts = sorted({*begins, *leaving})
    phases = _phases(data, firsts)
    ends = [*firsts[1:], data.timeline.total]
    return tuple(
        Span(first, last, begins.get(first, "leaves"), leaving.get(first, ()), _shares(data, first, last), count)
        for first, last, count in zip(firsts, ends, phases, strict=True)
    )


def _phases(data: PlanData, firsts: Sequence[int]) -> list[int]:
    """How many phases of the timeline each of some adjoining spans touches."""
    begins = np.array([phase.first for phase in data.timeline.phases], np.int64)
    first = np.searchsorted(begins, firsts, side="right") - 1
    last = np.append(np.searchsorted(begins, firsts[1:], side="left"), len(begins))
    counts: list[int] = np.maximum(1, last - first).tolist()
    return counts


def _begins(stretches: Sequence[StretchFact], total: int | None) -> dict[int, Begins]:
    """Position → what begins there: `weights`, or `ramp` for each part of one."""
    found: dict[int, Begins] = {}
    for stretch in stretches:
        length = (stretch.last or stretch.first) - stretch.first
        parts = min(RAMP_SPANS, max(1, length)) if stretch.ramp else 1
        for part in range(parts):
            found[stretch.first + length * part // parts] = "ramp" if stretch.ramp else "weights"
    return {position: what for position, what in found.items() if total is None or position < total}


def _shares(data: PlanData, first: int, last: int | None) -> Mapping[str, float]:
    """What each component holds of some positions; without an end, what it is asked to hold."""
    if last is None:
        weights = np.array(data.timeline.phases[-1].weights)
        held = weights / weights.sum()
    else:
        before, after = data.timeline.filled(np.array([first, last]))
        held = (after - before) / max(1, last - first)
    return {component.name: share for component, share in zip(data.components, held.tolist(), strict=True)}
