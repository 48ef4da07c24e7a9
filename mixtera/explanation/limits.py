"""Limits: what ends the run, and what would move its end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from mixtera.artifact.model import PlanComponent, PlanData
from mixtera.explanation.facts import Facts
from mixtera.explanation.forecast import Change, Limit
from mixtera.explanation.model import End, Part
from mixtera.order.exhaustion import timeline

Length: TypeAlias = tuple[int | None, int | None]
"""Positions and unseen samples; None where they are not worked out."""
_UNKNOWN: Length = (None, None)


def limit_of(data: PlanData, facts: Facts, end: End, parts: Sequence[Part]) -> Limit:
    """What limits the run.

    Args:
        data: The plan.
        facts: What the compiler wrote down.
        end: How its stream ends.
        parts: Its components, without groups.
    """
    if end.kind == "endless":
        return Limit("none", (), ())
    if end.kind == "budget":
        return Limit("budget", (), ())
    if end.kind == "complete":
        return Limit("supply", (), ())
    first = next((number for number, part in enumerate(parts) if part.full_name in end.components), None)
    changes = () if first is None else tuple(_changes(_Mixture.of(data, facts), first, parts[first]))
    return Limit("component", end.components, changes)


def _changes(mixture: _Mixture, number: int, part: Part) -> Iterator[Change]:
    """What would move the end: another epoch of the limiting component, a smaller weight, its share to the others."""
    component, name = mixture.components[number], part.full_name
    epochs = int(part.max_epochs or 1) + 1
    yield Change(
        "max_epochs", name, float(epochs), *mixture.length(number, replace(component, places=part.samples * epochs))
    )
    if len(mixture.components) == 1:
        return
    alone, _ = mixture.length(number, component, share=0.0)
    if alone is not None and component.places:
        share = component.places / (alone + component.places)
        yield Change("weight", name, share, *mixture.length(number, component, share=share))
    if component.on_exhaust != "redistribute":
        leaving = replace(component, on_exhaust="redistribute")
        yield Change("redistribute", name, None, *mixture.length(number, leaving))


@dataclass(frozen=True)
class _Mixture:
    """A mixture whose length can be worked out anew; `weights` is None where its weights are not all there is to it.

    Attributes:
        components: In the order of the plan.
        weights: One per component.
    """

    components: tuple[PlanComponent, ...]
    weights: tuple[float, ...] | None

    @classmethod
    def of(cls, data: PlanData, facts: Facts) -> _Mixture:
        first = data.timeline.phases[0]
        over_time = len(data.timeline.phases) > 1 or len(facts.stretches) > 1 or facts.budget is not None
        begun = data.begins is not None or bool(first.first) or any(first.base) or not all(first.weights)
        return cls(data.components, None if over_time or begun else first.weights)

    def length(self, number: int, component: PlanComponent, share: float | None = None) -> Length:
        """The stream with one component in place of another.

        Args:
            number: Which.
            component: The one in its place.
            share: Its share; by default that of its weight, 0 leaves it out.
        """
        if self.weights is None:
            return _UNKNOWN
        parts, weights = list(self.components), list(self.weights)
        parts[number] = component
        if share is not None:
            others = sum(weights) - weights[number]
            weights[number] = others * share / (1 - share)
        # What leaves a group goes to its siblings first, and a list of weights knows of no groups.
        if any(part.on_exhaust == "redistribute" for part in parts) and any("/" in part.name for part in parts):
            return _UNKNOWN
        if not weights[number]:
            del parts[number], weights[number]
        found = timeline(weights, [part.places for part in parts], [part.on_exhaust for part in parts])
        if found.total is None:
            return _UNKNOWN
        held = found.filled(np.array([found.total]))[0].tolist()
        return found.total, sum(max(0, part.samples - seats) for part, seats in zip(parts, held, strict=True))
