"""The mixture: shares, epochs, when each component runs out, and what ends the stream."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mixtera.artifact.model import PlanComponent, PlanData
from mixtera.explanation.course import leavings
from mixtera.explanation.facts import Facts
from mixtera.explanation.model import End, Part
from mixtera.explanation.when import first_positions


def end_of(data: PlanData, facts: Facts | None = None) -> End:
    """How the stream ends; without facts, as far as the timeline tells."""
    facts = facts or Facts()
    timeline, changes = data.timeline, tuple(leavings(data))
    if timeline.total is None:
        endless = tuple(c.name for c in data.components if c.places is None)
        return End("endless", endless, 0, changes)
    delivered = _delivered(data)
    if all(component.places == n for component, n in zip(data.components, delivered, strict=True)):
        return End("complete", (), 0, changes)
    unseen = sum(max(0, c.samples - c.consumed - n) for c, n in zip(data.components, delivered, strict=True))
    if facts.budget is not None and timeline.total == facts.budget:
        return End("budget", (), unseen, changes)
    return End("exhausted", (facts.ended_by,) if facts.ended_by else _ending(data), unseen, changes)


def _ending(data: PlanData) -> tuple[str, ...]:
    """The components that the next seat would be of, from the timeline alone."""
    timeline, names = data.timeline, [component.name for component in data.components]
    assert timeline.total is not None
    wanted = timeline.phases[-1].filled(np.array([timeline.total + 1]))[0].tolist()
    limits = [component.places for component in data.components]
    return tuple(name for name, n, limit in zip(names, wanted, limits, strict=True) if limit is not None and n > limit)


def _delivered(data: PlanData) -> list[int]:
    total = data.timeline.total
    filled: list[int] = [] if total is None else data.timeline.filled(np.array([total]))[0].tolist()
    return filled


def tree(data: PlanData, weights: Mapping[str, float], end: End) -> tuple[Part, ...]:
    """The mixture as a tree: components, and the groups that their names make.

    Args:
        data: The plan.
        weights: Weights as written, by full name; may lack some or all.
        end: How the stream ends.
    """
    return _grouped(_leaves(data, weights, end), 0, weights)


def _leaves(data: PlanData, weights: Mapping[str, float], end: End) -> list[Part]:
    first = np.array(data.timeline.phases[0].weights)
    shares = (first / first.sum()).tolist()
    left = np.array([c.samples - c.consumed for c in data.components], np.int64)
    reached = first_positions(data.timeline, np.maximum(1, left))
    ends = [0 if seats <= 0 else position for seats, position in zip(left.tolist(), reached, strict=True)]
    delivered: Sequence[int | None] = _delivered(data) or [None] * len(data.components)
    return [
        Part(
            name=component.name.rpartition("/")[2],
            full_name=component.name,
            weight=weights.get(component.name),
            share=share,
            samples=component.samples,
            delivered=count,
            epochs=None if count is None else (count + component.consumed) / max(1, component.samples),
            max_epochs=None if component.places is None else _most_epochs(component),
            first_epoch_ends=first_end,
            unseen=None if count is None else max(0, component.samples - component.consumed - count),
            on_exhaust=component.on_exhaust,
            ends_plan=end.kind == "exhausted" and component.name in end.components,
            parts=(),
        )
        for component, share, first_end, count in zip(data.components, shares, ends, delivered, strict=True)
    ]


def _most_epochs(component: PlanComponent) -> float:
    return ((component.places or 0) + component.consumed) / max(1, component.samples)


def _grouped(leaves: Sequence[Part], depth: int, weights: Mapping[str, float]) -> tuple[Part, ...]:
    """Parts of one level; leaves whose names go on share a group."""
    levels: dict[str, list[Part]] = {}
    for leaf in leaves:
        levels.setdefault("/".join(leaf.full_name.split("/")[: depth + 1]), []).append(leaf)
    return tuple(
        below[0]
        if len(below) == 1 and below[0].full_name == name
        else _group(name, _grouped(below, depth + 1, weights), weights)
        for name, below in levels.items()
    )


def _group(name: str, parts: tuple[Part, ...], weights: Mapping[str, float]) -> Part:
    samples = sum(part.samples for part in parts)
    delivered = _sum([part.delivered for part in parts])
    return Part(
        name=name.rpartition("/")[2],
        full_name=name,
        weight=weights.get(name),
        share=sum(part.share for part in parts),
        samples=samples,
        delivered=delivered,
        epochs=None if delivered is None else sum(p.samples * (p.epochs or 0) for p in parts) / max(1, samples),
        max_epochs=None,
        first_epoch_ends=None,
        unseen=_sum([part.unseen for part in parts]),
        on_exhaust=None,
        ends_plan=False,
        parts=parts,
    )


def _sum(values: Sequence[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None


def components(parts: Sequence[Part]) -> list[Part]:
    """The components of a tree, without its groups, in order."""
    return [leaf for part in parts for leaf in (components(part.parts) if part.parts else (part,))]
