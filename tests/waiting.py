"""Waiting for what other processes do: as long as a busy machine may need, and no longer than until it is so."""

from __future__ import annotations

import time
from collections.abc import Callable

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
