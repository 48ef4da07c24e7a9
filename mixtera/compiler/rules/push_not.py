"""`not` moves down to the leaves and into them: `not not a` is `a`, `not (a and b)` is `not a or not b`, and so on.

All of it is exact in three-valued logic: what was NULL stays NULL. A comparison may be turned round because the catalog
holds no NaN.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final, Literal

from mixtera.compiler.conditions import with_conditions
from mixtera.compiler.nodes import Condition, Constant, Emit
from mixtera.spec.predicate import And, Compare, Has, In, IsNone, Not, Or, Predicate

_OPPOSITE: Final[dict[str, Literal["==", "!=", "<", "<=", ">", ">="]]] = {
    "==": "!=",
    "!=": "==",
    "<": ">=",
    ">=": "<",
    ">": "<=",
    "<=": ">",
}


def push_not(plan: Emit) -> Emit:
    """Move every `not` as far down as it goes."""
    return with_conditions(plan, _condition)


def _condition(condition: Condition) -> Condition:
    return condition if isinstance(condition, Constant) else _plain(condition)


def _plain(predicate: Predicate) -> Predicate:
    match predicate:
        case And(terms):
            return And(tuple(_plain(term) for term in terms))
        case Or(terms):
            return Or(tuple(_plain(term) for term in terms))
        case Not(term):
            return _negated(term)
        case _:
            return predicate


def _negated(predicate: Predicate) -> Predicate:
    match predicate:
        case And(terms):
            return Or(tuple(_negated(term) for term in terms))
        case Or(terms):
            return And(tuple(_negated(term) for term in terms))
        case Not(term):
            return _plain(term)
        case Compare(op=op):
            return replace(predicate, op=_OPPOSITE[op])
        case In(negated=negated) | Has(negated=negated) | IsNone(negated=negated):
            return replace(predicate, negated=not negated)
        case _:
            return Not(predicate)
