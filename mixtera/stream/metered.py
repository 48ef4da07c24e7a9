"""A thread for work in the background that knows how long it computed, and how long it stood still."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

_Arguments = ParamSpec("_Arguments")
_Answer = TypeVar("_Answer")


class MeteredThread(ThreadPoolExecutor):
    """One thread.

    Attributes:
        busy_seconds: In which something was under way.
        computed_seconds: Of these, on a core.
    """

    def __init__(self, name: str) -> None:
        """Prepare; the thread starts with the first call."""
        super().__init__(1, thread_name_prefix=name)
        self.busy_seconds = self.computed_seconds = 0.0

    def submit(
        self, call: Callable[_Arguments, _Answer], /, *args: _Arguments.args, **kwargs: _Arguments.kwargs
    ) -> Future[_Answer]:
        """See `concurrent.futures.Executor`."""
        return super().submit(self._metered, call, *args, **kwargs)  # type: ignore[arg-type]

    @property
    def still_seconds(self) -> float:
        """In which something was under way and nothing computed."""
        return max(0.0, self.busy_seconds - self.computed_seconds)

    def _metered(self, call: Callable[..., _Answer], *args: Any, **kwargs: Any) -> _Answer:  # noqa: ANN401
        begun, computed = time.perf_counter(), time.thread_time()
        try:
            return call(*args, **kwargs)
        finally:
            self.computed_seconds += time.thread_time() - computed
            self.busy_seconds += time.perf_counter() - begun
