"""Branches that cannot be reached vanish: those that are never true, and all behind one that always is.

A branch that takes samples away from the later ones stays, even when it has no label for them.
"""

from __future__ import annotations

from mixtera.compiler.conditions import with_outcome
from mixtera.compiler.nodes import Branch, Choose, Constant, Emit, Outcome, Take


def drop_unreachable(plan: Emit) -> Emit:
    """Drop branches that no sample reaches."""
    return with_outcome(plan, _reachable(plan.input.outcome))


def _reachable(outcome: Outcome) -> Outcome:
    if isinstance(outcome, Take):
        return outcome
    kept: list[Branch] = []
    for branch in outcome.branches:
        if branch.condition == Constant(False):
            continue
        kept.append(Branch(branch.condition, _reachable(branch.then)))
        if branch.condition == Constant(True):
            break
    while kept and kept[-1].then == Choose(()):
        kept.pop()
    if len(kept) == 1 and kept[0].condition == Constant(True):
        return kept[0].then
    return Choose(tuple(kept))
