"""Who does the pieces of work of a run: the processes of this machine, or a cluster.

A piece is JSON and so is what comes of it; `mixtera.catalog.work.done` does it, wherever that is. What it writes goes
to the directory that the piece names, which everybody sees.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Protocol, TypeAlias, cast

from mixtera.catalog.bundles import Scanned
from mixtera.catalog.scan import Advance
from mixtera.catalog.work import Work
from mixtera.registry import executor_kind_named

Finished: TypeAlias = Callable[[Work, Scanned], bool]


class Executor(AbstractContextManager["Executor"], Protocol):
    """Does pieces of work, of one source after the other. Use it as a context manager: what it started ends with it."""

    @property
    def most(self) -> int:
        """How many pieces may be worked on at a time, at least 1."""

    @property
    def given(self) -> bool:
        """Whether it was said how many that are to be."""

    def start(self, pieces: int, total_bytes: int) -> None:
        """Get ready for so much work, while the caller does something else."""

    def scan(
        self, bundles: Sequence[Work], advance: Advance, finished: Finished, meanwhile: Callable[[], None]
    ) -> None:
        """Do pieces of work.

        Args:
            bundles: The pieces.
            advance: Called with progress, never twice at a time.
            finished: Called with each result, once for each piece and never twice at a time; False stops the whole job.
                What was written need not be on the disk yet.
            meanwhile: Called once in this process, while others may be at work already.

        Raises:
            MixteraError: The first that a piece raised; the others were stopped.
        """


def executor_named(name: str, workers: int | None) -> Executor:
    """A new executor of that name.

    Args:
        name: Its name among the entry points `mixtera.executors`.
        workers: How many pieces may be worked on at a time; None for what the work is worth.

    Raises:
        PluginError: There is none of that name, or what it needs is not installed.
    """
    return cast(Executor, executor_kind_named(name)(workers))
