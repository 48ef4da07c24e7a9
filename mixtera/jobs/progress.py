"""What a job becomes with each record: pure functions of its state.

New weights hold from the first round that nobody has been promised. Where the report says at which position its step
ended, they hold from the second round after that position at the earliest, or after the one that readers which read
ahead may have reached: by then every rank has asked for the round between, so the timeline does not depend on who was
faster.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from mixtera.algorithms import steering
from mixtera.artifact.model import PlanData, Steering
from mixtera.artifact.skips import Skip
from mixtera.contracts.algorithm import Feedback, FitResult, FitTask
from mixtera.errors import SampleError
from mixtera.jobs.model import Change, JobState, Promise, Report
from mixtera.jobs.records import Asked, Began, Fitted, Joined, Kept, Record, Reported, Skipped
from mixtera.order.steered import Limits, Steered, changed
from mixtera.order.timeline import Phase, Timeline

ROUNDS_BETWEEN: Final = 2
"""Rounds from the one that a step ends in to the first that its feedback may change."""


class Rules:
    """What a plan says of its job; nothing in it changes.

    Attributes:
        components: Names of the components.
        limits: What bounds the timeline.
        round_size: Positions of a round.
    """

    def __init__(self, data: PlanData) -> None:
        """Read them from a plan."""
        self.components = tuple(component.name for component in data.components)
        self.round_size = data.order.chunk_size * data.order.lanes
        self._timeline, self._steering = data.timeline, data.steering
        self.limits = Limits(
            tuple(component.places for component in data.components),
            tuple(component.on_exhaust for component in data.components),
            None if data.steering is None else data.steering.limit,
            self.round_size,
        )

    @property
    def follows(self) -> bool:
        """Whether the weights follow the training."""
        return self._steering is not None

    def start(self) -> JobState:
        """The state of a new job."""
        begun = None
        if self._steering is not None:
            begun = steering.begin(settings(self._steering), self.components, self._timeline.phases[0].weights)
        return JobState(Steered.of(self._timeline), steering=begun)

    def apply(self, state: JobState, record: Record) -> JobState:
        """The state after a record."""
        match record:
            case Began():
                return state
            case Asked():
                return replace(state, promised=max(state.promised, record.rounds))
            case Reported():
                return _with(self._reported(state, record.report)[0], record.change)
            case Fitted():
                result = FitResult(record.step, record.data)
                return _with(self._fitted(state, result)[0], record.change)
            case Joined():
                return replace(state, topology=record.topology)
            case Kept():
                return replace(state, checkpoint=record.position)
            case Skipped():
                return replace(state, skips=(*state.skips, *record.skips))

    def promise(self, state: JobState, rounds: int) -> Asked | None:
        """The record that promises more rounds; None where they are promised. Rounds behind the end are not."""
        total = state.course.timeline.total
        wanted = rounds if total is None else min(rounds, -(-total // self.round_size))
        return Asked(wanted) if wanted > state.promised else None

    def promised(self, state: JobState, first: int, rounds: int) -> Promise:
        """What is promised of the rounds [first, rounds)."""
        timeline = state.course.timeline
        until = min(rounds, state.promised)
        total = timeline.total if timeline.total is not None and timeline.total <= until * self.round_size else None
        low, high = first * self.round_size, until * self.round_size
        begin = max(0, bisect_right(timeline.phases, low, key=_first) - 1)
        end = max(begin + 1, bisect_left(timeline.phases, high, key=_first))
        return Promise(until, _plain(timeline.phases[begin:end]), total)

    def report(self, state: JobState, report: Report) -> Reported | None:
        """The record of a report; None where its step is not after the last, or nobody wants to know."""
        if state.steering is None or report.step <= state.step:
            return None
        after, weights = self._reported(state, report)
        return Reported(report, self._change(after, report.step, weights, report))

    def fit(self, state: JobState, result: FitResult) -> Fitted | None:
        """The record of a fit; None where nobody waits for it."""
        task = self.open_fit(state)
        if task is None or task.step != result.step:
            return None
        after, weights = self._fitted(state, result)
        last = state.held[-1] if state.held else None
        return Fitted(result.step, result.data, self._change(after, after.step, weights, last))

    def skip(self, state: JobState, skips: Sequence[Skip], most: int) -> Skipped | None:
        """The record of what is delivered in place of samples; None where something was noted at all the positions.

        Args:
            state: The state.
            skips: What a reader would deliver.
            most: How many the run may have.

        Raises:
            SampleError: They are more.
        """
        noted = {skip.position for skip in state.skips}
        fresh = tuple({skip.position: skip for skip in skips if skip.position not in noted}.values())
        if not fresh:
            return None
        if len(state.skips) + len(fresh) > most:
            raise SampleError(
                f"{fresh[0].reason}; the run has skipped {len(state.skips):,} samples, {len(fresh):,} more cannot be "
                f"read, and at most {most:,} may be skipped: mend the files, or raise `most_skipped`"
            )
        return Skipped(fresh)

    def open_fit(self, state: JobState) -> FitTask | None:
        """The fit that is to be done; None where none is."""
        return None if state.steering is None else steering.task(state.steering)

    def _reported(self, state: JobState, report: Report) -> tuple[JobState, tuple[float, ...] | None]:
        steered, state = state.steering, replace(state, step=report.step)
        assert steered is not None
        if state.held or steering.is_waiting(steered, report.step):
            return replace(state, held=(*state.held, report)), None
        outcome = steering.update(steered, self._feedback(state, report))
        return replace(state, steering=outcome.state), outcome.weights

    def _fitted(self, state: JobState, result: FitResult) -> tuple[JobState, tuple[float, ...] | None]:
        assert state.steering is not None
        held, steered = state.held, steering.given(state.steering, result)
        weights: tuple[float, ...] | None = None
        for number, report in enumerate(held):
            if steering.is_waiting(steered, report.step):
                return replace(state, steering=steered, held=held[number:]), weights
            outcome = steering.update(steered, self._feedback(state, report))
            steered, weights = outcome.state, outcome.weights or weights
        return replace(state, steering=steered, held=()), weights

    def _feedback(self, state: JobState, report: Report) -> Feedback:
        return Feedback(
            report.step, report.loss_sum, report.loss_count, self._samples(state, report), dict(report.scalars)
        )

    def _samples(self, state: JobState, report: Report) -> Sequence[float]:
        """Samples of each component in the step: as reported, or as the timeline has them, or losses counted."""
        if report.samples is not None:
            return report.samples
        if report.position is None or not report.size or report.size > report.position:
            return report.loss_count
        edges = np.array([report.position - report.size, report.position])
        given: list[float] = np.diff(state.course.timeline.filled(edges), axis=0)[0].astype(float).tolist()
        return given

    def _change(
        self, state: JobState, step: int, weights: tuple[float, ...] | None, report: Report | None
    ) -> Change | None:
        if weights is None:
            return None
        first = state.promised
        if report is not None and report.position is not None:
            first = max(first, (report.position + report.ahead) // self.round_size + ROUNDS_BETWEEN)
        at = max(first * self.round_size, state.course.since)
        course = changed(state.course, at, weights, self.limits)
        if course is state.course:
            return None
        phases = tuple(phase for phase in course.timeline.phases if phase.first >= at)
        return Change(step, at, weights, course.owed, _plain(phases), course.timeline.total)


def settings(plan: Steering) -> steering.Settings:
    """The settings that a plan holds."""
    return steering.Settings(plan.algorithm, plan.options, plan.floor, plan.ceiling, plan.every, plan.lag)


def _first(phase: Phase) -> int:
    return phase.first


def _with(state: JobState, change: Change | None) -> JobState:
    if change is None:
        return state
    timeline = state.course.timeline
    version = timeline.order_version
    kept = tuple(phase for phase in timeline.phases if phase.first < change.since)
    added = tuple(Phase(first, weights, base, version) for first, weights, base in change.phases)
    course = Steered(Timeline(kept + added, change.total), change.since, change.weights, change.owed)
    return replace(state, course=course, changes=state.changes + 1)


def _plain(phases: Sequence[Phase]) -> tuple[tuple[int, tuple[float, ...], tuple[int, ...]], ...]:
    return tuple((phase.first, tuple(phase.weights), tuple(phase.base)) for phase in phases)
