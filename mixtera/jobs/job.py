"""`Job`: a run of a plan, from the trainer's side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from os import PathLike, fspath
from types import TracebackType
from typing import TYPE_CHECKING, Any, Unpack

from mixtera.errors import JobError
from mixtera.jobs.channel import Channel
from mixtera.jobs.decided import decided, round_size
from mixtera.jobs.guide import JobGuide
from mixtera.jobs.model import KEY, Numbers, Report, Topology, address_of, numbers_of
from mixtera.jobs.port import JobPort
from mixtera.jobs.skips import JobSkips, OnUnreadable, most_of
from mixtera.plan import Plan
from mixtera.stream import Stream
from mixtera.stream.skips import MOST_SKIPPED
from mixtera.stream.source import BatchSource
from mixtera.stream.state import PlanIdentity
from mixtera.stream.stream import BUDGET_BYTES

if TYPE_CHECKING:
    from mixtera.jobs.client import Options


class Job:
    """A run of a plan: what it has read, what the training reported, and the weights that followed.

    Any number of processes may hold the same job, each with an object of its own. Positions are those of the run, as
    everywhere. It is cheap to pickle: a copy opens the job again.

    Attributes:
        address: What another process opens it with: a directory, or a URL without secrets.
        start: Position at which streams begin that are not told otherwise.
    """

    def __init__(self, port: JobPort, start: int | None = None, most_skipped: int = 0) -> None:
        """Made by `local`, `attach` and `resume`."""
        self._port, self._most_skipped = port, most_skipped
        self._channel = Channel()
        self._identity = PlanIdentity.of(port.plan.data, port.plan.digest)
        self._reading: tuple[Callable[[], int], int, int] | None = None
        self.address = port.address
        self.start = port.plan.start if start is None else start

    @classmethod
    def local(
        cls,
        plan: Plan | str | PathLike[str] | None,
        directory: str | PathLike[str],
        on_unreadable: OnUnreadable = "fail",
        most_skipped: int = MOST_SKIPPED,
    ) -> Job:
        """A job in a directory, without a server; made at its first use.

        Args:
            plan: The plan, or where it lies; None: the one that the job was made with. One that was not saved is copied
                into the directory.
            directory: The directory, on a file system with locks. Processes of several machines share it only where
                locks hold across them.
            on_unreadable: What its streams do where a sample cannot be read: `fail`, or `skip`: another sample of the
                same component comes in its place, and the job notes which.
            most_skipped: Positions of the run at which that may happen, at most.

        Raises:
            JobError: It is of another plan, or a service has it, or `on_unreadable` is something else.
            PlanError: There is no such plan.
            StorageError: It cannot be read or written.
        """
        from mixtera.jobs.local import LocalJob

        given = plan if plan is None or isinstance(plan, Plan) else Plan.open(fspath(plan))
        most = most_of(on_unreadable, most_skipped)
        return cls(LocalJob(fspath(directory), given), most_skipped=most)

    @classmethod
    def attach(
        cls,
        url: str,
        token: str | None = None,
        on_unreadable: OnUnreadable = "fail",
        most_skipped: int = MOST_SKIPPED,
        **options: Unpack[Options],
    ) -> Job:
        """A job of a service.

        Args:
            url: `https://host:port/jobs/name`.
            token: The token; by default that of `token_file`, else that of the environment variable `MIXTERA_TOKEN`.
            on_unreadable: See `local`; to skip needs the role train.
            most_skipped: See `local`.
            **options: How the service is reached, and the data read: see `mixtera.jobs.client.Options`.

        Raises:
            ServiceError: The service cannot be reached, or does not let us in.
            PlanError: The plan is damaged.
            StorageError: There is no room for a copy of the plan.
        """
        from mixtera.jobs.client import ServiceJob

        most = most_of(on_unreadable, most_skipped)
        return cls(ServiceJob(url, token, **options), most_skipped=most)

    @classmethod
    def resume(
        cls,
        state: Mapping[str, Any],
        directory: str | None = None,
        token: str | None = None,
        on_unreadable: OnUnreadable = "fail",
        most_skipped: int = MOST_SKIPPED,
        **options: Unpack[Options],
    ) -> Job:
        """The job of a checkpoint, at its position. Its timeline stays as it was: the same samples come again.

        Feedback of steps that the job has heard of already does not count a second time.

        Args:
            state: What `checkpoint` returned.
            directory: Where the job lies now, or its URL now; by default where it lay.
            token: For a job of a service, as `attach` takes it.
            on_unreadable: See `local`. What was skipped before stays so in any case.
            most_skipped: See `local`.
            **options: As `attach` takes them.

        Raises:
            StateError: It is not such a state, or one of another plan.
            JobError: The job is gone.
            ServiceError: The service cannot be reached, or does not let us in.
        """
        address = address_of(state) if directory is None else directory
        if "://" in address:
            job = cls.attach(address, token, on_unreadable, most_skipped, **options)
        else:
            job = cls.local(None, address, on_unreadable, most_skipped)
        try:
            job.load_state_dict(state)
        except BaseException:
            job.close()
            raise
        return job

    @property
    def plan(self) -> Plan:
        """The plan."""
        return self._port.plan

    @property
    def components(self) -> tuple[str, ...]:
        """Names of the components, in the order of the plan: the order of all numbers by component."""
        return self.plan.components

    def stream(
        self,
        batch_size: int,
        rank: int = 0,
        world_size: int = 1,
        start: int | None = None,
        worker: int = 0,
        workers: int = 1,
        columns: Sequence[str] | None = None,
        budget_bytes: int = BUDGET_BYTES,
    ) -> Stream:
        """The samples of one reader; see `mixtera.Plan.stream`.

        Where the weights follow the training, the stream reads at most one round (chunk_size × lanes samples) ahead of
        the one that it delivers, so that what is reported soon counts; it has no length, and all ranks end after the
        same step.

        Args:
            batch_size: Samples per batch of this rank.
            rank: This reader's rank.
            world_size: Readers in total.
            start: Position to begin at, over all ranks; the job's `start` by default.
            worker: Worker of the rank; see `mixtera.stream.Stream`.
            workers: Workers of the rank.
            columns: Content columns to read; all by default.
            budget_bytes: Bytes of samples that are fetched and not yet delivered, about.

        Raises:
            PlanError: An argument is out of range.
            JobError: The job refuses.
        """
        begin = self.start if start is None else start
        stream = Stream(
            self.plan.data,
            self.plan.digest,
            batch_size=batch_size,
            rank=rank,
            world_size=world_size,
            start=begin,
            worker=worker,
            workers=workers,
            columns=columns,
            budget_bytes=budget_bytes,
            guide=self.guide(),
            source=self.source,
            skips=self.skips,
        )
        if rank == 0 and worker == 0:
            self.join(world_size, batch_size, begin)
        self.follow(lambda: stream.position, world_size * batch_size)
        self.observe(rank, worker, stream)
        return stream

    @property
    def source(self) -> BatchSource | None:
        """Where the batches of its streams come from; None: they are read here. For adapters."""
        return self._port.source

    @property
    def skips(self) -> JobSkips:
        """What its streams deliver in place of samples that cannot be read. For adapters."""
        return JobSkips(self._port, self._most_skipped)

    def guide(self) -> JobGuide | None:
        """What tells one stream of this process the timeline; None where the plan has it. For adapters."""
        return None if self.plan.data.steering is None else JobGuide(self._port, self._channel)

    def join(self, world_size: int, batch_size: int, start: int) -> None:
        """Note who reads from a position on. `stream` and loaders do so for the first rank.

        Raises:
            JobError: The job refuses.
        """
        self._port.join(Topology(world_size, batch_size, start - self.plan.start))

    def observe(self, rank: int, worker: int, stream: Stream) -> None:
        """Let the service see how far a reader of this process is, and how long it waits. `stream` and loaders do so.

        Args:
            rank: Its rank.
            worker: Its worker.
            stream: Its stream.
        """
        self._port.observe(rank, worker, stream)

    def follow(self, position: Callable[[], int], step_size: int, ahead: int = 0) -> None:
        """Say how far the training is in this process, for `feedback` and `checkpoint`. `stream` and loaders do so.

        Args:
            position: Gives the position up to which the training has taken samples, over all ranks.
            step_size: Samples of a step, over all ranks.
            ahead: Positions after that one which some reader may have reached: new weights hold behind them, so that
                they do not depend on how fast readers are.
        """
        self._reading = position, step_size, ahead

    def feedback(
        self,
        step: int,
        loss_sum: Numbers,
        loss_count: Numbers,
        samples: Numbers | None = None,
        scalars: Mapping[str, Numbers] | None = None,
        position: int | None = None,
    ) -> None:
        """Report the losses of a step, summed over all ranks; one rank does so. Returns at once.

        What the job then does with it, or that it cannot, is seen by a later call. A step that is not after the last
        one reported (late, or said twice) does not count. A loss that is NaN or infinite makes its component one that
        did not come.

        Args:
            step: The step, ascending over the whole run, whatever its ranks; steps may be left out.
            loss_sum: Sums of the losses by component: a mapping, or one number per component.
            loss_count: How many losses these are of: tokens, or samples.
            samples: Samples (sequences) of the step by component, over all ranks; by default the job knows.
            scalars: Other numbers by component, such as `{"weights": {…}}` for the algorithm `external`.
            position: Position after the step; by default that of the stream or loader that this process reads.

        Raises:
            JobError: Numbers that are those of no component, or an earlier message failed.
        """
        self._channel.check()
        if isinstance(step, bool) or not isinstance(step, int) or step < 0:
            raise JobError(f"feedback: the step is {step!r}; it must be a whole number from 0")
        at, size, ahead = self._reached(position)
        try:
            numbers = numbers_of(self.components, loss_sum, loss_count, samples, scalars or {})
            report = Report(step, *numbers, at, size, ahead)
        except (TypeError, ValueError) as error:
            raise JobError(f"feedback of step {step}: {error}") from error
        self._channel.report(lambda: self._port.report(report))

    def checkpoint(self, position: int | None = None) -> dict[str, Any]:
        """Note that the training keeps a checkpoint here; returns when all that was reported is durable.

        Args:
            position: Position up to which the training has used the samples, such as the `position` of a stream's or
                loader's state; by default that of the stream or loader that this process reads.

        Returns:
            JSON values for the trainer's own checkpoint: what `resume`, and `load_state_dict` of streams and loaders,
            go on from. Its size does not depend on how long the run has been.

        Raises:
            StateError: Nobody can have read as far.
            JobError: The job refuses, or something reported before did not reach it.
        """
        if position is None:
            if self._reading is None:
                raise JobError("checkpoint: this process reads no stream of the job; give the position")
            position = self._reading[0]()
        self._channel.flush()
        self._channel.send(lambda: self._port.checkpoint(position - self.plan.start)).result()
        return self._identity.state_at(position) | {KEY: {"address": self.address}}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Let streams begin where a state was taken.

        Raises:
            StateError: It is not a state, or one of another plan.
        """
        self.start = self._unending.position_of(state)

    def state_at(self, position: int) -> dict[str, Any]:
        """The state after `position` samples of the run, as `checkpoint` returns it; nothing is noted."""
        return self._identity.state_at(position) | {KEY: {"address": self.address}}

    def decided(self) -> Plan:
        """The plan as far as it is decided: what was promised to readers, and ends there.

        Its `samples` and `locate` are those of the job, and `mixtera ledger` asks them. A plan that does not follow
        the training is decided from the beginning.

        Raises:
            JobError: The job refuses.
        """
        plan = self.plan
        if plan.data.steering is None:
            return decided(plan, None, self._port.skips())
        rounds = (self.status()["promised"] - plan.start) // round_size(plan)
        promise = self._channel.send(lambda: self._port.promise(0, rounds)).result()
        return decided(plan, promise, self._port.skips())

    def status(self) -> dict[str, Any]:
        """What is known of the job: weights, promised positions, the last step; see `mixtera.jobs.status.status`.

        Raises:
            JobError: The job refuses, or something reported before did not reach it.
        """
        self._channel.flush()
        return self._channel.send(self._port.status).result()

    @property
    def weights(self) -> dict[str, float]:
        """The shares that were asked for last, by component; they hold from `status()["since"]` on."""
        return dict(zip(self.components, self.status()["weights"], strict=True))

    def flush(self, timeout: float | None = None) -> None:
        """Return when all that was reported is durable.

        Args:
            timeout: Seconds to wait at most.

        Raises:
            TimeoutError: It took longer.
            JobError: Something could not be reported.
        """
        self._channel.flush(timeout)

    def close(self) -> None:
        """Say what waits to be said, and let the job go."""
        self._channel.close()
        self._port.close()

    def __enter__(self) -> Job:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __reduce__(self) -> tuple[type[Job], tuple[JobPort, int, int]]:
        return Job, (self._port, self.start, self._most_skipped)

    def __repr__(self) -> str:
        return f"Job({self.plan.name!r}, {self.address!r})"

    @property
    def _unending(self) -> PlanIdentity:
        """What states are checked against: the end of a plan that follows is not known."""
        return self._identity if self.plan.data.steering is None else replace(self._identity, end=None)

    def _reached(self, position: int | None) -> tuple[int | None, int | None, int]:
        """Position after the step, counted from the plan's first, the positions of a step, and how far readers are."""
        if self._reading is None:
            return None if position is None else position - self.plan.start, None, 0
        reached, size, ahead = self._reading
        return (reached() if position is None else position) - self.plan.start, size, ahead
