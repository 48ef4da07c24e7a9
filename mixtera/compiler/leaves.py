"""The leaves of a mixture, numbered: what the labels mean before the groups' values are known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from mixtera.spec.model import Component, Grouped, Listed, Mixture, OnExhaust, Parts, Place, UniMax

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Leaf:
    """A component without parts, or the groups of a `by`.

    Attributes:
        label: Its label in the expressions.
        path: Names down to it; for groups, down to what they divide.
        group: The `by` section, or None for a component.
        on_exhaust: What happens when it runs out, inherited where it is not written.
        at_last: What happens when `repeat` comes to the end of `max_epochs`: the nearest `on_exhaust` around it that is
            not `repeat`, or `stop`; for all else the same as `on_exhaust`.
        max_epochs: How often its samples may be delivered, inherited likewise.
        place: Where it stands.
    """

    label: int
    path: Path
    group: Grouped | None
    on_exhaust: OnExhaust
    at_last: OnExhaust
    max_epochs: float | None
    place: Place


def leaves(mixture: Mixture) -> tuple[Leaf, ...]:
    """The leaves in the order of the spec; leaf i has the label i."""
    found = _walk(mixture.parts, (), around(mixture))
    return tuple(replace(leaf, label=label) for label, leaf in enumerate(found))


def around(mixture: Mixture) -> Around:
    """What the outermost components inherit."""
    at_last = "stop" if mixture.on_exhaust == "repeat" else mixture.on_exhaust
    return Around(mixture.on_exhaust, at_last, mixture.max_epochs)


@dataclass(frozen=True, slots=True)
class Around:
    """What a component inherits: `on_exhaust`, `at_last` and `max_epochs` as a leaf has them."""

    on_exhaust: OnExhaust
    at_last: OnExhaust
    max_epochs: float | None = None

    def inside(self, component: Component) -> Around:
        """What the parts of a component inherit."""
        policy = component.on_exhaust or self.on_exhaust
        epochs = self.max_epochs if component.max_epochs is None else component.max_epochs
        return Around(policy, self.at_last if policy == "repeat" else policy, epochs)


def _walk(parts: Parts, path: Path, around: Around) -> Iterator[Leaf]:
    if isinstance(parts, Grouped):
        epochs = around.max_epochs
        if epochs is None and isinstance(parts.weights, UniMax):
            epochs = parts.weights.max_epochs
        yield Leaf(0, path, parts, around.on_exhaust, around.at_last, epochs, parts.place)
        return
    for component in parts.components:
        below, here = (*path, component.name), around.inside(component)
        if component.parts is None:
            yield Leaf(0, below, None, here.on_exhaust, here.at_last, here.max_epochs, component.place)
        else:
            yield from _walk(component.parts, below, here)


def components(parts: Parts, path: Path = ()) -> Iterator[tuple[Path, Component]]:
    """Every component that is written out, leaves or not, outer before inner, with its path."""
    if isinstance(parts, Listed):
        for component in parts.components:
            yield (*path, component.name), component
            if component.parts is not None:
                yield from components(component.parts, (*path, component.name))


def by_columns(mixture: Mixture) -> tuple[str, ...]:
    """Columns that some `by` names, each once, in the order of the spec."""
    names = (name for leaf in leaves(mixture) if leaf.group is not None for name in leaf.group.by)
    return tuple(dict.fromkeys(names))
