"""The predicate language as values: what `where` and `filter` mean, whatever engine will run them.

A predicate is parsed without knowing types (`mixtera.spec.parse_predicate`); `mixtera.spec.typing` checks it against
the properties' types, and turns the literals of dates and timestamps into values.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Literal, TypeAlias

Literal_: TypeAlias = str | int | float | bool | datetime.date | datetime.datetime


@dataclass(frozen=True, slots=True)
class Span:
    """Where a node stands in the spec file: line and column from 1, and its text."""

    file: str
    line: int
    column: int
    text: str


@dataclass(frozen=True, slots=True)
class Compare:
    """`column op value`; NULL is neither true nor false."""

    column: str
    op: Literal["==", "!=", "<", "<=", ">", ">="]
    value: Literal_
    span: Span


@dataclass(frozen=True, slots=True)
class In:
    """`column in (values)`; with `negated`, `not in`. NULL is neither."""

    column: str
    values: tuple[Literal_, ...]
    negated: bool
    span: Span


@dataclass(frozen=True, slots=True)
class Has:
    """`value in list_column`; with `negated`, `not in`. A list is never NULL: a missing one is empty."""

    column: str
    value: Literal_
    negated: bool
    span: Span


@dataclass(frozen=True, slots=True)
class IsNone:
    """`column is None`; with `negated`, `is not None`. Never NULL."""

    column: str
    negated: bool
    span: Span


@dataclass(frozen=True, slots=True)
class TextTest:
    """`column.startswith("x")`, `endswith` or `contains` on a string column."""

    column: str
    test: Literal["startswith", "endswith", "contains"]
    value: str
    span: Span


@dataclass(frozen=True, slots=True)
class Flag:
    """A bool column on its own."""

    column: str
    span: Span


@dataclass(frozen=True, slots=True)
class Matches:
    """The mapping form `{column: value}` or `{column: [values]}`.

    Equality for a scalar column (any-of for several values); for a list column, whether it holds any of the values.
    `None` among the values matches NULL.
    """

    column: str
    values: tuple[Literal_ | None, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class And:
    """All of the terms (two or more), in three-valued logic."""

    terms: tuple[Predicate, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Any of the terms (two or more), in three-valued logic."""

    terms: tuple[Predicate, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite; NULL stays NULL."""

    term: Predicate


Predicate: TypeAlias = Compare | In | Has | IsNone | TextTest | Flag | Matches | And | Or | Not
