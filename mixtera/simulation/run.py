"""Runs an algorithm against losses: step by step, as a job would, with every fit done when it is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mixtera.algorithms import Settings, begin, fitted, given, task, update
from mixtera.contracts.algorithm import FitResult
from mixtera.simulation.components import Component
from mixtera.simulation.losses import Losses

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Point:
    """The run before a step.

    Attributes:
        step: The step.
        weights: [K] the weights in force.
        delivered: [K] samples before it.
    """

    step: int
    weights: tuple[float, ...]
    delivered: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Exhaustion:
    """A component that ran out: its name, the first step that needed more, and what then happened."""

    component: str
    step: int
    then: str


@dataclass(frozen=True, slots=True)
class Simulation:
    """What came out.

    Attributes:
        components: The components.
        settings: The algorithm, and how it was steered.
        batch: Samples of a step.
        steps: Steps that were simulated.
        points: The run at some of them, the first and the end among them.
        changes: How often the weights changed.
        fits: Every fit: its step, and what was found.
        exhausted: Components that ran out.
        ended: Why it ended before the last step that was asked for; None where it did not.
    """

    components: tuple[Component, ...]
    settings: Settings
    batch: int
    steps: int
    points: tuple[Point, ...]
    changes: int
    fits: tuple[FitResult, ...]
    exhausted: tuple[Exhaustion, ...]
    ended: str | None

    @property
    def epochs(self) -> tuple[float | None, ...]:
        """How often each component was delivered; None where its size is not known."""
        pairs = zip(self.components, self.points[-1].delivered, strict=True)
        return tuple(None if not each.size else delivered / each.size for each, delivered in pairs)


def simulate(
    components: Sequence[Component], settings: Settings, losses: Losses, steps: int, batch: int, points: int = 12
) -> Simulation:
    """Run an algorithm.

    Args:
        components: The components.
        settings: The algorithm.
        losses: What the training would report.
        steps: How many steps.
        batch: Samples of a step.
        points: About how many points of the run are kept.

    Raises:
        AlgorithmError: The algorithm cannot use what it is given.
        PluginError: It does not exist, or needs a package that is not installed.
    """
    run = _Run(tuple(components), settings, batch)
    shown = {round(number * steps / max(1, points - 1)) for number in range(points)} | {0}
    kept, done = [], 0
    while done < steps:
        if done in shown:
            kept.append(run.point(done))
        if not run.step(done, losses):
            break
        done += 1
    kept.append(run.point(done))
    return Simulation(
        run.components,
        settings,
        batch,
        done,
        tuple(kept),
        run.changes,
        tuple(run.fits),
        tuple(run.exhausted),
        run.ended,
    )


class _Run:
    """The state of a simulation."""

    def __init__(self, components: tuple[Component, ...], settings: Settings, batch: int) -> None:
        self.components, self.batch = components, batch
        self.state: dict[str, Any] = begin(
            settings, [each.name for each in components], [each.weight for each in components]
        )
        self.weights = np.array(self.state["weights"])
        self.delivered = np.zeros(len(components), np.int64)
        self.wanted = np.zeros(len(components))
        self.left = np.array([np.inf if each.places is None else each.places for each in components])
        self.gone = np.zeros(len(components), bool)
        self.changes = 0
        self.fits: list[FitResult] = []
        self.exhausted: list[Exhaustion] = []
        self.ended: str | None = None

    def point(self, step: int) -> Point:
        return Point(step, tuple(self._shares().tolist()), tuple(self.delivered.tolist()))

    def step(self, step: int, losses: Losses) -> bool:
        """One step; whether the run goes on after it."""
        samples = self._batch(step)
        if samples is None:
            return False
        report = losses.report(step, samples.astype(np.float64), self.delivered.astype(np.float64))
        self.delivered += samples
        if report is None:
            return True
        outcome = update(self.state, report)
        self.state = outcome.state
        if outcome.weights is not None:
            self.weights = np.array(outcome.weights)
            self.changes += 1
        open_task = task(self.state)
        if open_task is not None:
            result = fitted(open_task)
            self.fits.append(result)
            self.state = given(self.state, result)
        return True

    def _shares(self) -> Floats:
        """The weights of what is left; what is gone leaves its share to the others."""
        there = np.where(self.gone, 0.0, self.weights)
        return there / there.sum() if there.any() else there

    def _batch(self, step: int) -> npt.NDArray[np.int64] | None:
        """Samples of each component in the next batch: whole numbers, never far from the weights; None at the end."""
        while True:
            shares = self._shares()
            if not shares.any():
                self.ended = "every component has run out"
                return None
            wanted = self.wanted + shares * self.batch
            samples = np.where(shares > 0, np.maximum(np.floor(wanted), 0.0), 0.0).astype(np.int64)
            samples = _whole(samples, np.where(shares > 0, wanted, -np.inf), self.batch)
            short = (self.delivered + samples > self.left) & ~self.gone
            if not short.any():
                self.wanted = wanted - samples
                return samples
            for number in np.flatnonzero(short).tolist():
                self._run_out(number, step)
            if self.ended is not None:
                return None

    def _run_out(self, number: int, step: int) -> None:
        component = self.components[number]
        leaves = component.on_exhaust == "redistribute"
        then = "leaves its share to the others" if leaves else "ends the run"
        self.exhausted.append(Exhaustion(component.name, step, then))
        self.gone[number], self.wanted[number] = True, 0.0
        if not leaves:
            self.ended = f"{component.name} has run out (on_exhaust: {component.on_exhaust})"


def _whole(samples: npt.NDArray[np.int64], wanted: Floats, batch: int) -> npt.NDArray[np.int64]:
    """Samples that come to the batch: the largest rests are rounded up, or what has most too much is taken off."""
    missing = batch - int(samples.sum())
    rests = wanted - samples
    order = np.argsort(-rests, kind="stable")
    if missing > 0:
        usable = order[np.isfinite(rests[order])]
        np.add.at(samples, usable[np.arange(missing) % len(usable)], 1)
    for _ in range(-missing):
        most = int(np.argmin(np.where(samples > 0, wanted - samples, np.inf)))
        samples[most] -= 1
    return samples
