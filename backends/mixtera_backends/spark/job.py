"""A job of Spark that this process waits for, without waiting for ever."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from typing import Final, Generic, TypeVar

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from mixtera_backends.spark.cluster import context_of, executors, is_local, no_executor
from mixtera_backends.spark.session import patience, spark_errors

_LOOK_SECONDS: Final = 1.0
_AGAIN_SECONDS: Final = 0.2
_CANCELLED_SECONDS: Final = 30.0

T = TypeVar("T")


class Job(Generic[T]):
    """An action that runs in a thread of its own; `cancel` ends what Spark does for it."""

    def __init__(self, session: SparkSession, action: Callable[[], T], patience_seconds: float | None = None) -> None:
        """Start it; `patience_seconds` is how long it waits where there is no executor."""
        self._session = session
        self._action = action
        self._patience = patience() if patience_seconds is None else patience_seconds
        self._tag = f"mixtera-{uuid.uuid4().hex}"
        self._last_seen = self._next_look = time.monotonic()
        thread = ThreadPoolExecutor(1, "mixtera-spark")
        self._future = thread.submit(self._run)
        thread.shutdown(wait=False)

    def _run(self) -> T:
        with spark_errors():
            self._mark()
            return self._action()

    def _mark(self) -> None:
        """Tag what this thread starts; `interruptTag` of a session finds nothing but behind Spark Connect."""
        context = context_of(self._session)
        if context is None:
            self._session.addTag(self._tag)
        else:
            context.addJobTag(self._tag)

    def ended(self, seconds: float) -> bool:
        """Wait a while; whether it has ended.

        Raises:
            EngineError: There has been no executor for too long; the job was cancelled.
        """
        if wait([self._future], seconds).done:
            return True
        now = time.monotonic()
        if now >= self._next_look:
            self._next_look = now + _LOOK_SECONDS
            if _has_executors(self._session):
                self._last_seen = time.monotonic()
        if now - self._last_seen > self._patience:
            self.cancel()
            raise no_executor(self._session, self._patience)
        return False

    def result(self) -> T:
        """Wait for its end.

        Raises:
            EngineError: Spark failed.
        """
        clean = False
        try:
            while not self.ended(_LOOK_SECONDS):
                pass
            clean = True
        finally:
            if not clean:
                self.cancel()
        return self._future.result()

    def cancel(self) -> None:
        """End it and wait for that, not for long; a Spark that is gone has ended it itself."""
        deadline = time.monotonic() + _CANCELLED_SECONDS
        with suppress(PySparkException, Py4JError, OSError):
            while time.monotonic() < deadline:
                self._interrupt()  # again and again: what Spark begins later is not cancelled by this
                if wait([self._future], _AGAIN_SECONDS).done:
                    return

    def _interrupt(self) -> None:
        context = context_of(self._session)
        if context is None:
            self._session.interruptTag(self._tag)
        else:
            context.cancelJobsWithTag(self._tag)


def _has_executors(session: SparkSession) -> bool:
    """Whether somebody works. A local master does, and what a Spark Connect server has is its own business."""
    if context_of(session) is None or is_local(session):
        return True
    try:
        return executors(session) > 0
    except (Py4JError, OSError):
        return False
