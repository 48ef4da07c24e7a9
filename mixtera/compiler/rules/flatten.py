"""`a and (b and c)` becomes `a and b and c`; likewise `or`."""

from __future__ import annotations

from collections.abc import Iterator

from mixtera.compiler.conditions import conjunction, disjunction, negation, with_conditions
from mixtera.compiler.nodes import Condition, Emit
from mixtera.spec.predicate import And, Not, Or


def flatten(plan: Emit) -> Emit:
    """Join nested terms of the same kind."""
    return with_conditions(plan, _flat)


def _flat(condition: Condition) -> Condition:
    match condition:
        case And(terms):
            return conjunction(part for term in terms for part in _parts(_flat(term), And))
        case Or(terms):
            return disjunction(part for term in terms for part in _parts(_flat(term), Or))
        case Not(term):
            return negation(_flat(term))
        case _:
            return condition


def _parts(condition: Condition, kind: type[And] | type[Or]) -> Iterator[Condition]:
    if isinstance(condition, (And, Or)) and isinstance(condition, kind):
        yield from condition.terms
    else:
        yield condition
