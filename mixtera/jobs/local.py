"""A job in a directory: several processes of a machine may share it.

::

    journal.jsonl   the records (`mixtera.jobs.records`); the job is their sum
    snapshot.json   the sum up to some line
    plan/           the plan, where it was not saved elsewhere
    owner, lock     locks; see `mixtera.jobs.locks`
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from mixtera.artifact.atomic import sync
from mixtera.artifact.skips import Skip
from mixtera.contracts.algorithm import FitResult, FitTask
from mixtera.errors import JobError, StateError, StorageError
from mixtera.jobs import snapshot
from mixtera.jobs.fits import Fits
from mixtera.jobs.journal import NAME, Journal, reports
from mixtera.jobs.locks import DirectoryLock
from mixtera.jobs.model import JobState, Promise, Receipt, Report, Topology, clean_report
from mixtera.jobs.progress import Rules
from mixtera.jobs.records import VERSION, Began, Joined, Kept, Record
from mixtera.jobs.status import status
from mixtera.plan import Plan
from mixtera.stream import Stream

SNAPSHOT_RECORDS: Final = 512
"""Records after which a snapshot is written."""


class LocalJob:
    """See `JobPort`. Open files and locks belong to a process: a forked child opens its own at its first call."""

    source: Final = None

    def __init__(self, directory: str, plan: Plan | None = None, alone: bool = False) -> None:
        """Open a job, or make one.

        Args:
            directory: Its directory.
            plan: The plan; None where the job is there already.
            alone: Whether no other process may use it meanwhile.

        Raises:
            JobError: There is none and no plan to make one of, it is of another plan, is in use, or is damaged.
            PlanError: Its plan cannot be opened.
            StorageError: It cannot be read or written.
        """
        self._directory = Path(directory).absolute()
        self.address = str(self._directory)
        self._alone = alone
        if plan is None and not (self._directory / NAME).exists():
            raise JobError(f"{directory} holds no job; `mixtera.Job.local(plan, {directory!r})` makes one")
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"the job {directory} cannot be made: {error.strerror or error}") from error
        self._process = os.getpid()
        self._lock = DirectoryLock(self._directory, alone)
        self._journal = Journal(self._directory)
        self._fits = Fits(self._finish)
        try:
            with self._lock.changing():
                self.plan = self._opened(plan)
                self._rules = Rules(self.plan.data)
                self._state = self._rules.start()
                self._restore()
        except BaseException:
            self._lock.close()
            self._journal.close()
            raise

    def promise(self, first: int, rounds: int) -> Promise:
        """See `JobPort`."""
        with self._current():
            record = self._rules.promise(self._state, rounds)
            if record is not None:
                self._keep(record)
            return self._rules.promised(self._state, first, rounds)

    def promised(self, first: int, rounds: int) -> Promise | None:
        """What `promise` answers where nothing has to be written for it; None where something has. Waits for nobody.

        Only whoever has the job alone knows that without looking into the journal.
        """
        state = self._state
        return self._rules.promised(state, first, rounds) if self._rules.promise(state, rounds) is None else None

    def report(self, report: Report) -> Receipt:
        """See `JobPort`."""
        self._fits.check()
        with self._current():
            record = self._rules.report(self._state, clean_report(report))
            if record is None:
                counted = not self._rules.follows and report.step > self._state.step
                return Receipt(max(self._state.step, report.step if counted else -1), counted)
            self._keep(record)
            change, task = record.change, self._rules.open_fit(self._state)
        if task is not None:
            self._fits.start(task)
        return Receipt(report.step, True, *((change.weights, change.since) if change else (None, None)))

    def join(self, topology: Topology) -> None:
        """See `JobPort`."""
        with self._current():
            if topology != self._state.topology:
                self._keep(Joined(topology))

    def checkpoint(self, position: int) -> None:
        """See `JobPort`.

        Raises:
            StateError: Nobody can have read as far.
        """
        with self._current():
            end = self._end()
            if not 0 <= position <= end:
                first = self.plan.start
                raise StateError(
                    f"a checkpoint at position {position + first}: the job {self._directory} has promised positions "
                    f"from {first} to {end + first}"
                )
            self._keep(Kept(position))

    def status(self) -> dict[str, Any]:
        """See `JobPort`."""
        with self._current():
            return status(self.plan, self._rules, self._state, self._journal.records)

    def skips(self) -> tuple[Skip, ...]:
        """See `JobPort`."""
        return self.state.skips

    def skip(self, skips: Sequence[Skip], most: int) -> tuple[Skip, ...]:
        """See `JobPort`.

        Raises:
            JobError: A sample is none of the plan, or not one of the component of the other, or nobody can read there.
        """
        pointers, first = self.plan.pointers, self.plan.start
        with self._current():
            end = self._end()
            for skip in skips:
                found = [pointers.entry_of(sample) for sample in (skip.sample, skip.instead)]
                components = {None if entry is None else entry[0] for entry in found}
                if len(components) > 1 or None in components or not 0 <= skip.position < end:
                    raise JobError(
                        f"at position {skip.position + first}, sample {skip.instead} cannot come in place of "
                        f"{skip.sample}: both must be of one component of the plan, and the position promised"
                    )
            record = self._rules.skip(self._state, skips, most)
            if record is not None:
                self._keep(record)
            noted = {skip.position: skip for skip in self._state.skips}
        return tuple(noted[skip.position] for skip in skips)

    def observe(self, rank: int, worker: int, stream: Stream) -> None:
        """See `JobPort`: nobody looks."""

    @property
    def state(self) -> JobState:
        """What the job knows now."""
        with self._current():
            return self._state

    @property
    def known(self) -> tuple[JobState, int]:
        """What this process knew last, and of how many records. Waits for nobody."""
        return self._state, self._journal.records

    def reports(self) -> Iterator[Report]:
        """What the training has reported until now, where the plan follows it. Any thread may ask."""
        return reports(self._journal.path, self._journal.end)

    @property
    def rules(self) -> Rules:
        """What the plan says of it."""
        return self._rules

    def sign(self, who: str) -> None:
        """Leave a name for those who find the job in use."""
        self._lock.sign(who)

    def close(self) -> None:
        """Let it go; a fit that is under way is given up, and done again by whoever opens the job."""
        if self._process == os.getpid():
            self._process = 0  # nothing is open: to close it again does nothing
            self._fits.close()
            self._journal.close()
            self._lock.close()

    def __reduce__(self) -> tuple[Callable[[str, str, dict[str, str]], LocalJob], tuple[str, str, dict[str, str]]]:
        return _again, (self.address, str(self.plan.path), self.plan.remap)

    def resume_fit(self) -> None:
        """Start the fit that somebody has left open, if one is."""
        with self._current():
            task = self._rules.open_fit(self._state)
        if task is not None:
            self._fits.start(task)

    def _finish(self, task: FitTask, result: FitResult) -> None:
        if self._process != os.getpid():  # closed meanwhile: it is not opened again for that
            return
        with self._current():
            record = self._rules.fit(self._state, result)
            if record is None:
                return
            self._keep(record)
            following = self._rules.open_fit(self._state)
        if following is not None and following != task:
            self._fits.start(following)

    def _end(self) -> int:
        """Position up to which somebody may have read."""
        total = self._state.course.timeline.total
        if not self._rules.follows:
            return (1 << 62) if total is None else total
        known = self._state.promised * self._rules.round_size
        return known if total is None else min(known, total)

    @contextmanager
    def _current(self) -> Iterator[None]:
        """Hold the lock, knowing all that was written."""
        self._check_process()
        with self._lock.changing():
            for record in self._journal.new():
                self._state = self._rules.apply(self._state, record)
            yield

    def _check_process(self) -> None:
        if self._process != os.getpid():
            self._process = os.getpid()
            self._lock = DirectoryLock(self._directory, self._alone)
            self._journal = Journal(self._directory)
            self._fits = Fits(self._finish)
            self._state = self._rules.start()  # another thread may have been at work on it when this process was forked
            with self._lock.changing():
                self._restore()

    def _keep(self, record: Record) -> None:
        after = self._rules.apply(self._state, record)
        self._journal.append([record])
        self._state = after
        if self._journal.records % SNAPSHOT_RECORDS == 0:
            snapshot.write(self._directory, self.plan.digest, self._journal.end, self._journal.records, after)

    def _restore(self) -> None:
        """The state as the journal has it, from the last snapshot on."""
        found = snapshot.read(self._directory, self.plan.digest, self._journal.size)
        if found is not None:
            end, records, self._state = found
            self._journal.close()
            self._journal = Journal(self._directory, end, records)
        for record in self._journal.new():
            self._state = self._rules.apply(self._state, record)

    def _opened(self, plan: Plan | None) -> Plan:
        """The plan of the job; the first record is written where there is none."""
        began = next(self._journal.new(), None)
        if began is None:
            if plan is None:
                raise JobError(f"{self._directory / NAME} is empty; start the job with its plan")
            self._journal.append([Began(VERSION, plan.digest, self._kept(plan), plan.name)])
            for named in (self._directory, self._directory.parent):
                with suppress(OSError):  # file systems that cannot flush a directory need not
                    sync(named)
            return plan
        if not isinstance(began, Began):
            raise JobError(f"{self._directory / NAME}:1: a journal begins otherwise; start a job in another directory")
        if began.version > VERSION:
            raise JobError(
                f"the job {self._directory} was made by a newer Mixtera (version {began.version}, this one reads up to "
                f"{VERSION}): upgrade Mixtera"
            )
        if plan is None:
            plan = Plan.open(began.path if "://" in began.path else str(self._directory / began.path))
        if plan.digest != began.plan:
            raise JobError(
                f"the job {self._directory} is of the plan {began.name!r} ({began.plan}), and the plan given is "
                f"{plan.name!r} ({plan.digest}): open it with the plan that it was started with, or start a new job in "
                "another directory"
            )
        return plan

    def _kept(self, plan: Plan) -> str:
        """Where the plan lies for good: where it was opened or saved, or else in the job's directory."""
        if plan.url is None:
            plan.save(str(self._directory / "plan"))
            return "plan"
        return plan.url if "://" in plan.url else str(Path(plan.url).absolute())


def _again(directory: str, path: str, remap: dict[str, str]) -> LocalJob:
    """The job of a copy, in another process."""
    return LocalJob(directory, Plan.open(path, remap or None))
