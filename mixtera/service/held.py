"""The jobs of a service: opened at their first use, each for this process alone."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

from mixtera.artifact import layout, remote
from mixtera.errors import JobError, MixteraError, PlanError
from mixtera.jobs.local import LocalJob
from mixtera.jobs.messages import PlanFile
from mixtera.jobs.model import Promise
from mixtera.service import directory as places
from mixtera.service.history import History
from mixtera.service.readers import Readers

_Answer = TypeVar("_Answer")
WRITERS: Final = 16
"""Threads for what may wait for a disk. A job takes one at most: a disk that hangs holds up its own jobs."""


class HeldJob:
    """A job of this service. Its methods belong to the loop of the service."""

    def __init__(self, name: str, port: LocalJob, threads: ThreadPoolExecutor) -> None:
        """Hold a job that is open."""
        self.name, self.port, self._threads = name, port, threads
        self.readers, self.history = Readers(port.plan.start), History()
        document = (port.plan.path / layout.DOCUMENT).read_bytes()
        self.key = remote.key_of(document)
        names = [layout.DOCUMENT, *layout.names_of(port.plan.path)]
        self.files = tuple(PlanFile(file, (port.plan.path / file).stat().st_size) for file in names)
        self._turn = asyncio.Lock()

    async def promise(self, first: int, rounds: int) -> Promise:
        """See `LocalJob.promise`: where all is promised, nobody waits; of many that ask, one writes."""
        found = self.port.promised(first, rounds)
        if found is not None:
            return found
        async with self._turn:
            found = self.port.promised(first, rounds)
            return found if found is not None else await self._aside(lambda: self.port.promise(first, rounds))

    async def change(self, call: Callable[[], _Answer]) -> _Answer:
        """Call something of the job that may wait for the disk; one such call at a time."""
        async with self._turn:
            return await self._aside(call)

    async def _aside(self, call: Callable[[], _Answer]) -> _Answer:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)


class HeldJobs:
    """All jobs in a directory. Belongs to one process, and says so to others.

    Attributes:
        directory: The directory; a job is a directory in it.
    """

    def __init__(self, directory: str, plans: str | None = None) -> None:
        """Take the directory; it is made where there is none.

        Args:
            directory: The directory of the jobs.
            plans: Directory of the plans that jobs may be made of; None: none.

        Raises:
            JobError: Another service has it.
            StorageError: It cannot be written, or its file system has no locks.
        """
        self.directory = Path(directory).absolute()
        self._plans = None if plans is None else Path(plans).absolute()
        self._owner = places.taken(self.directory)
        self._past = ThreadPoolExecutor(1, thread_name_prefix="mixtera-history")
        self._threads = ThreadPoolExecutor(WRITERS, thread_name_prefix="mixtera-write")
        self._guard = threading.Lock()
        self._open: dict[str, HeldJob] = {}
        self._opening: dict[str, asyncio.Lock] = {}

    def sign(self, who: str) -> None:
        """Leave a name for those who find the directory in use."""
        places.sign(self._owner, who)
        self._who = who

    def names(self) -> list[str]:
        """The names of the jobs, as they lie on the disk."""
        return places.names(self.directory)

    def __len__(self) -> int:
        return len(self._open)

    @property
    def opened(self) -> tuple[HeldJob, ...]:
        """The jobs that are open, by name."""
        return tuple(self._open[name] for name in sorted(self._open))

    async def get(self, name: str) -> HeldJob | None:
        """A job; None where there is none of that name.

        Raises:
            MixteraError: It cannot be opened.
        """
        held = self._open.get(name)
        if held is not None:
            return held
        if not places.NAME.fullmatch(name) or not places.is_job(self.directory / name):
            return None
        async with self._opening.setdefault(name, asyncio.Lock()):
            held = self._open.get(name)
            if held is None:
                loop = asyncio.get_running_loop()
                held = await loop.run_in_executor(self._threads, self._opened, name)
                self._open[name] = held
        return held

    async def create(self, name: str, plan: str) -> HeldJob:
        """Make a job of a plan in the directory of plans.

        Raises:
            JobError: There is such a job, or no directory of plans.
            PlanError: It is no plan there.
        """
        if self._plans is None:
            raise JobError("this service makes no jobs: `mixtera serve` was started without --plans")
        if not places.NAME.fullmatch(plan) or not (self._plans / plan / layout.DOCUMENT).is_file():
            raise PlanError(f"no plan {plan!r}; the plans are {', '.join(places.plans(self._plans)) or 'none'}")
        path = str(self._plans / plan)
        loop = asyncio.get_running_loop()
        async with self._opening.setdefault(name, asyncio.Lock()):
            await loop.run_in_executor(self._threads, places.create, self.directory, name, path)
        held = await self.get(name)
        assert held is not None
        return held

    async def resume(self) -> None:
        """Open all jobs, and go on with the fits that the last service has left open."""
        for name in self.names():
            try:
                held = await self.get(name)
                if held is not None:
                    await held.change(held.port.resume_fit)
            except MixteraError:  # whoever asks for the job is told
                continue

    def close(self) -> None:
        """Let all jobs go."""
        self._past.shutdown(wait=True, cancel_futures=True)
        self._threads.shutdown(wait=True, cancel_futures=True)
        for held in self._open.values():
            held.port.close()
        self._open.clear()
        os.close(self._owner)

    def _opened(self, name: str) -> HeldJob:
        port = LocalJob(str(self.directory / name), alone=True)
        port.sign(getattr(self, "_who", f"process {os.getpid()}"))
        held = HeldJob(name, port, self._threads)
        self._past.submit(held.history.remember, port.reports())  # nobody waits for it
        return held
