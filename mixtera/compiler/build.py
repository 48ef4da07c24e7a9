"""Spec → logical plans, one per source, with every predicate checked against the types that the catalog knows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count

from mixtera.catalog.indexed import IndexedSource
from mixtera.compiler.leaves import by_columns, leaves, sort_keys
from mixtera.compiler.nodes import Branch, Choose, Condition, Constant, Emit, Outcome, Scan, Take, emit
from mixtera.contracts.properties import LIST_TYPES, PropertyType
from mixtera.errors import SpecError
from mixtera.registry import format_named
from mixtera.spec.issues import Issues, suggestion
from mixtera.spec.model import Grouped, Parts, SortKey, Source, Spec
from mixtera.spec.order import SORTABLE, unsortable
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


def build(spec: Spec, indexed: Sequence[IndexedSource], beside: Sequence[str] = ()) -> tuple[SourcePlan, ...]:
    """The logical plan of every source, as the spec says it: no rule has seen it.

    Args:
        spec: The spec.
        indexed: The snapshots of its sources, in its order.
        beside: Properties that leave the engine with the labels, beside those that the spec's groups, split and
            curricula need.

    Raises:
        SpecError: Predicates do not fit the types, or a `by` cannot be used; all such issues at once.
    """
    issues = Issues()
    check_curricula(sort_keys(leaves(spec.mixture, spec.order)), indexed, issues)
    building = _Building(spec, all_types(indexed), beside, issues)
    found = [
        SourcePlan(source, table, building.plan(source, table))
        for source, table in zip(spec.sources, indexed, strict=True)
    ]
    if issues.found:
        raise SpecError(issues.found)
    return tuple(found)


def has_offsets(source: Source) -> bool:
    """Whether the records of a source lie at byte offsets."""
    return format_named(source.format).offsets != "never"


def line_end_bytes(source: Source) -> int:
    """Bytes behind each record of a source that are read along: its line end, where it may have one."""
    return int(format_named(source.format).offsets == "always")


def all_types(indexed: Sequence[IndexedSource]) -> dict[str, PropertyType]:
    """Type of every property, of the first source that has it."""
    return {name: type_ for table in reversed(indexed) for name, type_ in table.types.items()}


@dataclass(frozen=True)
class _Parts:
    """What the plans of sources with the same properties share."""

    condition: Condition
    outcome: Outcome
    marks: tuple[tuple[str, Condition], ...]


class _Building:
    """Makes the plans of the sources of a spec; what depends on the types of properties alone is made once."""

    def __init__(self, spec: Spec, every: Types, beside: Sequence[str], issues: Issues) -> None:
        self._spec, self._every, self._issues = spec, every, issues
        self._leaves = leaves(spec.mixture, spec.order)
        self._keys = sort_keys(self._leaves)
        self._columns = _columns(spec, self._keys, beside)
        self._made: dict[tuple[tuple[str, PropertyType], ...], _Parts] = {}

    def plan(self, source: Source, table: IndexedSource) -> Emit:
        own = tuple(table.types.items())
        missing = tuple((name, type_) for name, type_ in self._every.items() if name not in table.types)
        scan = Scan(source.name, table.table, own, missing, table.keyed)
        if own not in self._made:
            self._made[own] = self._parts(scan.types)
        parts = self._made[own]
        return emit(scan, parts.condition, parts.outcome, has_offsets(source), self._columns, parts.marks)

    def _parts(self, types: Types) -> _Parts:
        """Conditions, checked against types."""

        def typed(predicate: Predicate) -> Predicate:
            checked, found = check_types(predicate, types)
            self._issues.extend(found)
            return checked

        condition = Constant(True) if self._spec.filter is None else typed(self._spec.filter)
        outcome = _outcome(self._spec.mixture.parts, count(), typed)
        for leaf in self._leaves:
            if leaf.group is not None:
                _check_by(leaf.group, types, self._issues)
        marks = [(mark_name(key, self._keys), typed(key.value)) for key in self._keys if not isinstance(key.value, str)]
        return _Parts(condition, outcome, tuple(marks))


def _columns(spec: Spec, keys: Sequence[SortKey], beside: Sequence[str]) -> tuple[str, ...]:
    """Properties that leave the engine with the labels, each once."""
    split = () if spec.holdout is None or spec.holdout.by is None else (spec.holdout.by,)
    sorted_by = (key.value for key in keys if isinstance(key.value, str))
    return tuple(dict.fromkeys((*by_columns(spec.mixture), *split, *sorted_by, *beside)))


def mark_name(key: SortKey, keys: Sequence[SortKey]) -> str:
    """The name under which the truth of a sort key that is a predicate leaves the engine."""
    return f"sort_{[other.text for other in keys].index(key.text)}"


def check_curricula(keys: Sequence[SortKey], indexed: Sequence[IndexedSource], issues: Issues) -> None:
    """Report properties that no curriculum can go by."""
    for key in keys:
        kinds = (
            {table.types[key.value] for table in indexed if key.value in table.types}
            if isinstance(key.value, str)
            else set()
        )
        for kind in sorted(kinds - set(SORTABLE)):
            issues.add(key.place, unsortable(key.text, kind))
        if len(kinds) > 1 and kinds <= set(SORTABLE) and kinds != {"int64", "float64"}:
            issues.add(
                key.place, f"by: {key.text} is {' and '.join(sorted(kinds))} in different sources; index it as one type"
            )


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
