"""Facts: what the compiler wrote down of the spec and the catalog. A plan made otherwise has none, or some of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec


@dataclass(frozen=True, slots=True)
class OverlapFact:
    """Samples that match two components' predicates; full names, in the order of the spec."""

    first: str
    second: str
    samples: int


@dataclass(frozen=True, slots=True)
class Facts:
    """The facts that an explanation uses; the others are the compiler's own.

    Attributes:
        rows: Samples in the catalog.
        kept: Samples that the filter kept.
        filter: The filter as written.
        weights: Weights as written, by full name of component or group.
        overlap: Overlapping components; None when they were not looked for.
    """

    rows: int | None = None
    kept: int | None = None
    filter: str | None = None
    weights: dict[str, float] = field(default_factory=dict)
    overlap: tuple[OverlapFact, ...] | None = None


def facts_of(values: dict[str, Any]) -> Facts:
    """Read `PlanData.facts`; what has another form than expected is left out."""
    try:
        return msgspec.convert(values, Facts)
    except msgspec.ValidationError:
        return Facts()
