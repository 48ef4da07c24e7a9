"""Consumers: which positions of the global order one reader takes (DESIGN 2.4.4)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mixtera.artifact.model import OrderParameters
from mixtera.errors import PlanError


@dataclass(frozen=True, slots=True)
class Consumer:
    """One reader: worker w of W of rank r of D, with batches of b samples.

    Rank r takes at step k the positions start + [(kD + r)·b, (kD + r + 1)·b); worker w takes the steps ≡ w mod W.

    Attributes:
        batch_size: Samples of a batch of one rank.
        rank: Rank, from 0.
        world_size: Ranks.
        start: First position that any rank takes.
        total: Positions in the plan, None when it has no end.
        worker: Worker of the rank, from 0.
        workers: Workers of the rank.

    Raises:
        PlanError: A number is out of its range.
    """

    batch_size: int
    rank: int = 0
    world_size: int = 1
    start: int = 0
    total: int | None = None
    worker: int = 0
    workers: int = 1

    def __post_init__(self) -> None:
        _at_least("batch_size", self.batch_size, 1)
        _within("rank", self.rank, "world_size", self.world_size)
        _within("worker", self.worker, "workers", self.workers)
        _at_least("start", self.start, 0)

    @property
    def step_size(self) -> int:
        """Samples of one step over all ranks."""
        return self.world_size * self.batch_size

    @property
    def turn_size(self) -> int:
        """Positions from one batch of this reader to its next."""
        return self.step_size * self.workers

    @property
    def first(self) -> int:
        """First position of this reader's first batch."""
        return self.start + self.worker * self.step_size + self.rank * self.batch_size

    @property
    def steps(self) -> int | None:
        """Full steps from `start` to the end, the same for all ranks; None when there is no end."""
        return None if self.total is None else max(0, self.total - self.start) // self.step_size

    @property
    def batches(self) -> int | None:
        """Batches of this reader; None when there is no end."""
        return None if self.steps is None else max(0, -(-(self.steps - self.worker) // self.workers))

    @property
    def end(self) -> int | None:
        """Position after the last full step; None when there is no end."""
        return None if self.steps is None else self.start + self.steps * self.step_size

    def owns(self, positions: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Which of some positions this reader takes."""
        mask: npt.NDArray[np.bool_] = positions >= self.start
        if self.end is not None:
            mask &= positions < self.end
        if self.turn_size != self.batch_size:
            mine = self.worker * self.world_size + self.rank
            mask &= (positions - self.start) // self.batch_size % (self.world_size * self.workers) == mine
        return mask

    def lanes(self, order: OrderParameters) -> npt.NDArray[np.int64]:
        """The lanes that hold positions of this reader, in the order in which it needs them first."""
        cycle = order.lanes * order.granule
        period = math.lcm(self.turn_size, cycle) // self.turn_size
        turns = np.arange(period if self.batches is None else min(period, self.batches), dtype=np.int64)
        first = (self.first + turns * self.turn_size) % cycle
        granules = first // order.granule
        counts = np.minimum((first + self.batch_size - 1) // order.granule + 1 - granules, order.lanes)
        before = np.cumsum(counts) - counts
        runs = np.arange(int(counts.sum()), dtype=np.int64) - np.repeat(before, counts)
        needed = (np.repeat(granules, counts) + runs) % order.lanes
        return np.array(list(dict.fromkeys(needed.tolist())), np.int64)


def _at_least(name: str, value: int, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise PlanError(f"{name} is {value!r}; it must be a whole number")
    if value < least:
        raise PlanError(f"{name} is {value}; it must be at least {least}")


def _within(name: str, value: int, of: str, count: int) -> None:
    _at_least(of, count, 1)
    _at_least(name, value, 0)
    if value >= count:
        raise PlanError(f"{name} is {value}, but {of} is {count}: it must be between 0 and {count - 1}")
