"""Events: where components have given everything they have, once or for good."""

from __future__ import annotations

from collections.abc import Sequence

from mixtera.artifact.model import PlanData
from mixtera.explanation.course import leavings
from mixtera.explanation.forecast import Event
from mixtera.explanation.model import End, Part


def events(data: PlanData, end: End, parts: Sequence[Part], batch: int | None) -> tuple[Event, ...]:
    """The events of a plan, ascending.

    Args:
        data: The plan.
        end: How its stream ends.
        parts: Its components, without groups.
        batch: Samples of a training step; None where that is not known.
    """

    def event(position: int, kind: str, components: tuple[str, ...]) -> Event:
        step = None if batch is None else position // batch
        return Event(position, step, kind, components)  # type: ignore[arg-type]

    found = [event(position, "repeats", names) for position, names in _repeats(parts)]
    found += [event(position, "leaves", names) for position, names in leavings(data).items()]
    if end.kind == "exhausted" and data.timeline.total is not None:
        found.append(event(data.timeline.total, "ends", end.components))
    return tuple(sorted(found, key=lambda each: each.position))


def _repeats(parts: Sequence[Part]) -> list[tuple[int, tuple[str, ...]]]:
    """Where first epochs end, of components that are delivered again after it."""
    found: dict[int, list[str]] = {}
    for part in parts:
        again = part.max_epochs != 1 if part.delivered is None else part.delivered > part.samples
        if again and part.first_epoch_ends is not None:
            found.setdefault(part.first_epoch_ends, []).append(part.full_name)
    return [(position, tuple(names)) for position, names in found.items()]
