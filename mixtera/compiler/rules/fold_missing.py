"""A property that a source lacks is NULL there, or an empty list: `is None` is true, `x in list` is false."""

from __future__ import annotations

from functools import partial

from mixtera.compiler.conditions import rewrite, with_conditions
from mixtera.compiler.nodes import Condition, Constant, Emit
from mixtera.contracts.properties import LIST_TYPES
from mixtera.spec.predicate import Has, IsNone, Predicate


def fold_missing(plan: Emit) -> Emit:
    """Decide the predicates that are known for missing properties; comparisons with NULL stay as they are."""
    missing = frozenset(name for name, _ in plan.scan.missing)
    lists = frozenset(name for name, type_ in plan.scan.types.items() if type_ in LIST_TYPES)
    leaf = partial(_decided, missing=missing, lists=lists)
    return with_conditions(plan, lambda condition: rewrite(condition, leaf))


def _decided(predicate: Predicate, missing: frozenset[str], lists: frozenset[str]) -> Condition:
    match predicate:
        case IsNone(column, negated) if column in lists:
            return Constant(negated)
        case IsNone(column, negated) if column in missing:
            return Constant(not negated)
        case Has(column, _, negated) if column in missing:
            return Constant(negated)
    return predicate
