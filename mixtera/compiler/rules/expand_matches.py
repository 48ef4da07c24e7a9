"""`{column: [a, b]}` becomes `column in (a, b)`, or `a in column or b in column` for a list; None becomes `is None`."""

from __future__ import annotations

from functools import partial

from mixtera.compiler.conditions import disjunction, rewrite, with_conditions
from mixtera.compiler.nodes import Condition, Emit
from mixtera.contracts.properties import LIST_TYPES, PropertyType
from mixtera.spec.predicate import Compare, Has, In, IsNone, Matches, Predicate


def expand_matches(plan: Emit) -> Emit:
    """Replace the mapping form by ordinary predicates."""
    leaf = partial(_expanded, types=plan.scan.types)
    return with_conditions(plan, lambda condition: rewrite(condition, leaf))


def _expanded(predicate: Predicate, types: dict[str, PropertyType]) -> Condition:
    if not isinstance(predicate, Matches):
        return predicate
    column, span = predicate.column, predicate.span
    values = tuple(value for value in predicate.values if value is not None)
    terms: list[Predicate] = []
    if types[column] in LIST_TYPES:
        terms = [Has(column, value, False, span) for value in values]
    elif len(values) == 1:
        terms = [Compare(column, "==", values[0], span)]
    elif values:
        terms = [In(column, values, False, span)]
    if None in predicate.values:
        terms.append(IsNone(column, False, span))
    return disjunction(terms)
