"""What the rest of a spec makes known to its predicates and weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mixtera.contracts.properties import PropertyType
from mixtera.spec.model import Budget, Tokens, Unit


@dataclass(frozen=True, slots=True)
class Known:
    """Names that predicates and `by` may use, and the budget.

    Attributes:
        sources: Names of the sources.
        columns: `dataset` and every property of some source; None where the sources could not be read, so that
            nothing is called unknown because of another mistake.
        types: Declared types; properties without one are checked when the catalog knows them.
        budget: What parts of the budget are parts of; None where there is none.
        tokens: How samples become sequences; None where they do not.
        unit: What weights and positions of the mixture count.
        content: Content columns of the sources; None where they could not be read.
    """

    sources: tuple[str, ...]
    columns: tuple[str, ...] | None
    types: Mapping[str, PropertyType]
    budget: Budget | None = None
    tokens: Tokens | None = None
    unit: Unit = "samples"
    content: tuple[str, ...] | None = None
