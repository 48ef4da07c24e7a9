"""What floors and ceilings changed: the shares asked for beside those that hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mixtera.order.shares import Group, normalised


@dataclass(frozen=True, slots=True)
class BoundedShare:
    """A share that floors and ceilings changed.

    Attributes:
        name: Full name of the component, or of a group of them.
        at: Position from which it holds.
        asked: Its share among its siblings by the weights alone.
        share: Its share among its siblings.
    """

    name: str
    at: int
    asked: float
    share: float


def bounded_shares(mixture: Group, names: Sequence[str], depth: int = 0) -> Iterator[BoundedShare]:
    """Every share that bounds changed, outer before inner.

    Args:
        mixture: The weight tree.
        names: Full names of its components.
        depth: How deep the group lies in the tree; 0 for the outermost.
    """
    for point in mixture.points:
        if point.asked is not None:
            pairs = zip(normalised(point.asked), normalised(point.weights), strict=True)
            for part, (asked, share) in zip(mixture.parts, pairs, strict=True):
                if asked != share:
                    yield BoundedShare(_name(part, names, depth), point.reached, asked, share)
    for part in mixture.parts:
        if isinstance(part, Group):
            yield from bounded_shares(part, names, depth + 1)


def _name(part: Group | int, names: Sequence[str], depth: int) -> str:
    if isinstance(part, int):
        return names[part]
    return "/".join(names[next(iter(part.leaves()))].split("/")[: depth + 1])
