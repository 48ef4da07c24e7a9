"""Whether a mixture can meet its budget, and what would help where it cannot."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from mixtera.artifact.model import PlanComponent
from mixtera.errors import SpecError
from mixtera.order.blocks import Blocks
from mixtera.order.exhaustion import Course, course
from mixtera.order.shares import Group
from mixtera.spec.issues import Issues
from mixtera.spec.model import Budget


def check_budget(
    budget: Budget | None,
    found: Course,
    mixture: Group,
    components: Sequence[PlanComponent],
    first: int = 0,
    unit: str = "samples",
    blocks: Blocks | None = None,
) -> None:
    """Refuse a budget that the mixture does not reach because a component has nothing left.

    Raises:
        SpecError: Names the component, the budget that it allows, and what to change.
    """
    if budget is None or found.ended_by is None:
        return
    endless = _seats(budget, mixture, [None] * len(components), ["repeat"] * len(components), first, blocks)
    lifted = [None if c == found.ended_by else component.places for c, component in enumerate(components)]
    policies = [component.on_exhaust for component in components]
    limiting = components[found.ended_by]
    wanted = max(n[found.ended_by] for n in (endless, _seats(budget, mixture, lifted, policies, first, blocks)))
    allowed = _allowed(found, mixture, [component.places for component in components], policies, first, blocks)
    short = [c.name for c, n in zip(components, endless, strict=True) if c is not limiting and _lacks(c, n)]
    issues = Issues()
    issues.add(budget.place, _message(budget, allowed, limiting, wanted, short, unit))
    raise SpecError(issues.found)


def _seats(
    budget: Budget,
    mixture: Group,
    places: Sequence[int | None],
    on_exhaust: Sequence[str],
    first: int,
    blocks: Blocks | None,
) -> Sequence[int]:
    """Seats of each component from a position up to the budget."""
    timeline = course(mixture, places, on_exhaust, budget.samples, first, blocks).timeline
    filled: list[int] = timeline.filled(np.array([budget.samples]))[0].tolist()
    return filled


def _allowed(
    found: Course,
    mixture: Group,
    places: Sequence[int | None],
    on_exhaust: Sequence[str],
    first: int,
    blocks: Blocks | None,
) -> int:
    """The largest budget below that can be had: a shorter one rounds its last seats otherwise, and may end earlier."""
    while found.ended_by is not None:
        allowed = found.timeline.total or 0
        found = course(mixture, places, on_exhaust, allowed, first, blocks)
    return found.timeline.total or 0


def _message(
    budget: Budget, allowed: int, limiting: PlanComponent, wanted: int, short: Sequence[str], unit: str
) -> str:
    places = limiting.places or 0
    whole = None if budget.batch is None else allowed // budget.batch
    steps = "" if whole is None else f" ({whole:,} whole step{'' if whole == 1 else 's'})"
    others = f"; {', '.join(short[:5])}{' and others' if len(short) > 5 else ''} would be short as well"
    return (
        f"budget: {budget.samples:,} {unit} cannot be had: they ask for {wanted:,} of {limiting.name!r}, which may "
        f"give {places:,} ({places / limiting.samples:.4g} × its {limiting.samples:,}), so the stream would end after "
        f"{allowed:,}{steps}{others if short else ''}. Lower the budget to that, or give {limiting.name!r} "
        f"`max_epochs: {math.ceil(1000 * wanted / limiting.samples) / 1000}`, a smaller weight, or "
        "`on_exhaust: redistribute`"
    )


def _lacks(component: PlanComponent, seats: int) -> bool:
    return component.places is not None and seats > component.places
