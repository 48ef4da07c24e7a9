"""What predicates and mixtures mean, in plain Python, one sample at a time: what every engine is compared with."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, TypeAlias

from mixtera.spec.model import Grouped, Parts, Spec
from mixtera.spec.predicate import And, Compare, Flag, Has, In, IsNone, Literal_, Matches, Not, Or, Predicate, TextTest

Value: TypeAlias = Literal_ | list[Literal_] | None
Sample: TypeAlias = Mapping[str, Value]
"""The properties of a sample, `dataset` among them; None is NULL, a missing list is an empty one."""

_COMPARE: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def holds(predicate: Predicate, sample: Sample) -> bool | None:
    """Whether a predicate is true of a sample; None where SQL says NULL."""
    match predicate:
        case And(terms):
            return _all(holds(term, sample) for term in terms)
        case Or(terms):
            return _not(_all(_not(holds(term, sample)) for term in terms))
        case Not(term):
            return _not(holds(term, sample))
        case IsNone(column, negated):
            return (sample[column] is None) != negated
        case Matches(column, values):
            return _matches(sample[column], values)
        case _:
            value = sample[predicate.column]
            return None if value is None else _leaf(predicate, value)


def _all(terms: Iterable[bool | None]) -> bool | None:
    found = list(terms)
    if False in found:
        return False
    return None if None in found else True


def _not(value: bool | None) -> bool | None:
    return None if value is None else not value


def _matches(value: Value, values: tuple[Literal_ | None, ...]) -> bool | None:
    if isinstance(value, list):
        return any(item in value for item in values)
    if value is None:
        return True if None in values else None
    return value in values


def _leaf(predicate: Compare | In | Has | TextTest | Flag, value: Any) -> bool:  # noqa: ANN401 - of the column's type
    match predicate:
        case Compare(_, op, other):
            return _COMPARE[op](value, other)
        case In(_, values, negated):
            return (value in values) != negated
        case Has(_, item, negated):
            return (item in value) != negated
        case TextTest(_, "startswith", text):
            return bool(value.startswith(text))
        case TextTest(_, "endswith", text):
            return bool(value.endswith(text))
        case TextTest(_, _, text):
            return text in value
        case Flag():
            return bool(value)


def passes(spec: Spec, sample: Sample) -> bool:
    """Whether a sample passes the filter of a spec."""
    return spec.filter is None or holds(spec.filter, sample) is True


def leaf_of(parts: Parts, sample: Sample) -> tuple[str, ...] | None:
    """The path of the leaf that takes a sample (for a `by` with the tuple of its values), or None."""
    if isinstance(parts, Grouped):
        return (",".join(_text(sample[name]) for name in parts.by),)
    for component in parts.components:
        if component.where is None or holds(component.where, sample) is True:
            if component.parts is None:
                return (component.name,)
            below = leaf_of(component.parts, sample)
            return None if below is None else (component.name, *below)
    return None


def leaf_paths(parts: Parts, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The paths of the leaves in the order of the spec; a `by` is one leaf, at the path of what it divides."""
    if isinstance(parts, Grouped):
        yield path
        return
    for component in parts.components:
        below = (*path, component.name)
        if component.parts is None:
            yield below
        else:
            yield from leaf_paths(component.parts, below)


def _text(value: Value) -> str:
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)
