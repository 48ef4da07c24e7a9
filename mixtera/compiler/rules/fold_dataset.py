"""`dataset` is known for each source: predicates on it become true or false before any engine sees them."""

from __future__ import annotations

from functools import partial

from mixtera.compiler.conditions import rewrite, with_conditions
from mixtera.compiler.nodes import Condition, Constant, Emit
from mixtera.spec.predicate import Compare, In, IsNone, Predicate, TextTest


def fold_dataset(plan: Emit) -> Emit:
    """Decide every predicate on `dataset`."""
    leaf = partial(decided, source=plan.scan.source)
    return with_conditions(plan, lambda condition: rewrite(condition, leaf))


def decided(predicate: Predicate, source: str) -> Condition:
    """Whether a predicate on `dataset` is true for a source; any other predicate as it is."""
    match predicate:
        case Compare("dataset", "==", value):
            return Constant(source == value)
        case Compare("dataset", "!=", value):
            return Constant(source != value)
        case In("dataset", values, negated):
            return Constant((source in values) != negated)
        case IsNone("dataset", negated):
            return Constant(negated)
        case TextTest("dataset", "startswith", value):
            return Constant(source.startswith(value))
        case TextTest("dataset", "endswith", value):
            return Constant(source.endswith(value))
        case TextTest("dataset", "contains", value):
            return Constant(value in source)
    return predicate
