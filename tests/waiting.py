"""Waiting for what other processes do: as long as a busy machine may need, and no longer than until it is so."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil

PATIENCE_SECONDS = 600.0
"""After which a test gives up; what is waited for takes a second on a machine that does nothing else."""


def until(condition: Callable[[], bool], what: str = "it") -> None:
    """Wait until something is so."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < end, f"{what} never came in {PATIENCE_SECONDS:.0f} s"
        time.sleep(0.02)


def gone(pid: int) -> bool:
    """Whether a process has ended. Where nobody collects orphans, as in some containers, it stays as a zombie."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@contextmanager
def patience_with(process: subprocess.Popen[str] | subprocess.Popen[bytes]) -> Iterator[None]:
    """Kill a process that hangs: whoever reads what it writes comes to an end of it then, and fails."""
    timer = threading.Timer(PATIENCE_SECONDS, process.kill)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
