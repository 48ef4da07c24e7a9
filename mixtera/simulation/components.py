"""The components of a simulation: from the catalog where the spec is indexed, else from the spec alone."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from mixtera.compiler import compile
from mixtera.compiler.dynamic import without_dynamic
from mixtera.compiler.inputs import Catalog
from mixtera.compiler.leaves import leaves
from mixtera.errors import AlgorithmError
from mixtera.spec.model import Listed, OnExhaust, Parts, Spec

_INDEX: Final = "index the spec (`mixtera index`), and the catalog tells"


@dataclass(frozen=True, slots=True)
class Component:
    """A component.

    Attributes:
        name: Its full name.
        weight: Its share at the start.
        size: Samples (sequences) of an epoch; None where nobody knows.
        places: How many it gives at most; None for no end, or where nobody knows.
        on_exhaust: What happens then.
    """

    name: str
    weight: float
    size: int | None
    places: int | None
    on_exhaust: OnExhaust


def components_of(
    spec: Spec, catalog: Catalog | None, sizes: Mapping[str, int], engine: str = "duckdb"
) -> tuple[Component, ...]:
    """The components of a spec.

    Args:
        spec: The spec.
        catalog: Holds its sources; None: the spec alone has to say.
        sizes: Samples of some components, instead of those of the catalog.
        engine: Name of the engine that counts.

    Raises:
        AlgorithmError: A size is that of no component, or the spec alone does not tell what they are.
        SpecError: The spec does not fit the data.
        CatalogError: A source was indexed differently.
    """
    found = _written(spec) if catalog is None else _compiled(spec, catalog, engine)
    names = [component.name for component in found]
    for name in sizes:
        if name not in names:
            raise AlgorithmError(f"a size is given for {name!r}, and there are: {', '.join(names)}")
    return tuple(_sized(component, sizes) for component in found)


def _compiled(spec: Spec, catalog: Catalog, engine: str) -> tuple[Component, ...]:
    plan = compile(without_dynamic(spec), catalog, engine=engine, lock=None)
    return tuple(
        Component(each.name, weight, each.samples, each.places, each.on_exhaust)
        for each, weight in zip(plan.data.components, plan.data.timeline.phases[0].weights, strict=True)
    )


def _written(spec: Spec) -> tuple[Component, ...]:
    limits = {leaf.path: leaf for leaf in leaves(spec.mixture)}
    found = []
    for path, weight in _weighed(spec.mixture.parts, (), 1.0):
        leaf = limits[path]
        # A size that is given later is turned into places by how often it may be delivered.
        epochs = leaf.max_epochs or (None if leaf.on_exhaust == "repeat" else 1.0)
        places = None if epochs is None else math.ceil(epochs * 10**6)
        found.append(Component("/".join(path), weight, None, places, leaf.at_last))
    return tuple(component for component in found if component.weight > 0)


def _weighed(parts: Parts, path: tuple[str, ...], share: float) -> Iterator[tuple[tuple[str, ...], float]]:
    if not isinstance(parts, Listed):
        raise AlgorithmError(f"the components of `by: {', '.join(parts.by)}` are not known without a catalog; {_INDEX}")
    total = sum(component.weight or 0.0 for component in parts.components)
    for component in parts.components:
        below, part = (*path, component.name), share * (component.weight or 0.0) / total
        if component.parts is None:
            yield below, part
        else:
            yield from _weighed(component.parts, below, part)


def _sized(component: Component, sizes: Mapping[str, int]) -> Component:
    size = sizes.get(component.name, component.size)
    if size is None or size == component.size:
        return component if component.size is not None else replace(component, places=None)
    before = 10**6 if component.size is None else component.size
    places = None if component.places is None else math.floor(component.places * size / before)
    return replace(component, size=size, places=places)
