"""Weights that follow the training: what a plan knows of them before there is one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mixtera.artifact.model import PlanData
from mixtera.explanation.numbers import count, percent

LEAST_ROUNDS, MOST_ROUNDS = 1, 2
"""Rounds that pass before what a step reports counts: a step at the end of a round, and one at its beginning."""


@dataclass(frozen=True, slots=True)
class Steered:
    """How the weights follow the training.

    Attributes:
        algorithm: Name of the algorithm.
        options: Those that the spec gives.
        floor: The least share of a component; None for none.
        ceiling: The largest.
        every: Weights change at multiples of this many steps.
        lag: Steps from one that asks for a fit to the one from which its result counts.
        round_positions: Positions of a round: weights change between rounds.
        round_steps: Steps of a round, where it is known how large a step is.
    """

    algorithm: str
    options: dict[str, Any]
    floor: float | None
    ceiling: float | None
    every: int
    lag: int
    round_positions: int
    round_steps: float | None


def steered_of(data: PlanData, batch: int | None) -> Steered | None:
    """How the weights of a plan follow the training; None where they do not.

    Args:
        data: The plan.
        batch: Positions of a step over all ranks, where it is known.
    """
    found = data.steering
    if found is None:
        return None
    size = data.order.chunk_size * data.order.lanes
    steps = None if batch is None else size / batch
    bounds = found.floor, found.ceiling
    return Steered(found.algorithm, found.options, *bounds, found.every, found.lag, size, steps)


def sentences(steered: Steered, unit: str) -> Iterator[str]:
    """What is to be said of it, for people."""
    yield (
        f"The weights follow the training by the algorithm {steered.algorithm}, from those above; a job is told of the "
        "losses. What is said here of shares, epochs and the end holds as long as nothing is reported."
    )
    bounds = [
        f"{'at least' if name == 'floor' else 'at most'} {percent(value)}"
        for name, value in (("floor", steered.floor), ("ceiling", steered.ceiling))
        if value is not None
    ]
    if bounds:
        yield f"Every component keeps {' and '.join(bounds)}."
    size = f"{count(steered.round_positions)} {unit}"
    if steered.round_steps is not None:
        least, most = (max(1, round(rounds * steered.round_steps)) for rounds in (LEAST_ROUNDS, MOST_ROUNDS))
        yield f"Rounds have {size}: what a step reports counts {count(least)} to {count(most)} steps later."
    else:
        yield f"Rounds have {size}: what a step reports counts after {LEAST_ROUNDS} to {MOST_ROUNDS} of them."
