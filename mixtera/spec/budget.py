"""Reads `budget:`."""

from __future__ import annotations

from mixtera.spec import keys
from mixtera.spec.fields import Fields
from mixtera.spec.issues import Issues
from mixtera.spec.model import Budget


def read_budget(outer: Fields, issues: Issues) -> Budget | None:
    """The budget of a mixture; None where there is none or it is wrong."""
    node = outer.mapping("budget")
    if node is None:
        return None
    fields = Fields(node, keys.BUDGET, issues, outer.key_place("budget"))
    samples = fields.whole("samples", 1, keys.LARGEST_POSITION)
    steps, batch = (fields.whole(name, 1, keys.LARGEST) for name in ("steps", "batch"))
    if "samples" in fields and ("steps" in fields or "batch" in fields):
        issues.add(fields.place, "budget: write `samples`, or `steps` and `batch`; not both")
    elif (
        fields.is_absent("tokens")
        and fields.is_absent("samples")
        and (fields.is_absent("steps") or fields.is_absent("batch"))
    ):
        issues.add(fields.place, "budget needs `samples`, or `steps` and `batch` (samples of a step over all ranks)")
    found = samples if steps is None or batch is None else steps * batch
    if found is not None and found > keys.LARGEST_POSITION:
        issues.add(fields.place, f"budget: {found:,} samples are more than the {keys.LARGEST_POSITION:,} that can be")
    return None if found is None else Budget(found, batch, fields.place)
