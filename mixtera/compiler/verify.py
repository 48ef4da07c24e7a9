"""Checks that a logical plan is well formed: before the first rule and after each, so that a wrong rule is found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

from mixtera.compiler.conditions import labels_of, used_columns
from mixtera.compiler.nodes import Emit
from mixtera.errors import PlanError


def verify(plan: Emit, labels: Collection[int], after: str) -> Emit:
    """Return the plan if it is well formed.

    Args:
        plan: The plan of one source.
        labels: Labels that may appear in it.
        after: What made it, for the message.

    Raises:
        PlanError: It is not; this is a defect of Mixtera or of the rule named.
    """
    unknown = [name for name in used_columns(plan) if name not in plan.scan.types]
    found = Counter(labels_of(plan.input.outcome))
    strange = sorted(found.keys() - set(labels))
    double = sorted(label for label, count in found.items() if count > 1)
    for what, names in (("unknown columns", unknown), ("unknown labels", strange), ("labels given twice", double)):
        if names:
            raise PlanError(f"the plan of source {plan.scan.source!r} is broken after {after}: {what} {names}")
    return plan
