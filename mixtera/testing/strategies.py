"""Random specs and catalogs for property-based tests: small pools of awkward values, so that predicates often hold."""

from __future__ import annotations

import datetime
import math
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
    "string": (
        *("", "en", "EN", "o'clock", 'say "no"', "naïve", "nai\u0308ve", "ß", "🙂", "100%_", "a\\b", "\\.", "{a,b}"),
        *("two\nlines", "null"),
    ),
    "int64": (-(2**63), -(2**62), -1, 0, 1, 7, 2**40, 2**53, 2**53 + 1, 2**63 - 1),
    "float64": (-1.5, 0.0, 5e-324, 0.25, 0.1 + 0.2, 0.3, 1e300),
    "bool": (True, False),
    "date": (
        *(datetime.date.min, datetime.date(1969, 12, 31), datetime.date(2000, 2, 29), datetime.date(2024, 1, 1)),
        datetime.date.max,
    ),
    "timestamp": (
        datetime.datetime.min.replace(tzinfo=_UTC),
        datetime.datetime(1969, 12, 31, 23, 59, 59, 999_999, _UTC),
        datetime.datetime(2020, 6, 1, tzinfo=_UTC),
        datetime.datetime(2020, 6, 1, 0, 0, 0, 1, _UTC),
        datetime.datetime.max.replace(tzinfo=_UTC),
    ),
}
"""Values that properties of each type have, and predicates ask for: extremes, near misses, and what quoting meets."""

DATA_ONLY: Final[Mapping[str, Sequence[Any]]] = {"float64": (math.inf, -math.inf)}
"""Values that data may have beside them, and a spec cannot write."""

ASKED_ONLY: Final[Mapping[str, Sequence[Any]]] = {"float64": (-0.0,)}
"""Values that a spec may write beside them, and a catalog never has."""

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


def element(type_: str) -> str:
    """The type of a list's elements; that of a value itself."""
    return type_.removeprefix("list<").removesuffix(">")


def asked(type_: str) -> Sequence[Any]:
    """What predicates on a property ask for."""
    return (*POOLS[element(type_)], *ASKED_ONLY.get(element(type_), ()))


def held(type_: str) -> Sequence[Any]:
    """What a property, or the lists of one, may hold."""
    return (*POOLS[element(type_)], *DATA_ONLY.get(element(type_), ()))


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
    column, span, negated, value = st.just(name), st.just(_SPAN), st.booleans(), st.sampled_from(asked(type_))
    if type_ in LIST_TYPES:
        has = st.builds(Has, column, value, negated, span)
        return st.one_of(has, st.builds(Matches, column, _some(asked(type_)), span))
    found: list[st.SearchStrategy[Predicate]] = [
        st.builds(In, column, _some(asked(type_)), negated, span),
        st.builds(IsNone, column, negated, span),
        st.builds(Matches, column, _some((*asked(type_), None)), span),
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
    value = st.sampled_from(held(type_))
    return st.lists(value, max_size=3) if type_ in LIST_TYPES else st.none() | value


def samples(types: Mapping[str, PropertyType]) -> st.SearchStrategy[dict[str, Any]]:
    """The properties of one sample."""
    return st.fixed_dictionaries({name: _values(type_) for name, type_ in types.items()})


PREDICATES: Final = predicates(TYPES)
"""Predicates over all of `TYPES`; made once, since making strategies takes longer than drawing from them."""

_NAMES: Final = st.sets(st.sampled_from(sorted(TYPES)))
_GROUPABLE: Final = ["dataset", *(name for name, type_ in TYPES.items() if type_ in ("string", "int64", "bool"))]
_BY: Final = st.lists(st.sampled_from(_GROUPABLE), min_size=1, max_size=2, unique=True).map(tuple)
_SAMPLES: Final = st.one_of(samples(TYPES), samples(TYPES), samples(TYPES), st.none())


@st.composite
def made_sources(draw: st.DrawFn, most_rows: int = 12) -> list[MadeSource]:
    """One to three sources, each with some of `TYPES`, together with all; ids in any order, some rows unusable."""
    ids = iter(draw(st.permutations(range(0, 2**32, 2**29 + 3))))
    found: list[MadeSource] = []
    names = _SOURCES[: draw(st.integers(1, 3))]
    for name in names:
        had = {column for source in found for column in source.types}
        lacks = draw(_NAMES) if name != names[-1] else had & draw(_NAMES)
        types = {column: type_ for column, type_ in TYPES.items() if column not in lacks}
        format_ = draw(st.sampled_from(["jsonl", "parquet"]))
        files = [
            _made_file(draw, f"part-{number}", next(ids), types, most_rows) for number in range(draw(st.integers(1, 2)))
        ]
        found.append(MadeSource(name, types, files, format_))
    return found


def _made_file(draw: st.DrawFn, name: str, file_id: int, types: Mapping[str, PropertyType], rows: int) -> MadeFile:
    drawn = draw(st.lists(_SAMPLES, max_size=rows))
    found = [None if sample is None else {column: sample[column] for column in types} for sample in drawn]
    lengths = draw(st.lists(st.integers(1, 50), min_size=len(found), max_size=len(found)))
    return MadeFile(name, file_id, found, lengths, _cut(draw, len(found)) if draw(st.booleans()) else ())


def _cut(draw: st.DrawFn, rows: int) -> tuple[int, ...]:
    first = draw(st.integers(0, rows))
    return (first, rows - first)


@st.composite
def specs(draw: st.DrawFn, sources: Sequence[MadeSource]) -> Spec:
    """A spec over some sources, with a flat, a nested or a grouped mixture."""
    chosen = draw(st.none() | PREDICATES)
    mixture = Mixture("samples", draw(mixtures()), "redistribute", None)
    return Spec("random", tuple(source.source for source in sources), chosen, mixture, Order(), "spec.yaml")


@st.composite
def mixtures(draw: st.DrawFn, depth: int = 2) -> Parts:
    """Listed components, nested up to `depth`, or groups."""
    if draw(st.integers(0, 3)) == 0:
        return Grouped(draw(_BY), Natural(), _PLACE)
    components = []
    for number in range(draw(st.integers(1, 3))):
        where = draw(st.none() | PREDICATES) if number else draw(PREDICATES)
        inner = draw(mixtures(depth - 1)) if depth > 1 and draw(st.integers(0, 3)) == 0 else None
        weight = float(draw(st.integers(1, 5)))
        components.append(Component(f"c{number}", where, weight, None, None, inner, _PLACE))
    return Listed(tuple(components))
