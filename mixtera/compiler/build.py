"""Spec → logical plans, one per source, with every predicate checked against the types that the catalog knows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count

from mixtera.catalog.model import IndexedSource
from mixtera.compiler.inputs import Catalog
from mixtera.compiler.leaves import by_columns, leaves
from mixtera.compiler.nodes import Branch, Choose, Condition, Constant, Emit, Outcome, Scan, Take, emit
from mixtera.contracts.properties import LIST_TYPES, PropertyType
from mixtera.errors import SpecError
from mixtera.registry import format_named
from mixtera.spec.issues import Issues, suggestion
from mixtera.spec.model import Grouped, Parts, Source, Spec
from mixtera.spec.predicate import Predicate
from mixtera.spec.typing import check_types

Types = Mapping[str, PropertyType]


@dataclass(frozen=True)
class SourcePlan:
    """A source of the spec, its snapshot in the catalog, and its logical plan."""

    source: Source
    indexed: IndexedSource
    plan: Emit

    @property
    def offsets(self) -> bool:
        """Whether its records lie at byte offsets."""
        return self.plan.offsets


def build(spec: Spec, catalog: Catalog) -> tuple[SourcePlan, ...]:
    """The logical plan of every source, as the spec says it: no rule has seen it.

    Raises:
        SpecError: Predicates do not fit the types, or a `by` column is a list; all such issues at once.
        CatalogError: A source is not indexed, or was indexed differently.
    """
    indexed = [catalog.source(source) for source in spec.sources]
    return plans(spec, indexed)


def plans(spec: Spec, indexed: Sequence[IndexedSource]) -> tuple[SourcePlan, ...]:
    """Like `build`, over snapshots at hand, one per source of the spec."""
    every = _all_types(indexed)
    issues = Issues()
    found = [
        SourcePlan(source, table, _plan(spec, source, table, every, issues))
        for source, table in zip(spec.sources, indexed, strict=True)
    ]
    if issues.found:
        raise SpecError(issues.found)
    return tuple(found)


def _all_types(indexed: Sequence[IndexedSource]) -> dict[str, PropertyType]:
    """Type of every property, of the first source that has it."""
    return {name: type_ for table in reversed(indexed) for name, type_ in table.types.items()}


def _plan(spec: Spec, source: Source, table: IndexedSource, every: Types, issues: Issues) -> Emit:
    own = tuple((name, type_) for name, type_ in table.types.items())
    missing = tuple((name, type_) for name, type_ in every.items() if name not in table.types)
    scan = Scan(source.name, table.table, own, missing)

    def typed(predicate: Predicate) -> Predicate:
        checked, found = check_types(predicate, scan.types)
        issues.extend(found)
        return checked

    condition = Constant(True) if spec.filter is None else typed(spec.filter)
    outcome = _outcome(spec.mixture.parts, count(), typed)
    for leaf in leaves(spec.mixture):
        if leaf.group is not None:
            _check_by(leaf.group, scan.types, issues)
    offsets = format_named(source.format).offsets == "always"
    return emit(scan, condition, outcome, offsets, by_columns(spec.mixture))


def _outcome(parts: Parts, labels: Iterator[int], typed: Callable[[Predicate], Predicate]) -> Outcome:
    """The choice that a mixture is; leaves take their labels in the order of the spec."""
    if isinstance(parts, Grouped):
        return Take(next(labels))
    branches: list[Branch] = []
    for component in parts.components:
        condition: Condition = Constant(True) if component.where is None else typed(component.where)
        then = Take(next(labels)) if component.parts is None else _outcome(component.parts, labels, typed)
        branches.append(Branch(condition, then))
    return Choose(tuple(branches))


def _check_by(group: Grouped, types: Types, issues: Issues) -> None:
    for name in group.by:
        if name not in types:
            issues.add(group.place, f"by: unknown property {name!r}{suggestion(name, sorted(types), 'known')}")
        elif types[name] in LIST_TYPES:
            issues.add(
                group.place,
                f"by: {name} is {types[name]}: a sample may have several of its values; "
                f'write components with `"…" in {name}`, or group by a property that is no list',
            )
