"""The logical plan of one source: Scan → Select → Assign → Emit. Rules rewrite it, `lower` reads it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, TypeAlias

from mixtera.catalog.indexed import Keyed
from mixtera.contracts.properties import PropertyType
from mixtera.spec.predicate import Predicate

NO_LABEL: Final = -1
"""What `label` says of a sample that passes the filter and belongs to no component."""


@dataclass(frozen=True, slots=True)
class Constant:
    """A condition whose truth is known. It stands alone: never inside And, Or or Not."""

    value: bool


Condition: TypeAlias = Predicate | Constant


@dataclass(frozen=True, slots=True)
class Take:
    """The sample gets this label."""

    label: int


@dataclass(frozen=True, slots=True)
class Choose:
    """The first branch whose condition is true decides; without one the sample has no label."""

    branches: tuple[Branch, ...]


@dataclass(frozen=True, slots=True)
class Branch:
    """One case of a choice."""

    condition: Condition
    then: Outcome


Outcome: TypeAlias = Take | Choose


@dataclass(frozen=True, slots=True)
class Scan:
    """The catalog's table of one source.

    Attributes:
        source: Name of the source.
        table: Name of its table.
        columns: Property columns that are read, with their types.
        missing: Properties that other sources have and this one lacks, with the type they have there: NULL here, or
            an empty list.
        keyed: How its rows name their samples, where it is a table of others.
    """

    source: str
    table: str
    columns: tuple[tuple[str, PropertyType], ...]
    missing: tuple[tuple[str, PropertyType], ...] = ()
    keyed: Keyed | None = None

    @property
    def types(self) -> dict[str, PropertyType]:
        """Type of every column that a condition may name."""
        return dict((*self.columns, *self.missing, ("dataset", "string")))


@dataclass(frozen=True, slots=True)
class Select:
    """Keeps the samples for which the condition is true."""

    input: Scan
    condition: Condition


@dataclass(frozen=True, slots=True)
class Assign:
    """Gives each sample its label."""

    input: Scan | Select
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Emit:
    """The root: what leaves the engine.

    Attributes:
        input: What gives the label.
        offsets: Whether `offset` and `length` are needed.
        by: Property columns that leave the engine with the label: they make groups, or a split, an exclusion or a
            curriculum goes by them.
        marks: Conditions whose truth leaves the engine with the label, by name.
    """

    input: Assign
    offsets: bool
    by: tuple[str, ...] = field(default=())
    marks: tuple[tuple[str, Condition], ...] = ()

    @property
    def scan(self) -> Scan:
        """The leaf of this plan."""
        return self.input.input.input if isinstance(self.input.input, Select) else self.input.input

    @property
    def filter(self) -> Condition:
        """The filter; true where there is none."""
        return self.input.input.condition if isinstance(self.input.input, Select) else Constant(True)


def emit(
    scan: Scan,
    condition: Condition,
    outcome: Outcome,
    offsets: bool,
    by: tuple[str, ...],
    marks: tuple[tuple[str, Condition], ...] = (),
) -> Emit:
    """Put a plan together; a filter that is true is left out."""
    selected = scan if condition == Constant(True) else Select(scan, condition)
    return Emit(Assign(selected, outcome), offsets, by, marks)
