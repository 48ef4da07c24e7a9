"""The spec as small frozen values. `parse` makes them, everything after reads them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

from mixtera.contracts.storage import StorageOptions
from mixtera.errors import Issue, SpecError
from mixtera.spec.predicate import Predicate
from mixtera.spec.properties import ComputedProperty as ComputedProperty
from mixtera.spec.properties import ExistingTable as ExistingTable
from mixtera.spec.properties import Place as Place
from mixtera.spec.properties import Property as Property
from mixtera.spec.properties import Sidecar as Sidecar
from mixtera.spec.rows import Packing as Packing
from mixtera.spec.rows import SpecialToken as SpecialToken
from mixtera.spec.rows import Tokens as Tokens

OnExhaust: TypeAlias = Literal["stop", "redistribute", "repeat", "error"]
Ramp: TypeAlias = Literal["linear", "cosine"]
HoldoutPart: TypeAlias = Literal["train", "holdout"]
Unit: TypeAlias = Literal["samples", "tokens"]


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
    """A named set of files of one format.

    Attributes:
        name: Its name.
        paths: Resolved patterns (absolute paths or URLs).
        format: Name of the format.
        content: What is delivered.
        properties: What is read from the records.
        on_bad_sample: What to do with records that cannot be used.
        place: Where it stands.
        computed: What functions compute from these, each after those it needs.
        sidecars: Tables that bring more.
        table: The table that has its properties; None: they are read from the records. `paths` is then the folder
            that the table's file names are relative to, or empty.
    """

    name: str
    paths: tuple[str, ...]
    format: str
    content: tuple[ContentField, ...]
    properties: tuple[Property, ...]
    on_bad_sample: BadSamples
    place: Place
    computed: tuple[ComputedProperty, ...] = ()
    sidecars: tuple[Sidecar, ...] = ()
    storage: StorageOptions = ()
    table: ExistingTable | None = None

    @property
    def property_names(self) -> tuple[str, ...]:
        """Every property, wherever it comes from: of the records, of sidecars, computed."""
        beside = (wanted.name for sidecar in self.sidecars for wanted in sidecar.properties)
        return (*(p.name for p in self.properties), *beside, *(computed.name for computed in self.computed))


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
        order: The order inside it; None inherits from the parent.
        bounds: Bounds of its share among its siblings, at every position.
        deliver: Content columns that its samples are delivered with, instead of tokens; empty inherits from the parent.
    """

    name: str
    where: Predicate | None
    weight: float | None
    on_exhaust: OnExhaust | None
    max_epochs: float | None
    parts: Parts | None
    place: Place
    order: OwnOrder | None = None
    bounds: Bounds = Bounds()
    deliver: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SortKey:
    """One key of a curriculum.

    Attributes:
        value: Name of a property, or a predicate: what it is false for comes first.
        descending: Large before small. Samples without a value come last either way.
        text: As it is written.
        place: Where it stands.
    """

    value: str | Predicate
    descending: bool
    text: str
    place: Place


@dataclass(frozen=True, slots=True)
class OwnOrder:
    """The order inside a component, where it differs from the whole mixture's.

    Attributes:
        shuffle: See `Order`; None inherits.
        by: Keys of a curriculum; None inherits, an empty tuple is none.
    """

    shuffle: Literal["global", "none"] | None
    by: tuple[SortKey, ...] | None


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
    """How long the training will go on.

    Attributes:
        samples: Positions over all ranks: samples, or sequences where samples are packed.
        batch: Positions of a step over all ranks, where the budget is written in steps.
        place: Where it stands.
    """

    samples: int
    batch: int | None
    place: Place


@dataclass(frozen=True, slots=True)
class Dynamic:
    """Weights that follow the training.

    Attributes:
        algorithm: Name of the algorithm.
        options: Those that are given, by name.
        bounds: Of the share of every component in the whole mixture.
        every: Weights change at multiples of this many steps.
        lag: Steps from one that asks for a fit to the one from which its result counts.
        place: Where it stands.
    """

    algorithm: str
    options: Mapping[str, Any]
    bounds: Bounds
    every: int
    lag: int
    place: Place


