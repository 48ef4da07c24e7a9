"""Facts: what the compiler wrote down of the spec and the catalog (`mixtera.compiler.facts`), as far as used here.

A plan that was made otherwise has none of them, and its explanation says less.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec


@dataclass(frozen=True, slots=True)
class SourceFact:
    """A source: its samples in the catalog, and what became of them."""

    name: str
    files: int
    bytes: int
    rows: int
    dropped: int
    unassigned: int
    weightless: int
    held_out: int = 0
    excluded: int = 0


@dataclass(frozen=True, slots=True)
class ContinuedFact:
    """A component of a plan that takes over from another: what becomes of it, and what of it was delivered."""

    name: str
    fate: str
    delivered: int


@dataclass(frozen=True, slots=True)
class ContinuesFact:
    """What a plan that takes over from another does with the components."""

    components: tuple[ContinuedFact, ...]
    gone: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ComponentFact:
    """A component or group as written; a whole mixture `by` properties has no name."""

    name: str = ""
    weight: float | None = None
    by: tuple[str, ...] = ()
    weights: str = ""


@dataclass(frozen=True, slots=True)
class Definition:
    """What the spec says."""

    filter: str | None
    mixture: tuple[ComponentFact, ...]


@dataclass(frozen=True, slots=True)
class StretchFact:
    """Positions [first, last) over which the spec's weights do not change, or along a ramp."""

    first: int
    last: int | None
    ramp: bool


@dataclass(frozen=True, slots=True)
class BoundedFact:
    """A share among siblings that floors and ceilings changed: from a position on, as asked and as it is."""

    name: str
    at: int
    asked: float
    share: float


@dataclass(frozen=True, slots=True)
class Facts:
    """The facts of a plan."""

    definition: Definition = field(default_factory=lambda: Definition(None, ()))
    sources: tuple[SourceFact, ...] = ()
    budget: int | None = None
    batch: int | None = None
    ended_by: str | None = None
    stretches: tuple[StretchFact, ...] = ()
    bounded: tuple[BoundedFact, ...] = ()
    continues: ContinuesFact | None = None

    @property
    def weights(self) -> dict[str, float]:
        """Weights as written, by full name."""
        return {part.name: part.weight for part in self.definition.mixture if part.weight is not None}

    @property
    def by(self) -> tuple[str, ...]:
        """The properties that the whole mixture is grouped by."""
        return next((part.by for part in self.definition.mixture if not part.name), ())


def facts_of(values: dict[str, Any]) -> Facts:
    """Read `PlanData.facts`; there are none where they have another form than expected."""
    try:
        return msgspec.convert(values, Facts)
    except msgspec.ValidationError:
        return Facts()
