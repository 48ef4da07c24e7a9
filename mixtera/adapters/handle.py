"""A plan or a job as adapters hold it: pickled as its address and opened again where it is read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from os import PathLike, fspath
from typing import Final, TypeAlias

import numpy as np

from mixtera.arrow import strings, take
from mixtera.jobs import Job
from mixtera.plan import Plan
from mixtera.registry import format_named, storage_of
from mixtera.stream import Stream
from mixtera.stream.guide import Guide
from mixtera.stream.skips import Skips
from mixtera.stream.source import BatchSource
from mixtera.stream.state import PlanIdentity
from mixtera.stream.stream import BUDGET_BYTES

Readable: TypeAlias = Plan | Job | str | PathLike[str]
"""What adapters read: a plan, the directory of one, or a job."""
WORKER_BUDGET_BYTES: Final = 2 << 20
"""Bytes for each of several workers, at least: what they send ahead waits in the trainer's process."""
FAR_BUDGET_BYTES: Final = 3 << 20
"""The same where files are at URLs: what is asked for takes its time to come."""
AHEAD_PART: Final = 4
"""Where weights follow the training, batches are made ahead for this part of a round at most, if any."""
RANKS_APART: Final = 2
"""Steps that ranks may be apart: they meet at each, to add up gradients."""


