"""What the sources of a spec make known to its predicates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mixtera.contracts.properties import PropertyType


@dataclass(frozen=True, slots=True)
class Known:
    """Names that predicates and `by` may use.

    Attributes:
        sources: Names of the sources.
        columns: `dataset` and every property of some source; None where the sources could not be read, so that
            nothing is called unknown because of another mistake.
        types: Declared types; properties without one are checked when the catalog knows them.
    """

    sources: tuple[str, ...]
    columns: tuple[str, ...] | None
    types: Mapping[str, PropertyType]
