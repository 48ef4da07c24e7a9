"""Directories of jobs: which are in one, how one is made, and which service has them."""

from __future__ import annotations

import fcntl
import os
import re
import socket
from pathlib import Path
from typing import Final

from mixtera.artifact import layout
from mixtera.errors import JobError, StorageError
from mixtera.jobs import journal
from mixtera.jobs.local import LocalJob
from mixtera.jobs.messages import NAME_PATTERN
from mixtera.plan import Plan

NAME: Final = re.compile(NAME_PATTERN)
_LOCK: Final = ".service"


def create(directory: Path, name: str, plan: str) -> str:
    """Make a job in a directory of jobs; a service that has the directory finds it.

    Args:
        directory: The directory of jobs.
        name: The job's name.
        plan: Where the plan lies.

    Returns:
        The plan's digest.

    Raises:
        JobError: There is such a job, or it cannot be called that.
        PlanError: It is no plan.
        StorageError: It cannot be written.
    """
    if not NAME.fullmatch(name):
        raise JobError(f"a job cannot be called {name!r}: letters, digits, `.`, `_` and `-`, at most 100, no `.` first")
    path = directory / name
    if is_job(path):
        raise JobError(f"there is a job {name!r} in {directory}; give another name, or remove {path}")
    opened = Plan.open(plan)
    LocalJob(str(path), opened, alone=True).close()
    return opened.digest


def names(directory: Path) -> list[str]:
    """The names of the jobs in a directory, in order.

    Raises:
        StorageError: It cannot be read.
    """
    try:
        return sorted(path.name for path in directory.iterdir() if NAME.fullmatch(path.name) and is_job(path))
    except OSError as error:
        raise StorageError(f"the jobs directory {directory} cannot be read: {error.strerror or error}") from error


def plans(directory: Path) -> list[str]:
    """The names of the plans in a directory, in order."""
    found = [path.name for path in directory.iterdir() if (path / layout.DOCUMENT).is_file()]
    return sorted(name for name in found if NAME.fullmatch(name))


def is_job(path: Path) -> bool:
    """Whether a directory is that of a job."""
    return (path / journal.NAME).is_file()


def taken(directory: Path) -> int:
    """Take a directory for a service; the lock ends with the process.

    Returns:
        What holds it: to sign, and to close.

    Raises:
        JobError: Another service has it.
        StorageError: It cannot be written, or its file system has no locks.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        handle = os.open(directory / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StorageError(f"the jobs directory {directory} cannot be used: {error.strerror or error}") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        who = os.pread(handle, 300, 0).decode(errors="replace") or "another process"
        os.close(handle)
        raise JobError(
            f"the jobs directory {directory} is in use by {who}; end that first, or serve another directory"
        ) from None
    except OSError as error:
        os.close(handle)
        raise StorageError(
            f"cannot lock the jobs directory {directory}: {error.strerror or error}; its file system must support locks"
        ) from error
    sign(handle, f"process {os.getpid()} on {socket.gethostname()}")
    return handle


def sign(handle: int, who: str) -> None:
    """Leave a name for others to read."""
    os.ftruncate(handle, 0)
    os.pwrite(handle, who.encode(), 0)
