"""The mixture of a side as a tree, and how each side ends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from math import fsum

import numpy as np

from mixtera.artifact.model import PlanData
from mixtera.comparison.model import End, Part, Stage
from mixtera.comparison.side import Side
from mixtera.explanation.course import course
from mixtera.explanation.facts import Facts, facts_of
from mixtera.explanation.mixture import end_of
from mixtera.explanation.model import Span
from mixtera.explanation.when import first_positions
from mixtera.lockfile.difference import Change


def parts(before: Side, after: Side, renamed: Mapping[str, str]) -> tuple[Change[Part], ...]:
    """The components and groups of both sides, outer before inner; a renamed one has its new name on both."""
    old, new = _tree(before, renamed), _tree(after, {})
    if before.data is None or after.data is None:  # a lock does not know what is delivered, nor weights as written
        old, new = ({name: _known(part) for name, part in side.items()} for side in (old, new))
    return tuple(Change(name, old.get(name), new.get(name)) for name in _merged(list(old), list(new)))


def _known(part: Part) -> Part:
    return replace(part, weight=None, delivered=None)


def _merged(old: list[str], new: list[str]) -> list[str]:
    """Names of both, in the order of the new side; those that are gone stand behind what was before them."""
    found = list(new)
    known = set(new)
    for number, name in enumerate(old):
        if name not in known:
            place = found.index(old[number - 1]) + 1 if number else 0
            found.insert(place, name)
            known.add(name)
    return found


def _tree(side: Side, renamed: Mapping[str, str]) -> dict[str, Part]:
    components = side.lock.body.components
    whole = fsum(component.weight for component in components) or 1.0
    weights = {} if side.data is None else facts_of(side.data.facts).weights
    delivered: Sequence[int | None] = _delivered(side.data) or [None] * len(components)
    found: dict[str, Part] = {}
    for component, count in zip(components, delivered, strict=True):
        leaf = Part(
            weights.get(component.name),
            component.weight / whole,
            component.samples,
            count,
            component.places,
            component.on_exhaust,
        )
        for name in _outer(component.name):
            found[name] = _with(found.get(name), leaf, weights.get(name))
        found[renamed.get(component.name, component.name)] = leaf
    return found


def _outer(name: str) -> Iterator[str]:
    """The groups that a component lies in."""
    levels = name.split("/")[:-1]
    return ("/".join(levels[: depth + 1]) for depth in range(len(levels)))


def _with(group: Part | None, leaf: Part, weight: float | None) -> Part:
    if group is None:
        return Part(weight, leaf.share, leaf.samples, leaf.delivered, None, None)
    known = group.delivered is not None and leaf.delivered is not None
    delivered = (group.delivered or 0) + (leaf.delivered or 0) if known else None
    return Part(weight, group.share + leaf.share, group.samples + leaf.samples, delivered, None, None)


def _delivered(data: PlanData | None) -> list[int]:
    if data is None or data.timeline.total is None:
        return []
    counts: list[int] = data.timeline.filled(np.array([data.timeline.total]))[0].tolist()
    return counts


def stages(before: PlanData, after: PlanData, renamed: Mapping[str, str]) -> tuple[Stage, ...]:
    """The shares of both sides wherever those of either change; empty where they never do."""
    spans = [tuple(_moved(course(data, facts_of(data.facts)), data.first)) for data in (before, after)]
    if all(len(side) == 1 for side in spans):
        return ()
    firsts = sorted({span.first for side in spans for span in side})
    return tuple(Stage(first, _shares(spans[0], first, renamed), _shares(spans[1], first, {})) for first in firsts)


def _moved(spans: tuple[Span, ...], first: int) -> Iterator[Span]:
    """Spans in positions of the run."""
    for span in spans:
        last = None if span.last is None else span.last + first
        yield replace(span, first=span.first + first, last=last)


def _shares(spans: tuple[Span, ...], position: int, renamed: Mapping[str, str]) -> Mapping[str, float] | None:
    for span in spans:
        if span.first <= position and (span.last is None or position < span.last):
            return {renamed.get(name, name): share for name, share in span.shares.items()}
    return None


def end(side: Side) -> End:
    """How a side ends, as far as it knows."""
    data = side.data
    if data is None:
        return End(side.lock.body.positions, None, (), None, None, None)
    found = end_of(data, facts_of(data.facts))
    component, position = _first_exhausted(data)
    return End(data.end, found.kind, found.components, found.unseen, component, position)


def _first_exhausted(data: PlanData) -> tuple[str | None, int | None]:
    """The component that has given its last place first, and the position after that."""
    places = [component.places for component in data.components]
    seats = np.array([max(1, place or 1) for place in places], np.int64)
    reached = first_positions(data.timeline, seats)
    found = [
        (position, component.name)
        for position, place, component in zip(reached, places, data.components, strict=True)
        if place and position is not None
    ]
    return (min(found)[1], data.first + min(found)[0]) if found else (None, None)


def budget(data: PlanData) -> int | None:
    """The budget of a plan; None where there is none or it is not known."""
    facts: Facts = facts_of(data.facts)
    return None if facts.budget is None else data.first + facts.budget
