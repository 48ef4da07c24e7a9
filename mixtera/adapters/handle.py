"""A plan as adapters hold it: pickled as its directory and opened again where it is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike, fspath
from typing import Final

import numpy as np

from mixtera.arrow import strings, take
from mixtera.plan import Plan
from mixtera.registry import format_named
from mixtera.stream import Stream
from mixtera.stream.state import PlanIdentity
from mixtera.stream.stream import BUDGET_BYTES

WORKER_BUDGET_BYTES: Final = 3 << 20
"""Bytes for each of several workers, at least: what they send ahead waits in the trainer's process."""


class PlanHandle:
    """A plan that crosses to another process as a directory name; its tables and arrays never do."""

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
        """The plan, opened at the first use in a process.

        Raises:
            PlanError: It is not a plan, or damaged.
        """
        if self._plan is None:
            self._plan = Plan.open(self._path, remap=self._remap or None)
        return self._plan

    @property
    def identity(self) -> PlanIdentity:
        """What resume states of the plan are checked against."""
        return PlanIdentity.of(self.plan.data, self.plan.digest)

    def load_readers(self) -> None:
        """Import what reading needs, before workers are forked that then share its memory: 20 MB for each."""
        for source in self.plan.data.sources:
            format_named(source.format)
        take(strings([""]), np.zeros(1, np.int64))

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
        return Stream(
            self.plan.data,
            self.plan.digest,
            batch_size=batch_size,
            rank=rank,
            world_size=world_size,
            start=start,
            worker=worker,
            workers=workers,
            columns=columns,
            budget_bytes=BUDGET_BYTES if workers == 1 else max(WORKER_BUDGET_BYTES, BUDGET_BYTES // (4 * workers)),
        )
