"""Children that are forked from the process of the tests: none goes on as a second one of it, and none stays."""

from __future__ import annotations

import os
import signal
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import connection

from tests.waiting import PATIENCE_SECONDS


def status_in_a_child(check: Callable[[], bool]) -> int:
    """The exit code of a forked child that makes a check: 0 where it holds, less than 0 where a signal ended it.

    A child that hangs is ended by the system, since a lock that it inherited may keep Python from running at all.
    """
    child = _forked()
    if not child:
        status = 1
        try:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)  # that of the tests' own limit is Python
            signal.alarm(int(PATIENCE_SECONDS))
            status = 0 if check() else 2
        except BaseException:  # noqa: BLE001 - whatever it is
            traceback.print_exc()
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def answer_of_a_child(call: Callable[[], bytes]) -> bytes:
    """What a forked child answers; empty where the call fails there. It ends in any case."""
    reader, writer = os.pipe()
    child = _forked()
    if not child:
        try:
            os.write(writer, call())
        except BaseException:  # noqa: BLE001 - whatever it is, this is not to go on as a second process of the tests
            traceback.print_exc()
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as answer:
        try:
            assert connection.wait([answer], PATIENCE_SECONDS), "the forked child hangs"
            return answer.read()
        finally:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


@contextmanager
def bystander() -> Iterator[None]:
    """A forked child that does nothing, and holds open what was open; it ends with the block."""
    reading, writing = os.pipe()
    child = _forked()
    if not child:
        try:
            os.close(writing)
            os.read(reading, 1)
        finally:
            os._exit(0)
    os.close(reading)
    try:
        yield
    finally:
        os.close(writing)
        os.waitpid(child, 0)


def _forked() -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # from Python 3.12 on: that of a process with threads
        return os.fork()
