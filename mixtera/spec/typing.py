"""Checks a predicate against the properties' types: engines coerce differently, so nothing is left to them."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Final

from mixtera.contracts.properties import LIST_TYPES, PropertyType
from mixtera.errors import Issue
from mixtera.spec.predicate import (
    And,
    Compare,
    Flag,
    Has,
    In,
    IsNone,
    Literal_,
    Matches,
    Not,
    Or,
    Predicate,
    Span,
    TextTest,
)

_ORDERED: Final = ("int64", "float64", "date", "timestamp")


def columns(predicate: Predicate) -> tuple[str, ...]:
    """The columns that a predicate reads, each once, in the order in which they first appear."""
    match predicate:
        case And(terms) | Or(terms):
            return tuple(dict.fromkeys(name for term in terms for name in columns(term)))
        case Not(term):
            return columns(term)
        case _:
            return (predicate.column,)


def check_types(predicate: Predicate, types: Mapping[str, PropertyType]) -> tuple[Predicate, list[Issue]]:
    """Check a predicate against the types of its columns.

    Args:
        predicate: The predicate.
        types: Column → type. Columns that are not in it are left as they are.

    Returns:
        The predicate with its literals converted: whole numbers to float for a float64 column, ISO texts to
        `datetime.date` for a date column and to `datetime.datetime` in UTC for a timestamp column (a text without a
        zone is in UTC). And the issues; where there are any, the predicate is of no use.
    """
    checker = _Checker(types)
    return checker.check(predicate), checker.issues


class _Checker:
    def __init__(self, types: Mapping[str, PropertyType]) -> None:
        self._types = types
        self.issues: list[Issue] = []

    def check(self, node: Predicate) -> Predicate:
        match node:
            case And(terms):
                return And(tuple(self.check(term) for term in terms))
            case Or(terms):
                return Or(tuple(self.check(term) for term in terms))
            case Not(term):
                return Not(self.check(term))
        kind = self._types.get(node.column)
        return node if kind is None else self._leaf(node, kind)

    def _leaf(self, node: Predicate, kind: PropertyType) -> Predicate:
        match node:
            case Compare(column, op, value, span):
                self._compare(column, op, kind, span)
                return Compare(column, op, self._convert(value, kind, column, span), span)
            case In(column, values, negated, span):
                self._scalar_only(column, kind, span, f'"x" in {column}')
                return In(column, self._convert_all(values, kind, column, span), negated, span)
            case Has(column, value, negated, span):
                self._list_only(column, kind, span)
                return Has(column, self._convert(value, kind, column, span), negated, span)
            case IsNone(column, _, span) if kind in LIST_TYPES:
                self._add(span, f"{column} is {kind}: a list is never None, a missing one is empty")
            case TextTest(column, test, _, span) if kind != "string":
                self._add(span, f"{column} is {kind}: .{test}() needs a string property{_item_hint(kind, column)}")
            case Flag(column, span) if kind != "bool":
                self._add(span, f"{column} is {kind}: on its own a property must be bool; compare it with a value")
            case Matches(column, values, span):
                return Matches(column, self._matches(values, kind, column, span), span)
        return node

    def _compare(self, column: str, op: str, kind: PropertyType, span: Span) -> None:
        if kind in LIST_TYPES:
            self._scalar_only(column, kind, span, f'"x" in {column}')
        elif op not in ("==", "!=") and kind not in _ORDERED:
            why = "string order differs between engines" if kind == "string" else "it has no order"
            self._add(span, f"{column} is {kind}: {why}; {op} is for int64, float64, date and timestamp")

    def _scalar_only(self, column: str, kind: PropertyType, span: Span, instead: str) -> None:
        if kind in LIST_TYPES:
            self._add(span, f"{column} is {kind}: ask for one of its values with `{instead}`")

    def _list_only(self, column: str, kind: PropertyType, span: Span) -> None:
        if kind not in LIST_TYPES:
            instead = f"{column}.contains(…) or {column} == …" if kind == "string" else f"{column} == …"
            self._add(span, f"{column} is {kind}, not a list: write {instead}")

    def _matches(
        self, values: tuple[Literal_ | None, ...], kind: PropertyType, column: str, span: Span
    ) -> tuple[Literal_ | None, ...]:
        if kind in LIST_TYPES and None in values:
            self._add(span, f"{column} is {kind}: a list is never null, a missing one is empty")
        return tuple(None if value is None else self._convert(value, kind, column, span) for value in values)

    def _convert_all(
        self, values: tuple[Literal_, ...], kind: PropertyType, column: str, span: Span
    ) -> tuple[Literal_, ...]:
        return tuple(self._convert(value, kind, column, span) for value in values)

    def _convert(self, value: Literal_, kind: PropertyType, column: str, span: Span) -> Literal_:
        item = kind.removeprefix("list<").removesuffix(">")
        converted = _converted(value, item)
        if converted is None:
            self._add(span, f"{column} is {kind}, compared with {_shown(value)}{_literal_hint(value, item)}")
            return value
        return converted

    def _add(self, span: Span, message: str) -> None:
        issue = Issue(span.file, span.line, span.column, message)
        if issue not in self.issues:
            self.issues.append(issue)


def _converted(value: Literal_, kind: str) -> Literal_ | None:
    """The value as one of the type, or None where it is none."""
    match kind, value:
        case ("bool", bool()) | ("string", str()):
            return value
        case _, bool():
            return None
        case "int64", int():
            return value
        case "int64", float() if value.is_integer() and abs(value) < 2**63:
            return int(value)
        case "float64", int() | float() if float(value) == value:
            return float(value)
        case "date", datetime.datetime():
            return None
        case ("date", datetime.date()) | ("timestamp", datetime.datetime()):
            return value
        case "date", str():
            return _date(value)
        case "timestamp", str():
            return _timestamp(value)
    return None


def _date(text: str) -> datetime.date | None:
    try:
        return datetime.date.fromisoformat(text)
    except ValueError:
        return None


def _timestamp(text: str) -> datetime.datetime | None:
    try:
        moment = datetime.datetime.fromisoformat(text)
        return (moment.replace(tzinfo=datetime.UTC) if moment.tzinfo is None else moment).astimezone(datetime.UTC)
    except (ValueError, OverflowError):
        return None


def _shown(value: Literal_) -> str:
    match value:
        case bool():
            return f"the bool {value}"
        case str():
            return f"the text {value!r}"
        case int() | float():
            return f"the number {value!r}"
        case _:
            return str(value)


def _literal_hint(value: Literal_, item: str) -> str:
    match item, value:
        case "string", _:
            return "; texts need quotes"
        case "date", _:
            return '; dates are written "2024-12-31"'
        case "timestamp", _:
            return '; timestamps are written "2024-12-31T23:59:59"'
        case "bool", _:
            return "; write True or False"
        case "int64", float():
            return "; write a whole number"
        case (("int64" | "float64"), str()):
            return "; numbers have no quotes"
    return "; write a number"


def _item_hint(kind: PropertyType, column: str) -> str:
    return f'; ask for one of its values with `"x" in {column}`' if kind == "list<string>" else ""
