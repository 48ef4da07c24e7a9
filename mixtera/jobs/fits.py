"""Slow fits, in a process of their own: the job goes on meanwhile."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context

from mixtera.algorithms.steering import fitted
from mixtera.contracts.algorithm import FitResult, FitTask
from mixtera.errors import JobError
from mixtera.jobs.orphans import end_with_parent

_LOG = logging.getLogger(__name__)


class Fits:
    """Does one fit at a time and hands the result on. Belongs to the process that made it."""

    def __init__(self, done: Callable[[FitTask, FitResult], None]) -> None:
        """Prepare; no process is started before the first fit.

        Args:
            done: Called with every result, from another thread.
        """
        self._done = done
        self._guard = threading.Lock()
        self._pool: ProcessPoolExecutor | None = None
        self._running: FitTask | None = None
        self._error: BaseException | None = None

    def start(self, task: FitTask) -> None:
        """Begin a fit, unless it is under way."""
        with self._guard:
            if self._running is not None:
                return
            try:
                future = self._submitted(task)
            except BrokenProcessPool:  # its process was ended when it had nothing to do
                self._pool = None
                future = self._submitted(task)
            self._running = task
        future.add_done_callback(lambda future: self._finished(task, future))

    def _submitted(self, task: FitTask) -> Future[FitResult]:
        if self._pool is None:  # spawned: the parent may use libraries that do not survive a fork
            self._pool = ProcessPoolExecutor(1, get_context("spawn"), end_with_parent)
        return self._pool.submit(fitted, task)

    def check(self) -> None:
        """Raise what the last fit failed with; it is tried again after that.

        Raises:
            JobError: It failed.
        """
        error, self._error = self._error, None
        if error is not None:
            raise JobError(f"the weights cannot follow the training: a fit failed: {error}") from error

    def close(self) -> None:
        """Give up what is under way."""
        with self._guard:
            pool, self._pool = self._pool, None
        if pool is not None:
            processes = list((pool._processes or {}).values())  # nothing public ends a call under way
            pool.shutdown(wait=False, cancel_futures=True)
            for process in processes:
                process.terminate()

    def _finished(self, task: FitTask, future: Future[FitResult]) -> None:
        error = None if future.cancelled() else future.exception()
        with self._guard:
            self._running = None
            if self._pool is None or future.cancelled():
                return
            if error is not None:
                self._pool = None  # a broken pool stays broken: whoever starts a fit from now on has another one
        if error is None:
            self._done(task, future.result())
            return
        _LOG.error("the fit of step %d (%s) failed: %s", task.step, task.algorithm, error)
        if not isinstance(error, BrokenProcessPool):  # a process that was killed says nothing about the fit
            self._error = error
