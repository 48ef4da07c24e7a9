"""Random specs and catalogs for property-based tests: small pools of awkward values, so that predicates often hold."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import Any, Final

import hypothesis.strategies as st

from mixtera.contracts.properties import LIST_TYPES, PropertyType
from mixtera.spec.model import Component, Grouped, Listed, Mixture, Natural, Order, Parts, Place, Spec
from mixtera.spec.predicate import And, Compare, Flag, Has, In, IsNone, Matches, Not, Or, Predicate, Span, TextTest
from mixtera.testing.catalog import MadeFile, MadeSource

_SPAN: Final = Span("spec.yaml", 1, 1, "")
_PLACE: Final = Place("spec.yaml", 1, 1)
_UTC: Final = datetime.UTC

POOLS: Final[Mapping[str, Sequence[Any]]] = {
    "string": ("", "en", "EN", "o'clock", 'say "no"', "naïve", "100%_", "a\\b", "null"),
    "int64": (-(2**62), -1, 0, 1, 7, 2**40),
    "float64": (-1.5, 0.0, 0.25, 1e300),
    "bool": (True, False),
    "date": (datetime.date(1969, 12, 31), datetime.date(2000, 2, 29), datetime.date(2024, 1, 1)),
    "timestamp": (
        datetime.datetime(1969, 12, 31, 23, 59, 59, 999_999, _UTC),
        datetime.datetime(2020, 6, 1, tzinfo=_UTC),
        datetime.datetime(2020, 6, 1, 0, 0, 0, 1, _UTC),
    ),
}
"""Values that properties of each type have."""

TYPES: Final[Mapping[str, PropertyType]] = {
    "text": "string",
    "kind": "string",
    "count": "int64",
    "score": "float64",
    "clean": "bool",
    "day": "date",
    "moment": "timestamp",
    "topics": "list<string>",
    "years": "list<int64>",
    "scores": "list<float64>",
}
"""Properties that random sources have, or lack."""

_SOURCES: Final = ("web", "code", "books")
_TESTS: Final = ("startswith", "endswith", "contains")


def _pool(type_: str) -> Sequence[Any]:
    return POOLS[type_.removeprefix("list<").removesuffix(">")]


def predicates(types: Mapping[str, PropertyType], sources: Sequence[str] = _SOURCES) -> st.SearchStrategy[Predicate]:
    """Predicates over some properties and `dataset`, of the right types."""
    leaves = [_leaf(name, type_) for name, type_ in types.items()]
    leaves += [st.builds(Compare, st.just("dataset"), _equality(), st.sampled_from(sources), st.just(_SPAN))]
    leaves += [st.builds(Matches, st.just("dataset"), _some(sources), st.just(_SPAN))]
    return st.recursive(st.one_of(leaves), _combined, max_leaves=6)


def _combined(inner: st.SearchStrategy[Predicate]) -> st.SearchStrategy[Predicate]:
    terms = st.lists(inner, min_size=2, max_size=3).map(tuple)
    return st.one_of(st.builds(And, terms), st.builds(Or, terms), st.builds(Not, inner))


def _equality() -> st.SearchStrategy[str]:
    return st.sampled_from(["==", "!="])


def _some(values: Sequence[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(st.sampled_from(values), min_size=1, max_size=3, unique=True).map(tuple)


def _leaf(name: str, type_: str) -> st.SearchStrategy[Predicate]:
    column, span, negated, value = st.just(name), st.just(_SPAN), st.booleans(), st.sampled_from(_pool(type_))
    if type_ in LIST_TYPES:
        has = st.builds(Has, column, value, negated, span)
        return st.one_of(has, st.builds(Matches, column, _some(_pool(type_)), span))
    found: list[st.SearchStrategy[Predicate]] = [
        st.builds(In, column, _some(_pool(type_)), negated, span),
        st.builds(IsNone, column, negated, span),
        st.builds(Matches, column, _some((*_pool(type_), None)), span),
    ]
    ordered = type_ not in ("string", "bool")
    operators = st.sampled_from(["==", "!=", "<", "<=", ">", ">="]) if ordered else _equality()
    found.append(st.builds(Compare, column, operators, value, span))
    if type_ == "string":
        found.append(st.builds(TextTest, column, st.sampled_from(_TESTS), value, span))
    if type_ == "bool":
        found.append(st.builds(Flag, column, span))
    return st.one_of(found)


def _values(type_: str) -> st.SearchStrategy[Any]:
    value = st.sampled_from(_pool(type_))
    return st.lists(value, max_size=3) if type_ in LIST_TYPES else st.none() | value


def samples(types: Mapping[str, PropertyType]) -> st.SearchStrategy[dict[str, Any]]:
    """The properties of one sample."""
    return st.fixed_dictionaries({name: _values(type_) for name, type_ in types.items()})


@st.composite
def made_sources(draw: st.DrawFn, most_rows: int = 12) -> list[MadeSource]:
    """One to three sources with some of the properties each, files in any order of ids, some rows unusable."""
    ids = iter(draw(st.permutations(range(0, 2**32, 2**29 + 3))))
    found = []
    for name in _SOURCES[: draw(st.integers(1, 3))]:
        types = {column: type_ for column, type_ in TYPES.items() if draw(st.integers(0, 3))}
        format_ = draw(st.sampled_from(["jsonl", "parquet"]))
        files = [
            _made_file(draw, f"part-{number}", next(ids), types, most_rows) for number in range(draw(st.integers(1, 2)))
        ]
        found.append(MadeSource(name, types, files, format_))
    return found


def _made_file(draw: st.DrawFn, name: str, file_id: int, types: Mapping[str, PropertyType], rows: int) -> MadeFile:
    found = draw(st.lists(st.one_of(samples(types), samples(types), samples(types), st.none()), max_size=rows))
    lengths = draw(st.lists(st.integers(1, 50), min_size=len(found), max_size=len(found)))
    return MadeFile(name, file_id, found, lengths, _cut(draw, len(found)) if draw(st.booleans()) else ())


def _cut(draw: st.DrawFn, rows: int) -> tuple[int, ...]:
    first = draw(st.integers(0, rows))
    return (first, rows - first)


@st.composite
def specs(draw: st.DrawFn, sources: Sequence[MadeSource]) -> Spec:
    """A spec over some sources, with a flat, a nested or a grouped mixture."""
    types = {name: type_ for source in sources for name, type_ in source.types.items()}
    chosen = draw(st.none() | predicates(types))
    parts = draw(mixtures(types))
    mixture = Mixture("samples", parts, "redistribute", None)
    return Spec("random", tuple(source.source for source in sources), chosen, mixture, Order(), "spec.yaml")


@st.composite
def mixtures(draw: st.DrawFn, types: Mapping[str, PropertyType], depth: int = 2) -> Parts:
    """Listed components, nested up to `depth`, or groups."""
    groupable = [name for name, type_ in types.items() if type_ in ("string", "int64", "bool")]
    if draw(st.integers(0, 3)) == 0:
        by = draw(st.lists(st.sampled_from(["dataset", *groupable]), min_size=1, max_size=2, unique=True))
        return Grouped(tuple(by), Natural(), _PLACE)
    components = []
    for number in range(draw(st.integers(1, 3))):
        where = draw(st.none() | predicates(types)) if number else draw(predicates(types))
        inner = draw(mixtures(types, depth - 1)) if depth > 1 and draw(st.integers(0, 3)) == 0 else None
        weight = float(draw(st.integers(1, 5)))
        components.append(Component(f"c{number}", where, weight, None, None, inner, _PLACE))
    return Listed(tuple(components))
