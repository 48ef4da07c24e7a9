"""What a job is reached through: its directory, or a service."""

from __future__ import annotations

from typing import Any, Protocol

from mixtera.jobs.model import Promise, Receipt, Report, Topology
from mixtera.plan import Plan
from mixtera.stream import Stream


class JobPort(Protocol):
    """A job. Calls may come from any thread; each returns when what it says is durable.

    Every call raises a JobError where the job refuses, a StorageError where its directory cannot be written, and a
    ServiceError where the service cannot be reached for too long.

    Attributes:
        address: What another process opens it with: a directory, or a URL without secrets.
        plan: The plan.
    """

    address: str
    plan: Plan

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

    def observe(self, rank: int, worker: int, stream: Stream) -> None:
        """Let others see how a reader of this process fares, where somebody looks."""

    def close(self) -> None:
        """Let it go."""
