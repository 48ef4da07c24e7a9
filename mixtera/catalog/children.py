"""Child processes that answer on pipes: a fork of this process where that is safe, else a new interpreter.

A fork can scan at once; a new interpreter first imports numpy and pyarrow, for 0.2 s of a processor.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
import warnings
from contextlib import suppress
from multiprocessing import current_process, get_context
from typing import TYPE_CHECKING, BinaryIO, Final, Protocol, cast

from mixtera.catalog.functions import any_loaded
from mixtera.catalog.worker import serve

if TYPE_CHECKING:
    from multiprocessing.context import ForkProcess

NOT_FORKED: Final = frozenset(
    {"pyarrow.flight", "obstore", "polars", "jax", "torch", "tensorflow", "grpc", "fsspec", "mpi4py"}
)
"""Libraries with threads or devices of their own that a fork of this process would have in an unknown state."""
_ONE_THREAD: Final = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
"""Without it numpy starts a thread on every processor that it will not need: 0.1 s of each of them."""
_START: Final = "from mixtera.catalog.worker import main; main()"


class Child(Protocol):
    """A child process.

    Attributes:
        requests: What is written here, it reads.
        answers: What it answers.
    """

    requests: BinaryIO
    answers: BinaryIO

    @property
    def pid(self) -> int:
        """Its process id."""

    def kill(self) -> None:
        """End it, perhaps from another thread."""

    def wait(self) -> int:
        """Wait for its end: its exit code, or minus the number of the signal that killed it."""


def start_child() -> Child:
    """Start a child that serves bundles."""
    return Forked() if may_fork() else Interpreter()


def may_fork() -> bool:
    """Whether a fork of this process is a whole one: no other Python thread, and no library that forbids it.

    Nobody knows what threads a user's function has started. Daemons of `multiprocessing` may not fork.
    """
    alone = threading.active_count() == 1 and not current_process().daemon
    return sys.platform == "linux" and alone and not any_loaded() and NOT_FORKED.isdisjoint(sys.modules)


def close_pipes(child: Child) -> None:
    """Close the pipes to a child that has ended."""
    for pipe in (child.requests, child.answers):
        with suppress(BrokenPipeError):
            pipe.close()


class Interpreter:
    """A new interpreter, which imports what it needs and never the user's script."""

    def __init__(self) -> None:
        import subprocess  # takes a while, and is seldom needed

        environment = {**_ONE_THREAD, **os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", _START], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
        )
        self.requests = cast(BinaryIO, self._process.stdin)
        self.answers = cast(BinaryIO, self._process.stdout)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def kill(self) -> None:
        """End it."""
        self._process.kill()

    def wait(self) -> int:
        """Wait for its end."""
        return self._process.wait()


class Forked:
    """A copy of this process. It holds the catalog's lock too, until it has seen that its parent is gone."""

    def __init__(self) -> None:
        theirs, ours = os.pipe()
        self.requests: BinaryIO = os.fdopen(ours, "wb")
        ours_too, theirs_too = os.pipe()
        self.answers: BinaryIO = os.fdopen(ours_too, "rb")
        arguments = (theirs, theirs_too, (ours, ours_too))
        self._process: ForkProcess = get_context("fork").Process(target=_serve_forked, args=arguments, daemon=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 counts threads of numpy, which are idle
            self._process.start()
        os.close(theirs)
        os.close(theirs_too)

    @property
    def pid(self) -> int:
        """Its process id."""
        return cast(int, self._process.pid)

    def kill(self) -> None:
        """End it."""
        self._process.kill()

    def wait(self) -> int:
        """Wait for its end."""
        self._process.join()
        return cast(int, self._process.exitcode)


def _serve_forked(requests: int, answers: int, of_parent: tuple[int, int]) -> None:
    """What the fork does: with the parent's ends of the pipes closed, it sees the end of the parent."""
    for end in of_parent:
        os.close(end)
    gc.freeze()  # what the parent has made is never freed here, and looking at it would copy its pages
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    sys.stdout = sys.stderr
    os.dup2(2, 1)
    with os.fdopen(requests, "rb") as lines:
        serve(lines, answers)
