"""The leaves of a mixture, numbered: what the labels mean before the groups' values are known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mixtera.spec.model import Component, Grouped, Listed, Mixture, OnExhaust, Parts, Place

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Leaf:
    """A component without parts, or the groups of a `by`.

    Attributes:
        label: Its label in the expressions.
        path: Names down to it; for groups, down to what they divide.
        group: The `by` section, or None for a component.
        on_exhaust: What happens when it runs out, inherited where it is not written.
        max_epochs: How often its samples may be delivered, inherited likewise.
        place: Where it stands.
    """

    label: int
    path: Path
    group: Grouped | None
    on_exhaust: OnExhaust
    max_epochs: float | None
    place: Place


def leaves(mixture: Mixture) -> tuple[Leaf, ...]:
    """The leaves in the order of the spec; leaf i has the label i."""
    found = _walk(mixture.parts, (), mixture.on_exhaust, mixture.max_epochs)
    return tuple(Leaf(label, *rest) for label, rest in enumerate(found))


_Unnumbered = tuple[Path, Grouped | None, OnExhaust, float | None, Place]


def _walk(parts: Parts, path: Path, on_exhaust: OnExhaust, max_epochs: float | None) -> Iterator[_Unnumbered]:
    if isinstance(parts, Grouped):
        yield path, parts, on_exhaust, max_epochs, parts.place
        return
    for component in parts.components:
        below = (*path, component.name)
        policy = component.on_exhaust or on_exhaust
        epochs = max_epochs if component.max_epochs is None else component.max_epochs
        if component.parts is None:
            yield below, None, policy, epochs, component.place
        else:
            yield from _walk(component.parts, below, policy, epochs)


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
