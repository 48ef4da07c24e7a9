"""What can be seen of a job at a time: what metrics and pages are made of. Looking waits for no disk."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import Any

import numpy as np

from mixtera.jobs.messages import SeenReader
from mixtera.jobs.model import JobState
from mixtera.jobs.status import status
from mixtera.order.shares import normalised
from mixtera.order.timeline import Timeline
from mixtera.service.held import HeldJob
from mixtera.service.history import Heard


@dataclass(frozen=True, slots=True)
class Watched:
    """A job at a time; positions are those of the run.

    Attributes:
        job: Its name.
        status: See `mixtera.jobs.status`.
        timeline: Phases and end, should the weights stay; counted from the plan's first position.
        first: The plan's first position.
        round_size: Positions of a round.
        asked: Share of each component that is asked for where the furthest reader is.
        realised: Share of each component in what the furthest reader has taken; None before it has taken anything.
        furthest: Position of the furthest living reader, or of the last report if that is further; None where nobody
            has said.
        slowest: Position of the slowest living reader.
        readers: The readers.
        reports: What the training has reported.
    """

    job: str
    status: dict[str, Any]
    timeline: Timeline
    first: int
    round_size: int
    asked: tuple[float, ...]
    realised: tuple[float, ...] | None
    furthest: int | None
    slowest: int | None
    readers: tuple[SeenReader, ...]
    reports: tuple[Heard, ...]

    @property
    def components(self) -> tuple[str, ...]:
        """Names of the components."""
        return tuple(self.status["components"])

    @property
    def losses(self) -> tuple[float | None, ...]:
        """Mean losses of the last report; None for a component that did not come."""
        return self.reports[-1].losses if self.reports else (None,) * len(self.components)

    @property
    def step(self) -> int:
        """The last step that was reported; −1 before the first."""
        return max(int(self.status["step"]), self.reports[-1].step if self.reports else -1)


def watched(held: HeldJob) -> Watched:
    """Look at a job. Any thread may."""
    port = held.port
    state, records = port.known
    readers, reports = held.readers.list(), held.history.reports()
    first = port.plan.start
    places = [reader.position - first for reader in readers if not reader.gone]
    said = next((each.position for each in reversed(reports) if each.position is not None), None)
    furthest = max([*places, *([] if said is None else [said])], default=None)
    return Watched(
        held.name,
        status(port.plan, port.rules, state, records),
        state.course.timeline,
        first,
        port.rules.round_size,
        asked_at(state, port.rules.follows, furthest or 0),
        realised_at(state.course.timeline, furthest),
        None if furthest is None else furthest + first,
        min(places) + first if places else None,
        readers,
        reports,
    )


def asked_at(state: JobState, follows: bool, position: int) -> tuple[float, ...]:
    """The shares that are asked for: those that the training brought last, or those that the plan has at a position."""
    if follows:
        return tuple(normalised(state.course.weights))
    phases = state.course.timeline.phases
    at = max(0, bisect_right(phases, position, key=lambda phase: phase.first) - 1)
    return tuple(normalised(phases[at].weights))


def realised_at(timeline: Timeline, position: int | None) -> tuple[float, ...] | None:
    """The shares of the components before a position, exactly; costs the same at every position."""
    if not position or position < 0:
        return None
    counts = timeline.filled(np.array([position], np.int64))[0]
    return tuple((counts / max(1, int(counts.sum()))).tolist())
