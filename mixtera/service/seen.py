"""What the pages of the service show, as plain values: made in the service, drawn in a process of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from mixtera.jobs.messages import SeenReader
from mixtera.order.shares import normalised
from mixtera.order.timeline import Timeline
from mixtera.service.history import Heard
from mixtera.service.watched import Watched
from mixtera.stream.statistics import Limit

MOST_POINTS: Final = 240
MOST_READERS: Final = 64
SERIES: Final = 8
"""Components that have a colour of their own."""
Curve = tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class JobSeen:
    """A job, as its page shows it; positions are those of the run.

    Attributes:
        job: Its name.
        status: See `mixtera.jobs.status`.
        step: Step of the last report; −1 before the first.
        furthest: Position of the furthest reader.
        slowest: Position of the slowest.
        named: The components that have a colour of their own, by number, those with the largest shares first.
        asked: Shares that are asked for.
        realised: Shares of what the furthest reader has taken.
        losses: Of the last report.
        weights: (position, share of each component) from which they hold, until `until`.
        until: Position up to which weights are shown.
        loss_curve: (step, mean loss of each component; None for one that did not come).
        throughput: (step, samples a second until then).
        forecast: (position, what ends there), should the weights stay.
        readers: The readers that wait longest, and those that are gone.
        reader_count: How many there are.
        limit: What sets the pace of the training.
    """

    job: str
    status: dict[str, Any]
    step: int
    furthest: int | None
    slowest: int | None
    named: tuple[int, ...]
    asked: tuple[float, ...]
    realised: tuple[float, ...] | None
    losses: tuple[float | None, ...]
    weights: tuple[tuple[int, tuple[float, ...]], ...]
    until: int
    loss_curve: tuple[tuple[int, tuple[float | None, ...]], ...]
    throughput: tuple[tuple[int, float], ...]
    forecast: tuple[tuple[int, str], ...]
    readers: tuple[SeenReader, ...]
    reader_count: int
    limit: Limit

    @property
    def components(self) -> tuple[str, ...]:
        """Names of the components."""
        return tuple(self.status["components"])


def seen(job: Watched) -> JobSeen:
    """What a page shows of a job."""
    weights = weights_over_time(job.timeline, job.first)
    until = max(int(job.status["promised"]), job.furthest or 0, job.first + 1)
    shares = [max(each) for each in zip(*(share for _, share in weights), strict=True)]
    named = sorted(range(len(shares)), key=lambda number: (-shares[number], number))[:SERIES]
    return JobSeen(
        job.job,
        job.status,
        job.step,
        job.furthest,
        job.slowest,
        tuple(sorted(named)),
        job.asked,
        job.realised,
        job.losses,
        tuple(thinned([each for each in weights if each[0] < until])),
        until,
        tuple((each.step, each.losses) for each in thinned(job.reports)),
        throughput(job.reports),
        forecast(job.timeline, job.components, job.first, until),
        tuple(sorted(job.readers, key=_worst)[:MOST_READERS]),
        len(job.readers),
        limit_of(job.readers),
    )


def weights_over_time(timeline: Timeline, first: int) -> list[tuple[int, tuple[float, ...]]]:
    """Where each phase begins, and the shares in it."""
    return [(phase.first + first, tuple(normalised(phase.weights))) for phase in timeline.phases]


def throughput(reports: Sequence[Heard]) -> tuple[tuple[int, float], ...]:
    """Samples a second between some of the reports: means over so many of them that the clock does not matter."""
    placed = [(each.step, each.position, each.at) for each in reports if None not in (each.position, each.at)]
    found = []
    for (_, position, at), (step, reached, now) in pairwise(thinned(placed, MOST_POINTS // 4)):
        if now > at and reached > position:
            found.append((step, (reached - position) / (now - at)))
    return tuple(found)


def forecast(timeline: Timeline, components: Sequence[str], first: int, until: int) -> tuple[tuple[int, str], ...]:
    """What runs out, and the end of the run, should the weights stay as they are."""
    found = [
        (now.first + first, components[number])
        for before, now in pairwise(timeline.phases)
        if now.first + first >= until
        for number, (had, has) in enumerate(zip(before.weights, now.weights, strict=True))
        if had > 0 and has == 0
    ]
    end = [] if timeline.total is None else [(timeline.total + first, "")]
    return (*found[:MOST_POINTS], *end)


def limit_of(readers: Sequence[SeenReader]) -> Limit:
    """What sets the pace of the training: the limit of the living reader that waits longest. All others wait for it."""
    found = [reader.lately for reader in readers if reader.lately is not None and not reader.gone]
    known = [one for one in found if one.limit != "unknown"]
    if not known:
        return "unknown"
    limit: Limit = max(known, key=lambda one: one.wait_share).limit  # type: ignore[assignment]
    return limit


def thinned(values: Sequence[Any], most: int = MOST_POINTS) -> list[Any]:
    """Some of the values, evenly, the first and the last among them."""
    if len(values) <= most:
        return list(values)
    return [values[number * (len(values) - 1) // (most - 1)] for number in range(most)]


def _worst(reader: SeenReader) -> tuple[bool, float, int, int]:
    return not reader.gone, -(reader.lately.wait_share if reader.lately else 0.0), reader.rank, reader.worker
