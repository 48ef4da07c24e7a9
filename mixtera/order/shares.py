"""Shares over time: the weight tree of a mixture, and what each component's share is at a position.

A group shares its own part of the mixture among those of its parts that still have something to give, by their weights
at that position. So what a part leaves goes to its siblings first, and to the group's siblings only when nothing in
the group is left.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, TypeAlias

from mixtera.cached import cached_property

Ramp: TypeAlias = Literal["linear", "cosine"]


@dataclass(frozen=True, slots=True)
class Point:
    """Weights from a position on.

    Attributes:
        at: First position.
        weights: One per part of the group, any scale, not negative, one of them positive.
        ramp: How the shares get there from those before: None at once.
        until: With a ramp: the position from which the weights hold; before it, shares lie between.
        asked: The weights before floors and ceilings changed them; None where they did not.
    """

    at: int
    weights: tuple[float, ...]
    ramp: Ramp | None = None
    until: int | None = None
    asked: tuple[float, ...] | None = None

    @property
    def reached(self) -> int:
        """The position from which the weights hold."""
        return self.at if self.until is None else self.until


@dataclass(frozen=True)
class Group:
    """Parts that share something by weights.

    Attributes:
        parts: Groups, and components by their number.
        points: Weights over time, ascending and without overlap; the first at 0 and without a ramp.
        on_exhaust: What happens when nothing in it is left: `redistribute` leaves its share to its siblings, anything
            else ends the stream.
    """

    parts: tuple[Group | int, ...]
    points: tuple[Point, ...]
    on_exhaust: str = "redistribute"

    @cached_property
    def _starts(self) -> list[int]:
        return [point.at for point in self.points]

    @cached_property
    def is_fixed(self) -> bool:
        """Whether no weight in it ever changes."""
        return all(len(group.points) == 1 for group in self.groups())

    def weights(self, position: float) -> Sequence[float]:
        """The weights of the parts at a position, any scale."""
        index = bisect_right(self._starts, position) - 1
        point = self.points[index]
        if point.ramp is None or position >= point.reached:
            return point.weights
        done = progress(point.ramp, (position - point.at) / (point.reached - point.at))
        pairs = zip(normalised(self.points[index - 1].weights), normalised(point.weights), strict=True)
        return [before + (after - before) * done for before, after in pairs]

    def leaves(self) -> Iterator[int]:
        """Every component in it."""
        for part in self.parts:
            yield from part.leaves() if isinstance(part, Group) else (part,)

    def groups(self) -> Iterator[Group]:
        """It and every group in it, outer before inner."""
        yield self
        for part in self.parts:
            if isinstance(part, Group):
                yield from part.groups()


def fixed(weights: Sequence[float]) -> Group:
    """A group of components 0, 1, … with weights that never change."""
    return Group(tuple(range(len(weights))), (Point(0, tuple(weights)),))


def normalised(weights: Sequence[float]) -> list[float]:
    """The same proportions with the sum 1."""
    total = math.fsum(weights)
    return [weight / total for weight in weights]


class Shares:
    """The share of every component over time, as long as no component runs out.

    Args:
        mixture: The outermost group; its components are numbered from 0 without gaps.
        left: Which components still have something to give.
    """

    def __init__(self, mixture: Group, left: Sequence[bool]) -> None:
        self._mixture, self._left = mixture, left
        self._fixed: dict[int, Sequence[tuple[int, float]]] = {}

    def at(self, position: float) -> list[float]:
        """The shares at a position, or at a place between two, on the scale of the outermost weights.

        Returns:
            One number per component: zero for those that have nothing left or no weight; all zero where none has both.
        """
        result = [0.0] * len(self._left)
        for part, weight in zip(self._mixture.parts, self._mixture.weights(position), strict=True):
            for component, inner in self._inside(part, position):
                result[component] = weight * inner
        return result

    def _inside(self, part: Group | int, position: float) -> Sequence[tuple[int, float]]:
        """The shares of a part's components in what the part gets; empty where the part has nothing to give."""
        if isinstance(part, int):
            return [(part, 1.0)] if self._left[part] else []
        if not part.is_fixed:
            return self._divided(part, position)
        if id(part) not in self._fixed:
            self._fixed[id(part)] = self._divided(part, position)
        return self._fixed[id(part)]

    def _divided(self, group: Group, position: float) -> Sequence[tuple[int, float]]:
        found = [
            (weight, inside)
            for part, weight in zip(group.parts, group.weights(position), strict=True)
            if weight and (inside := self._inside(part, position))
        ]
        total = math.fsum(weight for weight, _ in found)
        return [(component, weight / total * inner) for weight, inside in found for component, inner in inside]


def shares(mixture: Group, position: float, left: Sequence[bool]) -> list[float]:
    """The shares at one position, as `Shares` has them."""
    return Shares(mixture, left).at(position)


def progress(ramp: Ramp, done: float) -> float:
    """How much of a ramp's change is made when a part of its length is done; both from 0 to 1."""
    return done if ramp == "linear" else (1 - _cosine(done)) / 2


def _cosine(half_turns: float) -> float:
    """cos(π x) for 0 ≤ x ≤ 1 by its series: only sums and products, so the same on every machine."""
    angle = math.pi * (0.5 - half_turns)
    square, term, total = angle * angle, angle, angle
    for n in range(2, 24, 2):
        term *= -square / (n * (n + 1))
        total += term
    return total


@dataclass(frozen=True, slots=True)
class Stretch:
    """Positions [first, last) over which no weight changes, or all change smoothly; `last` None is without end."""

    first: int
    last: int | None
    ramp: bool


def stretches(mixture: Group) -> tuple[Stretch, ...]:
    """The stretches of a mixture, ascending, from 0 on."""
    points = [point for group in mixture.groups() for point in group.points]
    bounds = sorted({0, *(point.at for point in points), *(point.reached for point in points)})
    ramps = [point for point in points if point.ramp is not None]
    inner = (
        Stretch(first, last, any(ramp.at <= first and last <= ramp.reached for ramp in ramps))
        for first, last in pairwise(bounds)
    )
    return (*inner, Stretch(bounds[-1], None, False))
