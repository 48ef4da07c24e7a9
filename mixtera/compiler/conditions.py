"""Walks over conditions and outcomes, shared by the rules."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from mixtera.compiler.nodes import Branch, Choose, Condition, Constant, Emit, Outcome, Scan, Select, Take, emit
from mixtera.spec.predicate import And, Not, Or, Predicate
from mixtera.spec.typing import columns


def conjunction(terms: Iterable[Condition]) -> Condition:
    """All of the terms; true where there are none. Exact in three-valued logic."""
    kept: list[Predicate] = []
    for term in terms:
        if isinstance(term, Constant):
            if not term.value:
                return term
        else:
            kept.append(term)
    return _joined(kept, And, Constant(True))


def disjunction(terms: Iterable[Condition]) -> Condition:
    """Any of the terms; false where there are none. Exact in three-valued logic."""
    kept: list[Predicate] = []
    for term in terms:
        if isinstance(term, Constant):
            if term.value:
                return term
        else:
            kept.append(term)
    return _joined(kept, Or, Constant(False))


def _joined(terms: list[Predicate], node: type[And] | type[Or], empty: Constant) -> Condition:
    if not terms:
        return empty
    return terms[0] if len(terms) == 1 else node(tuple(terms))


def negation(term: Condition) -> Condition:
    """The opposite of a condition."""
    return Constant(not term.value) if isinstance(term, Constant) else Not(term)


def rewrite(condition: Condition, leaf: Callable[[Predicate], Condition]) -> Condition:
    """The condition with every predicate that is not And, Or or Not replaced by what `leaf` makes of it."""
    match condition:
        case Constant():
            return condition
        case And(terms):
            return conjunction(rewrite(term, leaf) for term in terms)
        case Or(terms):
            return disjunction(rewrite(term, leaf) for term in terms)
        case Not(term):
            return negation(rewrite(term, leaf))
        case _:
            return leaf(condition)


def with_conditions(plan: Emit, change: Callable[[Condition], Condition]) -> Emit:
    """The plan with every condition of it changed."""
    outcome = _outcome(plan.input.outcome, change)
    marks = tuple((name, change(condition)) for name, condition in plan.marks)
    return emit(plan.scan, change(plan.filter), outcome, plan.offsets, plan.by, marks)


def _outcome(outcome: Outcome, change: Callable[[Condition], Condition]) -> Outcome:
    if isinstance(outcome, Take):
        return outcome
    return Choose(tuple(Branch(change(branch.condition), _outcome(branch.then, change)) for branch in outcome.branches))


def with_outcome(plan: Emit, outcome: Outcome) -> Emit:
    """The plan with another outcome."""
    return replace(plan, input=replace(plan.input, outcome=outcome))


def over(plan: Emit, scan: Scan) -> Emit:
    """The plan over another scan."""
    below = replace(plan.input.input, input=scan) if isinstance(plan.input.input, Select) else scan
    return replace(plan, input=replace(plan.input, input=below))


def conditions_of(outcome: Outcome) -> Iterator[Condition]:
    """Every condition of an outcome, outer before inner."""
    if isinstance(outcome, Choose):
        for branch in outcome.branches:
            yield branch.condition
            yield from conditions_of(branch.then)


def labels_of(outcome: Outcome) -> Iterator[int]:
    """Every label of an outcome."""
    if isinstance(outcome, Take):
        yield outcome.label
    else:
        for branch in outcome.branches:
            yield from labels_of(branch.then)


def used_columns(plan: Emit) -> tuple[str, ...]:
    """Columns that the conditions and groups of a plan name, each once."""
    found = [plan.filter, *conditions_of(plan.input.outcome), *(condition for _, condition in plan.marks)]
    named = [name for condition in found if not isinstance(condition, Constant) for name in columns(condition)]
    return tuple(dict.fromkeys([*named, *plan.by]))
