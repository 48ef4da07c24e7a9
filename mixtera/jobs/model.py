"""What a job is told, what it answers, and what it knows. All of it is JSON on the way and on the disk."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from mixtera.artifact.skips import Skip
from mixtera.errors import StateError
from mixtera.order.steered import Steered
from mixtera.order.timeline import Phase

Numbers: TypeAlias = Mapping[str, float] | Sequence[float]
"""By name of the component, or one for each."""
KEY: Final = "job"
"""What a checkpoint has beside the state of a stream."""


@dataclass(frozen=True, slots=True)
class Report:
    """What the training says of a step; sequences have one number per component of the plan.

    Attributes:
        step: The step, from 0; ascends over the whole run.
        loss_sum: Sums of losses.
        loss_count: How many losses they are of; 0 for a component that did not come.
        samples: Samples (sequences) of the step, over all ranks; None: the job works it out.
        scalars: Other numbers by name.
        position: Position after the step, counted from the plan's first; None where it is not known.
        size: Positions of the step over all ranks; None likewise.
        ahead: Positions after `position` that some reader may have reached.
    """

    step: int
    loss_sum: tuple[float, ...]
    loss_count: tuple[float, ...]
    samples: tuple[float, ...] | None = None
    scalars: dict[str, tuple[float, ...]] = field(default_factory=dict)
    position: int | None = None
    size: int | None = None
    ahead: int = 0


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a report.

    Attributes:
        step: The step of the last report that counts.
        counted: Whether this one does: not, where its step is no later than one before.
        weights: New weights, where it brought some.
        at: Position from which they hold, counted from the plan's first.
    """

    step: int
    counted: bool
    weights: tuple[float, ...] | None = None
    at: int | None = None


@dataclass(frozen=True, slots=True)
class Promise:
    """A part of the timeline that does not change any more.

    Attributes:
        rounds: All rounds before it are promised.
        phases: (first position, weights, seats before) of the phases that the asked rounds lie in.
        total: The position of the end, where it lies in these rounds.
    """

    rounds: int
    phases: tuple[tuple[int, tuple[float, ...], tuple[int, ...]], ...]
    total: int | None

    def timeline(self, order_version: int) -> list[Phase]:
        """The phases, as the order has them."""
        return [Phase(first, weights, base, order_version) for first, weights, base in self.phases]


@dataclass(frozen=True, slots=True)
class Topology:
    """Who reads a job from a position on.

    Attributes:
        world_size: Ranks that get samples of their own.
        batch_size: Samples of a batch of one of them.
        start: Position from which they read, counted from the plan's first.
    """

    world_size: int
    batch_size: int
    start: int


@dataclass(frozen=True, slots=True)
class Change:
    """New weights, and the timeline that follows from them.

    Attributes:
        step: The step whose feedback brought them.
        since: Position from which they hold.
        weights: The weights; their sum is 1.
        owed: Seats that each component had still to get there, or had too many of.
        phases: The phases from there on: (first position, weights, seats before).
        total: The position of the end, should they stay; None for none.
    """

    step: int
    since: int
    weights: tuple[float, ...]
    owed: tuple[float, ...]
    phases: tuple[tuple[int, tuple[float, ...], tuple[int, ...]], ...]
    total: int | None


@dataclass(frozen=True, slots=True)
class JobState:
    """What a job knows: the sum of its records.

    Attributes:
        course: The timeline.
        promised: Rounds that readers may rely on.
        step: Step of the last report that counts; −1 before the first.
        steering: State of the steering (`mixtera.algorithms.steering`); None for a plan that does not follow.
        held: Reports that wait for a fit.
        topology: Who reads; None before anybody has.
        checkpoint: Position of the last checkpoint, counted from the plan's first; None before the first.
        changes: How often the weights have changed.
        skips: What was delivered in place of samples that could not be read.
    """

    course: Steered
    promised: int = 0
    step: int = -1
    steering: dict[str, Any] | None = None
    held: tuple[Report, ...] = ()
    topology: Topology | None = None
    checkpoint: int | None = None
    changes: int = 0
    skips: tuple[Skip, ...] = ()


def clean_report(report: Report) -> Report:
    """The report with 0 for what is no number, which JSON could not say: a component with such a loss did not come."""
    pairs = [
        (total, count) if math.isfinite(total) and math.isfinite(count) else (0.0, 0.0)
        for total, count in zip(report.loss_sum, report.loss_count, strict=True)
    ]
    samples = None if report.samples is None else tuple(_finite(report.samples))
    scalars = {name: tuple(_finite(values)) for name, values in report.scalars.items()}
    return Report(
        report.step,
        tuple(total for total, _ in pairs),
        tuple(count for _, count in pairs),
        samples,
        scalars,
        report.position,
        report.size,
        report.ahead,
    )


def numbers_of(
    components: Sequence[str],
    loss_sum: Numbers,
    loss_count: Numbers,
    samples: Numbers | None,
    scalars: Mapping[str, Numbers],
) -> tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...] | None, dict[str, tuple[float, ...]]]:
    """The numbers of a report, as it has them.

    Raises:
        ValueError: A name is that of no component, or there are too few or too many.
    """
    return (
        by_component(loss_sum, components, "loss_sum") or (),
        by_component(loss_count, components, "loss_count") or (),
        by_component(samples, components, "samples"),
        {name: by_component(values, components, name) or () for name, values in scalars.items()},
    )


def by_component(values: Numbers | None, components: Sequence[str], what: str) -> tuple[float, ...] | None:
    """Numbers as one per component, in the order of the plan.

    Args:
        values: By name, those that are missing count as 0; or one per component.
        components: The components of the plan.
        what: What they are, for the message.

    Raises:
        ValueError: A name is that of no component, or there are too few or too many.
    """
    if values is None:
        return None
    if isinstance(values, Mapping):
        unknown = [str(name) for name in values if name not in components]
        if unknown:
            raise ValueError(f"{what} has {unknown[0]!r}, and the components are {', '.join(components)}")
        return tuple(float(values.get(name, 0.0)) for name in components)
    found = tuple(float(value) for value in values)
    if len(found) != len(components):
        raise ValueError(f"{what} has {len(found)} numbers, and there are {len(components)} components")
    return found


def _finite(values: Sequence[float]) -> list[float]:
    return [value if math.isfinite(value) else 0.0 for value in values]


def address_of(state: Mapping[str, Any]) -> str:
    """Where the job of a checkpoint lies.

    Raises:
        StateError: It is not the state of a job.
    """
    job = state.get(KEY) if isinstance(state, Mapping) else None
    address = job.get("address") if isinstance(job, Mapping) else None
    if not isinstance(address, str):
        raise StateError("not the state of a job: it names none; pass what `Job.checkpoint` returned")
    return address
