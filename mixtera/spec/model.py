"""The spec as small frozen values. `parse` makes them, everything after reads them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from mixtera.contracts.properties import PropertyType
from mixtera.spec.predicate import Predicate

OnExhaust: TypeAlias = Literal["stop", "redistribute", "repeat", "error"]
Ramp: TypeAlias = Literal["linear", "cosine"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands in a spec file: line and column from 1."""

    file: str
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Property:
    """A property of a source: `path` is dotted into the record; `type` None means: infer it from the data."""

    name: str
    path: str
    type: PropertyType | None
    place: Place


@dataclass(frozen=True, slots=True)
class ContentField:
    """A delivered column: its name and the dotted path of the field it comes from."""

    name: str
    path: str


@dataclass(frozen=True, slots=True)
class BadSamples:
    """What to do with records that cannot be used, and how many are too many (None: no limit)."""

    policy: Literal["fail", "skip", "quarantine"] = "fail"
    max_count: int | None = None
    max_fraction: float | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """A named set of files of one format. `paths` are resolved patterns (absolute paths or URLs)."""

    name: str
    paths: tuple[str, ...]
    format: str
    content: tuple[ContentField, ...]
    properties: tuple[Property, ...]
    on_bad_sample: BadSamples
    place: Place


@dataclass(frozen=True, slots=True)
class Natural:
    """Weights are the numbers of samples."""


@dataclass(frozen=True, slots=True)
class Uniform:
    """All weights are the same."""


@dataclass(frozen=True, slots=True)
class Values:
    """A weight per value, named as the component will be; `rest` is what all other values share, by their sizes."""

    weights: tuple[tuple[str, float], ...]
    rest: float | None
    places: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class Temperature:
    """Weights are the numbers of samples to the power of 1 / temperature."""

    temperature: float


@dataclass(frozen=True, slots=True)
class UniMax:
    """As even as a number of epochs of the budget allows (Chung et al., "UniMax", ICLR 2023)."""

    max_epochs: float


Weights: TypeAlias = Natural | Uniform | Values | Temperature | UniMax


@dataclass(frozen=True, slots=True)
class Bounds:
    """The least and the largest share among siblings, from 0 to 1; None for no bound."""

    floor: float | None = None
    ceiling: float | None = None


@dataclass(frozen=True, slots=True)
class Component:
    """One named part of a mixture.

    Attributes:
        name: Name among its siblings; the full name is the path, joined by `/`.
        where: The predicate; None takes what the siblings before left over.
        weight: Weight among the siblings, any scale, not negative; None where only a schedule gives it.
        on_exhaust: What happens when it runs out; None inherits from the parent.
        max_epochs: How often its samples may be delivered at most; None inherits from the parent.
        parts: The mixture inside it, or None for a leaf.
        place: Where it stands.
        bounds: Bounds of its share among its siblings, at every position.
    """

    name: str
    where: Predicate | None
    weight: float | None
    on_exhaust: OnExhaust | None
    max_epochs: float | None
    parts: Parts | None
    place: Place
    bounds: Bounds = Bounds()


@dataclass(frozen=True, slots=True)
class Change:
    """Weights from a position on.

    Attributes:
        at: First position.
        weights: One per component, in the order of the components.
        ramp: How the shares get there from those before: None at once.
        until: With a ramp: the position from which the weights hold.
        place: Where it stands.
    """

    at: int
    weights: tuple[float, ...]
    ramp: Ramp | None
    until: int | None
    place: Place


@dataclass(frozen=True, slots=True)
class Listed:
    """Components written out; the first whose predicate holds takes the sample.

    Attributes:
        components: In the order in which they are tested.
        schedule: Weights over time, ascending; the components' own weights hold before the first.
    """

    components: tuple[Component, ...]
    schedule: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True)
class Grouped:
    """One component per value of some properties; `bounds` hold for the share of every one."""

    by: tuple[str, ...]
    weights: Weights
    place: Place
    bounds: Bounds = Bounds()


Parts: TypeAlias = Listed | Grouped


@dataclass(frozen=True, slots=True)
class Budget:
    """How many samples the training will see.

    Attributes:
        samples: The samples, over all ranks.
        batch: Samples of a step over all ranks, where the budget is written in steps.
        place: Where it stands.
    """

    samples: int
    batch: int | None
    place: Place


@dataclass(frozen=True, slots=True)
class Mixture:
    """The whole mixture: its parts, and what holds for all of them unless they say otherwise."""

    unit: Literal["samples"]
    parts: Parts
    on_exhaust: OnExhaust
    max_epochs: float | None
    budget: Budget | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """The order of the stream (DESIGN 2.4). All but `seed` in samples; `granule` divides `chunk_size`."""

    seed: int = 0
    shuffle: Literal["global", "none"] = "global"
    chunk_size: int = 16384
    lanes: int = 16
    granule: int = 32


@dataclass(frozen=True, slots=True)
class Spec:
    """A checked spec. Sources, components and properties keep the order of the file.

    Attributes:
        name: The spec's own name.
        sources: At least one.
        filter: Drops samples before mixing; None keeps all.
        mixture: The mixture.
        order: The order.
        file: The file it was read from, as the user gave it.
    """

    name: str
    sources: tuple[Source, ...]
    filter: Predicate | None
    mixture: Mixture
    order: Order
    file: str

    @property
    def property_names(self) -> tuple[str, ...]:
        """Every property that some source has, and `dataset`, in the order of the file."""
        names = dict.fromkeys(p.name for source in self.sources for p in source.properties)
        return ("dataset", *names)
