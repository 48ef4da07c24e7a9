"""Reads `budget:`."""

from __future__ import annotations

from typing import Final

from mixtera.spec import keys
from mixtera.spec.fields import Fields
from mixtera.spec.issues import Issues
from mixtera.spec.model import Budget, Tokens

_WAYS: Final = ("samples", "tokens")


def read_budget(outer: Fields, tokens: Tokens | None, issues: Issues) -> Budget | None:
    """The budget of a mixture; None where there is none or it is wrong.

    Args:
        outer: The section that holds it.
        tokens: How samples become sequences; None where they do not.
        issues: Takes the issues.
    """
    node = outer.mapping("budget")
    if node is None:
        return None
    fields = Fields(node, keys.BUDGET, issues, outer.key_place("budget"))
    samples = fields.whole("samples", 1, keys.LARGEST_POSITION)
    in_tokens = _sequences(fields, tokens, issues)
    steps, batch = (fields.whole(name, 1, keys.LARGEST) for name in ("steps", "batch"))
    _check_one(fields, issues)
    found = samples if samples is not None else in_tokens
    found = found if steps is None or batch is None else steps * batch
    if found is not None and found > keys.LARGEST_POSITION:
        issues.add(fields.place, f"budget: {found:,} samples are more than the {keys.LARGEST_POSITION:,} that can be")
    return None if found is None else Budget(found, batch, fields.place)


def _check_one(fields: Fields, issues: Issues) -> None:
    """Report a budget that is written in two ways, or in none."""
    given = [name for name in _WAYS if name in fields]
    in_steps = "steps" in fields or "batch" in fields
    if len(given) + in_steps > 1:
        issues.add(fields.place, "budget: write `samples`, or `tokens`, or `steps` and `batch`; only one of them")
    elif all(fields.is_absent(name) for name in _WAYS) and (fields.is_absent("steps") or fields.is_absent("batch")):
        message = "budget needs `samples`, or `tokens`, or `steps` and `batch` (samples of a step over all ranks)"
        issues.add(fields.place, message)


def _sequences(fields: Fields, tokens: Tokens | None, issues: Issues) -> int | None:
    """The whole sequences of a budget in tokens."""
    count = fields.whole("tokens", 1, keys.LARGEST_POSITION)
    if count is None:
        return None
    if tokens is None or not tokens.packs:
        message = "budget: tokens can be counted where the section `tokens:` packs samples into sequences; add it, or"
        issues.add(fields.key_place("tokens"), f"{message} write `samples`")
        return None
    if count < tokens.sequence_length:
        message = f"budget: {count:,} tokens are less than one sequence of {tokens.sequence_length:,}"
        issues.add(fields.value_place("tokens"), message)
        return None
    return count // tokens.sequence_length
