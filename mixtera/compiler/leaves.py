"""The leaves of a mixture, numbered: what the labels mean before the groups' values are known."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from mixtera.spec.model import (
    Component,
    Grouped,
    Listed,
    Mixture,
    OnExhaust,
    Order,
    OwnOrder,
    Parts,
    Place,
    SortKey,
    UniMax,
)

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
        shuffled: Whether its samples are shuffled, inherited likewise.
        sorted_by: Keys of its curriculum, inherited likewise; empty for none.
        place: Where it stands.
        deliver: Content columns that its samples are delivered with, instead of tokens, inherited likewise.
    """

    label: int
    path: Path
    group: Grouped | None
    on_exhaust: OnExhaust
    at_last: OnExhaust
    max_epochs: float | None
    place: Place
    shuffled: bool = True
    sorted_by: tuple[SortKey, ...] = ()
    deliver: tuple[str, ...] = ()


def leaves(mixture: Mixture, order: Order = Order()) -> tuple[Leaf, ...]:  # noqa: B008 - a frozen value
    """The leaves in the order of the spec; leaf i has the label i."""
    whole = replace(around(mixture), shuffled=order.shuffle == "global", sorted_by=order.by)
    found = _walk(mixture.parts, (), whole)
    return tuple(replace(leaf, label=label) for label, leaf in enumerate(found))


def around(mixture: Mixture) -> Around:
    """What the outermost components inherit."""
    at_last = "stop" if mixture.on_exhaust == "repeat" else mixture.on_exhaust
    return Around(mixture.on_exhaust, at_last, mixture.max_epochs)


@dataclass(frozen=True, slots=True)
class Around:
    """What a component inherits, as a leaf has it."""

    on_exhaust: OnExhaust
    at_last: OnExhaust
    max_epochs: float | None = None
    shuffled: bool = True
    sorted_by: tuple[SortKey, ...] = ()
    deliver: tuple[str, ...] = ()

    def inside(self, component: Component) -> Around:
        """What the parts of a component inherit."""
        policy = component.on_exhaust or self.on_exhaust
        epochs = self.max_epochs if component.max_epochs is None else component.max_epochs
        own = component.order or OwnOrder(None, None)
        return Around(
            policy,
            self.at_last if policy == "repeat" else policy,
            epochs,
            self.shuffled if own.shuffle is None else own.shuffle == "global",
            self.sorted_by if own.by is None else own.by,
            component.deliver or self.deliver,
        )


def _walk(parts: Parts, path: Path, around: Around) -> Iterator[Leaf]:
    if isinstance(parts, Grouped):
        epochs = around.max_epochs
        if epochs is None and isinstance(parts.weights, UniMax):
            epochs = parts.weights.max_epochs
        yield _leaf(path, parts, replace(around, max_epochs=epochs), parts.place)
        return
    for component in parts.components:
        below, here = (*path, component.name), around.inside(component)
        if component.parts is None:
            yield _leaf(below, None, here, component.place)
        else:
            yield from _walk(component.parts, below, here)


def _leaf(path: Path, group: Grouped | None, around: Around, place: Place) -> Leaf:
    policies = (around.on_exhaust, around.at_last, around.max_epochs)
    return Leaf(0, path, group, *policies, place, around.shuffled, around.sorted_by, around.deliver)


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


def sort_keys(leaves: Iterable[Leaf]) -> tuple[SortKey, ...]:
    """The different things that curricula go by, whatever the direction."""
    return tuple({key.text: key for leaf in leaves for key in leaf.sorted_by}.values())
