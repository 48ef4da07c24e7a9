"""What a job is reached through: its directory, or a service."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from mixtera.artifact.skips import Skip
from mixtera.jobs.model import Promise, Receipt, Report, Topology
from mixtera.plan import Plan
from mixtera.stream import Stream
from mixtera.stream.source import BatchSource


class JobPort(Protocol):
    """A job. Calls may come from any thread; each returns when what it says is durable.

    Every call raises a JobError where the job refuses, a StorageError where its directory cannot be written, and a
    ServiceError where the service cannot be reached for too long.

    Attributes:
        address: What another process opens it with: a directory, or a URL without secrets.
        plan: The plan.
        source: Where the batches of its streams come from; None: whoever reads a stream reads the data itself.
    """

    address: str
    plan: Plan

    @property
    def source(self) -> BatchSource | None:
        """See above."""

    def promise(self, first: int, rounds: int) -> Promise:
        """Promise all rounds before `rounds`, and tell what holds in [first, rounds)."""

    def report(self, report: Report) -> Receipt:
        """Take feedback in."""

    def join(self, topology: Topology) -> None:
        """Note who reads."""

    def checkpoint(self, position: int) -> None:
        """Note that a checkpoint of the training stands at a position, counted from the plan's first."""

    def status(self) -> dict[str, Any]:
        """What is known: JSON values, see `mixtera.jobs.status`."""

    def skips(self) -> tuple[Skip, ...]:
        """What was delivered in place of samples that could not be read, as far as it is known without waiting."""

    def skip(self, skips: Sequence[Skip], most: int) -> tuple[Skip, ...]:
        """Note more of that.

        Args:
            skips: What a reader would deliver.
            most: How many the run may have.

        Returns:
            What counts for the same positions: what was noted there first.

        Raises:
            SampleError: They are more than the run may have.
        """

    def observe(self, rank: int, worker: int, stream: Stream) -> None:
        """Let others see how far a reader of this process is, and how it fares, where somebody looks.

        Args:
            rank: Its rank.
            worker: Its worker.
            stream: Its stream; once it is gone, nothing is said of it.
        """

    def close(self) -> None:
        """Let it go."""
