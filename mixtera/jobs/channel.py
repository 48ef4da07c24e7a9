"""The channel: what a process says to its job goes out one after the other, in a thread of its own.

So the training never waits for feedback, and the job hears of a step before it is asked for what comes after.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from mixtera.errors import JobError, MixteraError, ServiceError
from mixtera.jobs.processes import OfProcess

_Answer = TypeVar("_Answer")
MOST_WAITING: Final = 10_000
"""Reports that may wait; more than that is a job that is gone."""


@dataclass
class _Line:
    """The thread of one process, and what it has to tell."""

    thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, thread_name_prefix="mixtera-job"))
    waiting: int = 0
    failure: MixteraError | None = None


class Channel:
    """Messages to a job. A forked child has a line of its own, with nothing in it; so has a copy."""

    def __init__(self) -> None:
        """Prepare; the thread starts with the first message."""
        self._lines = OfProcess(_Line)

    def send(self, call: Callable[[], _Answer]) -> Future[_Answer]:
        """Have something said, after all that was sent before; returns at once."""
        return self._lines.here.thread.submit(call)

    def report(self, call: Callable[[], Any]) -> None:
        """Have something said whose failure is to be raised by a later call.

        Once a service has not taken something as long as patience lasts, what waits behind it is given up until that
        failure is raised: else each of many would wait as long once more.

        Raises:
            JobError: Too much is waiting.
        """
        line = self._lines.here
        if line.waiting >= MOST_WAITING:
            raise JobError(f"the job has not answered {MOST_WAITING:,} reports: it is gone, or too slow")

        def noted() -> None:
            try:
                if not isinstance(line.failure, ServiceError):
                    call()
            except MixteraError as error:
                line.failure = line.failure or error
            finally:
                line.waiting -= 1

        line.waiting += 1
        self.send(noted)

    def check(self) -> None:
        """Raise the failure of an earlier report, once.

        Raises:
            MixteraError: What it failed with.
        """
        line = self._lines.here
        failure, line.failure = line.failure, None
        if failure is not None:
            raise failure

    def flush(self, timeout: float | None = None) -> None:
        """Return when all that was sent is said.

        Raises:
            TimeoutError: That took longer.
            MixteraError: A report failed.
        """
        self.send(lambda: None).result(timeout)
        self.check()

    def close(self) -> None:
        """End the thread, after what waits."""
        self._lines.here.thread.shutdown(wait=True)
        self._lines.renew()

    def __reduce__(self) -> tuple[type[Channel], tuple[()]]:
        return Channel, ()