@dataclass(frozen=True, slots=True)
class Mixture:
    """The whole mixture: its parts, and what holds for all of them unless they say otherwise."""

    unit: Unit
    parts: Parts
    on_exhaust: OnExhaust
    max_epochs: float | None
    budget: Budget | None = None
    dynamic: Dynamic | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """The order of the stream (DESIGN 2.4). Sizes in samples; `granule` divides `chunk_size`; `by` is a curriculum."""

    seed: int = 0
    shuffle: Literal["global", "none"] = "global"
    chunk_size: int = 16384
    lanes: int = 16
    granule: int = 32
    by: tuple[SortKey, ...] = ()


@dataclass(frozen=True, slots=True)
class Holdout:
    """A part of the samples that is kept apart by a hash, the same whatever the mixture.

    Attributes:
        fraction: How much is held out, about; between 0 and 1.
        salt: Another salt holds out other samples.
        by: Property whose values are held out whole (a document, an author, a repository); None: each sample alone.
        part: Which side of the split this spec is about.
        place: Where it stands.
    """

    fraction: float
    salt: str
    by: str | None
    part: HoldoutPart
    place: Place


@dataclass(frozen=True, slots=True)
class Exclusion:
    """A list of samples that are not delivered.

    Attributes:
        path: Path or URL of a table: ids, or values of properties.
        columns: Property → column of the table; empty: the columns are named as the properties.
        place: Where it stands.
    """

    path: str
    columns: tuple[tuple[str, str], ...]
    place: Place


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
        holdout: The split of the samples; None: there is none.
        exclude: Lists of samples that are not delivered.
        lines: The file with what it includes, normalised (`mixtera.spec.lines`): what a later difference names.
        part_given: Whether `with_part` has chosen the side of the split, and not the file.
        tokens: How samples become sequences of tokens; None: they are delivered as they are.
        group: Positions in a row that deliver the same, where components deliver different things.
    """

    name: str
    sources: tuple[Source, ...]
    filter: Predicate | None
    mixture: Mixture
    order: Order
    file: str
    holdout: Holdout | None = None
    exclude: tuple[Exclusion, ...] = ()
    lines: tuple[str, ...] = ()
    part_given: bool = False
    tokens: Tokens | None = None
    group: int = 1

    def with_part(self, part: HoldoutPart) -> Spec:
        """The same spec about one side of its split.

        Raises:
            SpecError: It has no `holdout`.
        """
        if self.holdout is None:
            raise SpecError(
                [Issue(self.file, 1, 1, f"the part {part!r} is asked for, and the spec has no `holdout`; add one")]
            )
        given = part != self.holdout.part
        return replace(self, holdout=replace(self.holdout, part=part), part_given=given or self.part_given)

    def with_computed(self, computed: Iterable[tuple[str, ComputedProperty]]) -> Spec:
        """The same spec whose sources have more computed properties.

        `Catalog.index` computes them, `Catalog.source` has their types, and the compiler can ask the engine for them.

        Args:
            computed: Names of sources with what is to be computed for them; one that the source has is replaced.
        """
        wanted = list(computed)
        return replace(self, sources=tuple(_with_computed(source, wanted) for source in self.sources))

    @property
    def property_names(self) -> tuple[str, ...]:
        """Every property that some source has, and `dataset`, in the order of the file."""
        names = dict.fromkeys(name for source in self.sources for name in source.property_names)
        return ("dataset", *names)


def _with_computed(source: Source, wanted: Iterable[tuple[str, ComputedProperty]]) -> Source:
    more = {computed.name: computed for name, computed in wanted if name == source.name}
    have = {computed.name: computed for computed in source.computed}
    return replace(source, computed=tuple((have | more).values()))
