"""Reads a predicate where a spec has one: as an expression or as a mapping."""

from __future__ import annotations

from mixtera.spec.document import Entry, Mapping, Node, Scalar, Sequence, describe, shorten
from mixtera.spec.expression import MAX_INTEGER, read_predicate
from mixtera.spec.issues import Issues, suggestion
from mixtera.spec.known import Known
from mixtera.spec.model import Place
from mixtera.spec.predicate import And, Compare, In, Literal_, Matches, Not, Or, Predicate, Span
from mixtera.spec.typing import check_types


def predicate_of(node: Node, name: str, known: Known, issues: Issues) -> Predicate | None:
    """The predicate of a node, checked as far as the declared types go; None where there are issues."""
    match node:
        case Mapping():
            predicate = _mapping(node, name, known, issues)
        case Scalar(value=str()):
            predicate, found = read_predicate(node.text, known.columns, node.locator())
            issues.extend(found)
        case _:
            issues.add(node.place, f"{name}: expected a predicate (a text or a mapping), found {describe(node)}")
            return None
    if predicate is None:
        return None
    checked, found_types = check_types(predicate, known.types)
    issues.extend(found_types)
    _check_sources(checked, known, issues)
    return None if found_types else checked


def _mapping(node: Mapping, name: str, known: Known, issues: Issues) -> Predicate | None:
    if not node.entries:
        issues.add(node.place, f"{name}: the mapping is empty; leave {name!r} out to take every sample")
        return None
    terms = [_matches(entry, known, issues) for entry in node.entries]
    good = tuple(term for term in terms if term is not None)
    if len(good) < len(terms):
        return None
    return good[0] if len(good) == 1 else And(good)


def _matches(entry: Entry, known: Known, issues: Issues) -> Matches | None:
    column, place = entry.key.text, entry.key.place
    if known.columns is not None and column not in known.columns:
        issues.add(place, f"unknown column {column!r}{suggestion(column, known.columns, 'known')}")
        return None
    items = entry.value.items if isinstance(entry.value, Sequence) else (entry.value,)
    if not items:
        issues.add(entry.value.place, f"{column}: the list is empty and matches nothing; give at least one value")
        return None
    good = [item for item in items if _is_value(item, column, issues)]
    if len(good) < len(items):
        return None
    values = tuple(item.value for item in good if isinstance(item, Scalar))
    shown = ", ".join(item.text for item in good if isinstance(item, Scalar))
    return Matches(column, values, Span(place.file, place.line, place.column, f"{column}: {shorten(shown)}"))


def _is_value(node: Node, column: str, issues: Issues) -> bool:
    if not isinstance(node, Scalar):
        issues.add(node.place, f"{column}: expected a value or a list of values, found {describe(node)} in it")
        return False
    value = node.value
    too_large = isinstance(value, int) and not -MAX_INTEGER <= value < MAX_INTEGER
    if too_large or (isinstance(value, float) and value in (float("inf"), float("-inf"))):
        issues.add(node.place, f"{column}: {describe(node)} is out of range")
        return False
    return True


def _check_sources(predicate: Predicate, known: Known, issues: Issues) -> None:
    """A source that does not exist is a mistake: such a predicate can never match."""
    match predicate:
        case And(terms) | Or(terms):
            for term in terms:
                _check_sources(term, known, issues)
        case Not(term):
            _check_sources(term, known, issues)
        case Compare("dataset", _, value, span):
            _check_source_names((value,), span, known, issues)
        case In("dataset", values, _, span) | Matches("dataset", values, span):
            _check_source_names(values, span, known, issues)


def _check_source_names(values: tuple[Literal_ | None, ...], span: Span, known: Known, issues: Issues) -> None:
    for value in values if known.columns is not None else ():
        if isinstance(value, str) and value not in known.sources:
            near = suggestion(value, known.sources, "sources")
            issues.add(Place(span.file, span.line, span.column), f"no source is named {value!r}{near}")
