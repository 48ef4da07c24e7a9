"""Every comparison of the predicate language with every awkward value: what engines are likely to disagree on."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Final, Literal

from mixtera.contracts.properties import LIST_TYPES, PropertyType
from mixtera.spec.predicate import Compare, Flag, Has, In, IsNone, Predicate, Span, TextTest
from mixtera.testing.reference import Value
from mixtera.testing.strategies import asked, held

_SPAN: Final = Span("spec.yaml", 1, 1, "")
_TESTS: Final[tuple[Literal["startswith", "endswith", "contains"], ...]] = ("startswith", "endswith", "contains")
_EQUALITY: Final[tuple[Literal["==", "!="], ...]] = ("==", "!=")
_ORDER: Final[tuple[Literal["<", "<=", ">", ">="], ...]] = ("<", "<=", ">", ">=")


def values(type_: PropertyType) -> list[Value]:
    """Values of a property: NULL, each awkward one, and texts that begin or end with one; lists of none to all."""
    single: list[Any] = list(held(type_))
    if type_ in LIST_TYPES:
        return [[], single, *([value] for value in single), *map(list, pairwise(single))]
    joined = [first + second for first in single for second in single[:4]] if type_ == "string" else []
    return [None, *single, *joined]


def predicates(column: str, type_: PropertyType) -> Iterator[Predicate]:
    """Every comparison of a column with every awkward value."""
    for value in asked(type_):
        if type_ in LIST_TYPES:
            yield from (Has(column, value, negated, _SPAN) for negated in (False, True))
        else:
            yield from _comparisons(column, type_, value)
    if type_ == "bool":
        yield Flag(column, _SPAN)
    if type_ not in LIST_TYPES:
        yield from (IsNone(column, negated, _SPAN) for negated in (False, True))


def _comparisons(column: str, type_: PropertyType, value: Any) -> Iterator[Predicate]:  # noqa: ANN401 - of the type
    first = asked(type_)[0]
    operators = _EQUALITY if type_ in ("string", "bool") else (*_EQUALITY, *_ORDER)
    yield from (Compare(column, operator, value, _SPAN) for operator in operators)
    yield from (In(column, (value, first), negated, _SPAN) for negated in (False, True))
    if type_ == "string":
        yield from (TextTest(column, test, value, _SPAN) for test in _TESTS)
