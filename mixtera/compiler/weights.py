"""The spec's weights, with the sizes of groups, as the weight tree that the order reads."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Context, Decimal
from fractions import Fraction
from typing import Final

from mixtera.compiler.groups import Key, key_text
from mixtera.compiler.leaves import Around, Leaf, around
from mixtera.order.bounds import bounded
from mixtera.order.shares import Group, Point
from mixtera.spec.bounds import check_group_bounds
from mixtera.spec.issues import Issues, suggestion
from mixtera.spec.model import (
    Bounds,
    Component,
    Grouped,
    Listed,
    Mixture,
    Natural,
    Parts,
    Temperature,
    Uniform,
    UniMax,
    Values,
)

_CONTEXT: Final = Context(prec=28)


@dataclass(frozen=True, slots=True)
class Part:
    """A component of the plan to be: the leaf it comes from, its full name, and its code among the labels."""

    leaf: Leaf
    name: str
    code: int


def tree(
    mixture: Mixture,
    leaves: Sequence[Leaf],
    groups: Mapping[int, Mapping[Key, int]],
    totals: Sequence[int],
    issues: Issues,
) -> tuple[list[Part], Group]:
    """The components in the order of the spec, groups by name, and their weights.

    Args:
        mixture: The mixture.
        leaves: Its leaves, numbered.
        groups: Per leaf with a `by`: key → code.
        totals: Samples of each code.
        issues: Takes what does not fit the data.
    """
    walk = _Walk(iter(leaves), groups, totals, issues)
    samples = None if mixture.budget is None else Fraction(mixture.budget.samples)
    return walk.parts, walk.group(mixture.parts, around(mixture), samples)


@dataclass
class _Walk:
    """Goes down the mixture and collects the components."""

    leaves: Iterator[Leaf]
    groups: Mapping[int, Mapping[Key, int]]
    totals: Sequence[int]
    issues: Issues
    parts: list[Part] = field(default_factory=list)

    def group(self, parts: Parts, outer: Around, budget: Fraction | None) -> Group:
        """The weights of some parts; `budget` is the samples that they get together."""
        if isinstance(parts, Grouped):
            return self._grouped(parts, outer, budget)
        bounds = [component.bounds for component in parts.components]
        points = tuple(_within(point, bounds) for point in _points(parts))
        share = None if budget is None or len(points) > 1 else _exact_shares(points[0].weights)
        found: list[Group | int] = []
        for number, component in enumerate(parts.components):
            inner = None if budget is None or share is None else budget * share[number]
            found.append(self._component(component, outer, inner))
        return Group(tuple(found), points, outer.at_last)

    def _component(self, component: Component, outer: Around, budget: Fraction | None) -> Group | int:
        if component.parts is not None:
            return self.group(component.parts, outer.inside(component), budget)
        leaf = next(self.leaves)
        return self._add(leaf, "/".join(leaf.path), leaf.label)

    def _grouped(self, parts: Grouped, outer: Around, budget: Fraction | None) -> Group:
        leaf = next(self.leaves)
        found = sorted((key_text(key), code) for key, code in self.groups.get(leaf.label, {}).items())
        weights = group_weights(parts, [(name, self.totals[code]) for name, code in found], budget, self.issues)
        if weights and not any(weights):
            self.issues.add(parts.place, _no_weight(parts, budget))
        point = Point(0, tuple(weights))
        if check_group_bounds(parts.bounds, sum(map(bool, weights)), parts.place, self.issues):
            point = _within(point, [parts.bounds] * len(weights))
        numbers = tuple(self._add(leaf, "/".join((*leaf.path, name)), code) for name, code in found)
        return Group(numbers, (point,), outer.at_last)

    def _add(self, leaf: Leaf, name: str, code: int) -> int:
        self.parts.append(Part(leaf, name, code))
        return len(self.parts) - 1


def _no_weight(parts: Grouped, budget: Fraction | None) -> str:
    if isinstance(parts.weights, UniMax) and budget is not None and budget < 1:
        message = f"unimax: its part of the budget is {float(budget):.3g} samples, and there is none to spread"
        return f"{message}; raise the budget, or the weights above it"
    return "the weights sum to zero: nothing can be chosen; give one of them a weight above 0"


def _points(parts: Listed) -> tuple[Point, ...]:
    own = [component.weight for component in parts.components]
    changes = [Point(c.at, c.weights, c.ramp, c.until) for c in parts.schedule]
    if changes and changes[0].at == 0 and changes[0].ramp is None:
        return tuple(changes)
    return (Point(0, tuple(weight or 0.0 for weight in own)), *changes)


def _within(point: Point, bounds: Sequence[Bounds]) -> Point:
    """The point with weights whose shares keep their bounds."""
    if all(bound == Bounds() for bound in bounds):
        return point
    weights = bounded(point.weights, [bound.floor for bound in bounds], [bound.ceiling for bound in bounds])
    return point if weights == point.weights else replace(point, weights=weights, asked=point.weights)


def _exact_shares(weights: Sequence[float]) -> list[Fraction]:
    """Shares of weights as they are written in decimals: 0.29 of 100 are 29."""
    exact = [Fraction(repr(weight)) for weight in weights]
    total = sum(exact)
    return [weight / total if total else Fraction(0) for weight in exact]


def chosen(mixture: Group, samples: Sequence[int]) -> tuple[list[int], Group]:
    """The components that ever have a weight, and the tree of these alone, numbered anew from 0.

    Args:
        mixture: The whole tree.
        samples: Samples of each component; one without any has no weight.
    """
    weighted = sorted(_weighted(mixture, samples))
    return weighted, _pruned(mixture, {number: index for index, number in enumerate(weighted)})


def in_sequences(mixture: Group, means: Sequence[float]) -> Group:
    """Weights that count samples, as weights that count sequences: those of long samples are more.

    Args:
        mixture: The tree; its weights do not change over time.
        means: Tokens of a sample of each component, on average.
    """
    return _in_sequences(mixture, means)[0]


def _in_sequences(group: Group, means: Sequence[float]) -> tuple[Group, float]:
    """The group, and the tokens of one of its samples."""
    inner = [_in_sequences(part, means) if isinstance(part, Group) else (part, means[part]) for part in group.parts]
    point = group.points[0]
    total = sum(point.weights)
    weights = tuple(weight * mean for weight, (_, mean) in zip(point.weights, inner, strict=True))
    changed = replace(group, parts=tuple(part for part, _ in inner), points=(replace(point, weights=weights),))
    return changed, sum(weights) / total if total else 0.0


def _weighted(group: Group, samples: Sequence[int]) -> Iterator[int]:
    for place, part in enumerate(group.parts):
        if any(point.weights[place] for point in group.points):
            if isinstance(part, Group):
                yield from _weighted(part, samples)
            elif samples[part]:
                yield part


def _pruned(group: Group, numbers: Mapping[int, int]) -> Group:
    kept: list[tuple[int, Group | int]] = []
    for place, part in enumerate(group.parts):
        if isinstance(part, Group):
            inner = _pruned(part, numbers)
            kept += [(place, inner)] if inner.parts else []
        elif part in numbers:
            kept.append((place, numbers[part]))
    places = [place for place, _ in kept]
    points = tuple(
        replace(p, weights=_at(p.weights, places), asked=None if p.asked is None else _at(p.asked, places))
        for p in group.points
    )
    return replace(group, parts=tuple(part for _, part in kept), points=points)


def _at(weights: Sequence[float], places: Sequence[int]) -> tuple[float, ...]:
    return tuple(weights[place] for place in places)


def group_weights(
    group: Grouped, sizes: Sequence[tuple[str, int]], budget: Fraction | None, issues: Issues
) -> list[float]:
    """The weights of groups.

    Args:
        group: The `by`, with its kind of weights.
        sizes: Name and samples of each group.
        budget: Samples that they get together; None where nobody says.
        issues: Takes what does not fit the data.
    """
    match group.weights:
        case Natural():
            return [float(size) for _, size in sizes]
        case Uniform():
            return [1.0] * len(sizes)
        case Temperature(temperature):
            return [tempered(size, temperature) for _, size in sizes]
        case UniMax(max_epochs):
            return [float(n) for n in unimax([size for _, size in sizes], max_epochs, int(budget or 0))]
        case Values() as values:
            return _value_weights(values, group, sizes, issues)


def tempered(size: int, temperature: float) -> float:
    """A size to the power of 1 / temperature, in decimals: the same on every machine."""
    exponent = _CONTEXT.divide(Decimal(1), Decimal(repr(temperature)))
    return float(_CONTEXT.power(Decimal(size), exponent)) if size else 0.0


def unimax(sizes: Sequence[int], max_epochs: float, budget: int) -> list[int]:
    """Samples of each group under UniMax (Chung et al., ICLR 2023, algorithm 1), in whole samples.

    From the smallest group on: an equal share of what is left of the budget, at most `max_epochs` of the group.
    """
    given, left = [0] * len(sizes), budget
    for done, number in enumerate(sorted(range(len(sizes)), key=lambda n: (sizes[n], n))):
        most = math.floor(sizes[number] * Fraction(repr(max_epochs)))
        given[number] = min(left // (len(sizes) - done), most)
        left -= given[number]
    return given


def _value_weights(values: Values, group: Grouped, sizes: Sequence[tuple[str, int]], issues: Issues) -> list[float]:
    """Weights by name; what is not named shares `rest` by size, or is left out where there is no `rest`."""
    written = dict(values.weights)
    names = [name for name, _ in sizes]
    known = set(names)
    for (name, _), place in zip(values.weights, values.places, strict=False):
        if name not in known:
            columns = ", ".join(group.by)
            issues.add(
                place, f"weights: no sample has the value {name!r} of {columns}{suggestion(name, names, 'found')}"
            )
    others = sum(size for name, size in sizes if name not in written)
    rest = values.rest or 0.0
    if values.rest is not None and not others:
        issues.add(group.place, "weights: `rest` is for values that are not named, and all are; remove `rest`")
    return [written[name] if name in written else rest * (size / others) for name, size in sizes]
