"""Checks in a fork of this process: it ends by itself, or is ended."""

from __future__ import annotations

import fcntl
import os
import signal
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

from tests.waiting import until

_FALSE: Final = 2


def ended(check: Callable[[], bool]) -> int:
    """Make a check in a fork of this process: 0 where it holds, else another code; minus the signal that ended it.

    A fork has what other threads held at that moment, for ever, so it may hang: it is ended when patience ends.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12: other threads; the child needs none of them
        child = os.fork()
    if not child:
        status = 1
        try:
            status = 0 if check() else _FALSE
        finally:
            os._exit(status)
    codes: list[int] = []

    def is_over() -> bool:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            codes.append(os.waitstatus_to_exitcode(status))
        return bool(found)

    try:
        until(is_over, "the end of a forked child")
    finally:
        if not codes:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    return codes[0]


def keeps(held: AbstractContextManager[None], path: Path) -> bool:
    """Whether a child that is forked while a lock on a file is held has it still when its parent has let it go."""
    reader, writer = os.pipe()
    with held:
        child = os.fork()
        if not child:
            os.close(writer)
            os.read(reader, 1)  # until the parent is done, or gone
            os._exit(0)
    os.close(reader)
    try:
        with path.open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(writer)
        os.waitpid(child, 0)
    return False
