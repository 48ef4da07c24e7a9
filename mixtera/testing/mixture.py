"""What the weights of a mixture mean, in plain Python, position by position: what every plan is compared with."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np

from mixtera.plan import Plan
from mixtera.spec.model import (
    Bounds,
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
from mixtera.testing.order import SHARE_BOUND

Sizes = Mapping[str, int]
"""Samples of every component, by full name; groups of a `by` too."""


def shares_at(
    mixture: Mixture, sizes: Sizes, position: float, left: Collection[str] | None = None
) -> Mapping[str, float]:
    """The share of every component at a position, or at a place between two.

    Args:
        mixture: The mixture.
        sizes: Samples of every component.
        position: The position.
        left: Components that still have something to give; None for all.

    Returns:
        Full name → share; their sum is 1, or 0 where nothing that is left has a weight.
    """
    budget = None if mixture.budget is None else float(mixture.budget.samples)
    found = dict(_shares(mixture.parts, (), sizes, position, sizes.keys() if left is None else left, budget))
    total = math.fsum(found.values())
    return {name: found.get(name, 0.0) / (total or 1.0) for name in sizes}


def _shares(
    parts: Parts, path: tuple[str, ...], sizes: Sizes, position: float, left: Collection[str], budget: float | None
) -> Iterator[tuple[str, float]]:
    """Shares in what some parts get; nothing where they have nothing to give."""
    asked = _weights(parts, path, sizes, position, budget)
    inside: list[list[tuple[str, float]]] = []
    for name, weight in asked.items():
        below = (*path, name)
        inner = _parts_of(parts, name)
        if inner is None:
            found = [("/".join(below), 1.0)] if "/".join(below) in left else []
        else:
            found = list(_shares(inner, below, sizes, position, left, None if budget is None else budget * weight))
        inside.append(found if weight else [])
    whole = math.fsum(weight for weight, given in zip(asked.values(), inside, strict=True) if given)
    for weight, given in zip(asked.values(), inside, strict=True):
        yield from ((name, weight / whole * share) for name, share in given)


def _parts_of(parts: Parts, name: str) -> Parts | None:
    if isinstance(parts, Grouped):
        return None
    return next(component.parts for component in parts.components if component.name == name)


def _weights(
    parts: Parts, path: tuple[str, ...], sizes: Sizes, position: float, budget: float | None
) -> Mapping[str, float]:
    """Name → share among its siblings, bounded."""
    if isinstance(parts, Grouped):
        head = "".join(f"{name}/" for name in path)
        own = {name.removeprefix(head): size for name, size in sizes.items() if name.startswith(head)}
        weights = _group_weights(parts, own, budget)
        return dict(zip(own, water_filled(weights, [parts.bounds] * len(own)), strict=True))
    return dict(zip((c.name for c in parts.components), _listed(parts, position), strict=True))


def _listed(parts: Listed, position: float) -> Sequence[float]:
    bounds = [component.bounds for component in parts.components]
    now = [component.weight or 0.0 for component in parts.components]
    shares = water_filled(now, bounds) if any(now) else now
    for change in parts.schedule:
        if change.at <= position:
            after = water_filled(change.weights, bounds)
            done = 1.0 if change.until is None else min(1.0, (position - change.at) / (change.until - change.at))
            done = (1 - math.cos(math.pi * done)) / 2 if change.ramp == "cosine" else done
            shares = [a * (1 - done) + b * done for a, b in zip(shares, after, strict=True)] if done < 1 else after
    return shares


def water_filled(weights: Sequence[float], bounds: Sequence[Bounds]) -> list[float]:
    """Shares min(ceiling, max(floor, c · weight)) of those with a weight, c found by halving."""
    total = math.fsum(weights)
    low = [bound.floor or 0.0 for bound in bounds]
    high = [1.0 if bound.ceiling is None else bound.ceiling for bound in bounds]

    def at(scale: float) -> list[float]:
        limits = zip(weights, low, high, strict=True)
        return [min(most, max(least, scale * weight / total)) if weight else 0.0 for weight, least, most in limits]

    below, above = 0.0, 1e9
    for _ in range(100):
        middle = (below + above) / 2
        below, above = (middle, above) if math.fsum(at(middle)) < 1 else (below, middle)
    return at(above)


def _group_weights(group: Grouped, sizes: Sizes, budget: float | None) -> list[float]:
    match group.weights:
        case Natural():
            return [float(size) for size in sizes.values()]
        case Uniform():
            return [1.0] * len(sizes)
        case Temperature(temperature):
            return [size ** (1 / temperature) for size in sizes.values()]
        case UniMax(max_epochs):
            return _unimax(list(sizes.values()), max_epochs, budget or 0.0)
        case Values(weights, rest):
            named = dict(weights)
            others = sum(size for name, size in sizes.items() if name not in named)
            return [named[name] if name in named else (rest or 0.0) * size / others for name, size in sizes.items()]


def _unimax(sizes: Sequence[int], max_epochs: float, budget: float) -> list[float]:
    """Whole samples, from the smallest group on."""
    given, left = dict[int, int](), math.floor(budget + 1e-9)
    for number in sorted(range(len(sizes)), key=lambda n: sizes[n]):
        given[number] = min(left // (len(sizes) - len(given)), math.floor(max_epochs * sizes[number]))
        left -= given[number]
    return [float(given[number]) for number in range(len(sizes))]


def assert_follows(plan: Plan, mixture: Mixture, sizes: Sizes, stop: int) -> float:
    """Law 3: every prefix since a component left is within SHARE_BOUND samples of the integral of the shares.

    Args:
        plan: The plan of the mixture.
        mixture: The mixture, as the spec says it.
        sizes: Samples of every component.
        stop: Position to look up to.

    Returns:
        The largest distance, in samples.
    """
    names = [component.name for component in plan.data.components]
    chosen = plan.pointers.components(0, stop)
    phases = plan.data.timeline.phases
    first = {phase.first: phase for phase in phases}
    left, worst = set(names), 0.0
    counts, exact = np.zeros(len(names)), np.zeros(len(names))
    for position in range(stop):
        if position in first:
            phase = first[position]
            gone = {
                component.name
                for component, base, weight in zip(plan.data.components, phase.base, phase.weights, strict=True)
                if base == component.places and not weight
            }
            if left != set(names) - gone:
                left = set(names) - gone
                counts, exact = np.zeros(len(names)), np.zeros(len(names))
        shares = _shares_now(mixture, sizes, position, left)
        component, held = int(chosen[position]), np.array([shares[name] for name in names])
        assert held[component] > 0, f"{names[component]} has no share at {position}"
        counts[component] += 1
        exact += held
        away = np.abs(counts - exact)
        worst = max(worst, float(away.max()))
        at = int(away.argmax())
        assert away[at] <= SHARE_BOUND, f"{names[at]} is {away[at]:.2f} samples off its share at {position}"
    return worst


def _shares_now(mixture: Mixture, sizes: Sizes, position: int, left: Collection[str]) -> Mapping[str, float]:
    """The shares of a position; where nothing that is left has a weight, those that come next hold already."""
    for place in (position + 0.5, *(at + 0.5 for at in sorted(_changes(mixture.parts)) if at > position)):
        found = shares_at(mixture, sizes, place, left)
        if any(found.values()):
            return found
    raise AssertionError(f"nothing that is left has a weight at {position} or later, and the stream goes on")


def _changes(parts: Parts) -> Iterator[int]:
    if isinstance(parts, Listed):
        for change in parts.schedule:
            yield change.at
            if change.until is not None:
                yield change.until
        for component in parts.components:
            if component.parts is not None:
                yield from _changes(component.parts)