class Handle(ABC):
    """What is read, in a form that crosses to another process; its tables and arrays never do."""

    @property
    @abstractmethod
    def plan(self) -> Plan:
        """The plan, opened at the first use in a process.

        Raises:
            PlanError: It is not a plan, or damaged.
        """

    @property
    @abstractmethod
    def first(self) -> int:
        """Position at which readers begin that are not told otherwise."""

    @property
    def identity(self) -> PlanIdentity:
        """What resume states are checked against."""
        return PlanIdentity.of(self.plan.data, self.plan.digest)

    @abstractmethod
    def state_at(self, position: int) -> dict[str, object]:
        """The state after `position` samples of the run: JSON values."""

    def guide(self) -> Guide | None:
        """What tells one stream the timeline; None: it is the plan's."""
        return None

    def source(self) -> BatchSource | None:
        """Where the batches of streams come from; None: they are read here."""
        return None

    def skips(self) -> Skips | None:
        """What is delivered in place of samples that cannot be read; None: nothing."""
        return None

    @abstractmethod
    def observe(self, rank: int, worker: int, stream: Stream) -> None:
        """Let others see how a reader fares, where somebody looks."""

    @abstractmethod
    def quiet(self) -> None:
        """Have nothing under way in other threads, before this process is forked."""

    @abstractmethod
    def begin(
        self, rank: int, world_size: int, batch_size: int, position: Callable[[], int], ahead_steps: int = 0
    ) -> None:
        """Say that this process begins to read.

        Args:
            rank: Its rank.
            world_size: Ranks.
            batch_size: Samples of a batch of one.
            position: Gives the position up to which the trainer has taken samples.
            ahead_steps: Steps that are read ahead of it at most.
        """

    def steps_ahead(self, step_size: int) -> int | None:
        """Steps that should be made ahead at most; None: as many as is fast.

        Args:
            step_size: Samples of a step, over all ranks.
        """
        return None

    def load_readers(self) -> None:
        """Import what reading needs, before workers are forked that then share its memory: 25 MB for each.

        Only storages of this machine: others may have threads, which a fork would not have.
        """
        for source in self.plan.data.sources:
            format_named(source.format)
        take(strings([""]), np.zeros(1, np.int64))
        np.unique(np.zeros(1, np.int64))  # imports numpy.ma
        if self._first_path:
            storage_of(self._first_path)

    def stream(
        self,
        batch_size: int,
        rank: int,
        world_size: int,
        start: int | None,
        worker: int = 0,
        workers: int = 1,
        columns: Sequence[str] | None = None,
    ) -> Stream:
        """The stream of one reader; see `Stream` for the arguments. Several workers have smaller budgets."""
        stream = Stream(
            self.plan.data,
            self.plan.digest,
            batch_size=batch_size,
            rank=rank,
            world_size=world_size,
            start=self.first if start is None else start,
            worker=worker,
            workers=workers,
            columns=columns,
            budget_bytes=BUDGET_BYTES if workers == 1 else self._part_of_budget(workers),
            guide=self.guide(),
            source=self.source(),
            skips=self.skips(),
        )
        self.observe(rank, worker, stream)
        return stream

    def _part_of_budget(self, workers: int) -> int:
        least = WORKER_BUDGET_BYTES if self._first_path is not None else FAR_BUDGET_BYTES
        return max(least, BUDGET_BYTES // (4 * workers))

    @property
    def _first_path(self) -> str | None:
        """The first of the plan's files; None where they lie at URLs."""
        urls = self.plan.data.files.column("url")
        first = str(urls[0]) if len(urls) else ""
        return None if "://" in first else first


class PlanHandle(Handle):
    """A plan that crosses to another process as a directory name."""

    def __init__(self, plan: Plan | str | PathLike[str]) -> None:
        self._plan: Plan | None = plan if isinstance(plan, Plan) else None
        self._path = str(plan.path) if isinstance(plan, Plan) else fspath(plan)
        self._remap = dict(plan.remap) if isinstance(plan, Plan) else {}

    def __getstate__(self) -> tuple[str, dict[str, str]]:
        return self._path, self._remap

    def __setstate__(self, state: tuple[str, Mapping[str, str]]) -> None:
        self._path, self._remap = state[0], dict(state[1])
        self._plan = None

    @property
    def plan(self) -> Plan:
        """See `Handle`."""
        if self._plan is None:
            self._plan = Plan.open(self._path, remap=self._remap or None)
        return self._plan

    @property
    def first(self) -> int:
        """See `Handle`."""
        return self.plan.start

    def state_at(self, position: int) -> dict[str, object]:
        """See `Handle`."""
        return self.identity.state_at(position)

    def observe(self, rank: int, worker: int, stream: Stream) -> None:
        """See `Handle`. Nobody looks."""

    def quiet(self) -> None:
        """See `Handle`. A plan has no threads."""

    def begin(
        self, rank: int, world_size: int, batch_size: int, position: Callable[[], int], ahead_steps: int = 0
    ) -> None:
        """See `Handle`. Nobody keeps account of who reads a plan."""


class JobHandle(Handle):
    """A job that crosses to another process as its address and its plan's directory: a pickled job is no more."""

    def __init__(self, job: Job) -> None:
        self._job = job

    @property
    def plan(self) -> Plan:
        """See `Handle`."""
        return self._job.plan

    @property
    def first(self) -> int:
        """See `Handle`."""
        return self._job.start

    @property
    def identity(self) -> PlanIdentity:
        """See `Handle`. Where a plan ends that follows the training is not known."""
        identity = super().identity
        return identity if self.plan.data.steering is None else replace(identity, end=None)

    def state_at(self, position: int) -> dict[str, object]:
        """See `Handle`. It names the job, as `Job.checkpoint` does."""
        return self._job.state_at(position)

    def guide(self) -> Guide | None:
        """See `Handle`."""
        return self._job.guide()

    def source(self) -> BatchSource | None:
        """See `Handle`."""
        return self._job.source

    def skips(self) -> Skips | None:
        """See `Handle`."""
        return self._job.skips

    def observe(self, rank: int, worker: int, stream: Stream) -> None:
        """See `Handle`."""
        self._job.observe(rank, worker, stream)

    def quiet(self) -> None:
        """See `Handle`."""
        self._job.flush()

    def begin(
        self, rank: int, world_size: int, batch_size: int, position: Callable[[], int], ahead_steps: int = 0
    ) -> None:
        """See `Handle`. The first rank tells the job who reads; every one tells its own how far the trainer is.

        Unless they read further ahead, all readers say that they may be a part of a round ahead. So which weights hold
        where does not depend on workers and ranks.
        """
        if rank == 0:
            self._job.join(world_size, batch_size, position())
        step_size = world_size * batch_size
        ahead = max(self._ahead, (ahead_steps + RANKS_APART) * step_size)
        self._job.follow(position, step_size, ahead)

    def steps_ahead(self, step_size: int) -> int | None:
        """See `Handle`."""
        if self.plan.data.steering is None:
            return None
        return max(0, self._ahead // step_size - RANKS_APART)

    @property
    def _ahead(self) -> int:
        order = self.plan.data.order
        return order.chunk_size * order.lanes // AHEAD_PART


def handle_of(given: Readable) -> Handle:
    """The handle of what an adapter is given."""
    return JobHandle(given) if isinstance(given, Job) else PlanHandle(given)
