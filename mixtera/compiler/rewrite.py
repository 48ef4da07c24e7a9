"""Runs the rules over a logical plan, in their order, and verifies what each of them made."""

from __future__ import annotations

from collections.abc import Sequence

from mixtera.compiler.conditions import labels_of
from mixtera.compiler.nodes import Emit
from mixtera.compiler.rules import RULES, Rule
from mixtera.compiler.verify import verify


def rewrite_plan(plan: Emit, rules: Sequence[Rule] = RULES) -> Emit:
    """The plan after all rules.

    Raises:
        PlanError: The plan, or what a rule made of it, is not well formed.
    """
    labels = frozenset(labels_of(plan.input.outcome))
    plan = verify(plan, labels, "building")
    for rule in rules:
        plan = verify(rule(plan), labels, f"rule {rule.__name__}")
    return plan
