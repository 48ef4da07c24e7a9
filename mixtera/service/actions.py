"""What can be asked of the service: the one table that its routes and its description come from."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from io import BufferedReader
from typing import Final

from mixtera import __version__
from mixtera.artifact import paging
from mixtera.errors import MixteraError, StorageError
from mixtera.jobs.messages import (
    ARROW,
    BYTES,
    PREFIX,
    PROTOCOL,
    Alive,
    AliveRequest,
    Attached,
    CheckpointRequest,
    CreateRequest,
    Done,
    FeedbackRequest,
    JobEntry,
    Jobs,
    JoinRequest,
    PromiseRequest,
    ReadRequest,
    Skipped,
    SkipRequest,
    Status,
)
from mixtera.jobs.model import Promise, Receipt
from mixtera.service import dashboard, reading
from mixtera.service.endpoint import Action, Call, Streamed, whole
from mixtera.service.held import HeldJob
from mixtera.service.metrics import MEDIA, counted
from mixtera.service.refused import RefusedError
from mixtera.service.seen import JobSeen, seen
from mixtera.service.watched import watched

_PIECE_BYTES: Final = 1 << 20


async def health(call: Call) -> Alive:
    """Whether the service answers; needs no token."""
    return Alive("mixtera", __version__, PROTOCOL)


async def jobs(call: Call) -> Jobs:
    """The jobs that the token may see."""
    names = [name for name in call.house.jobs.names() if call.identity.sees(name)]
    return Jobs(tuple([await _entry(call, name) for name in names]))


async def create(call: Call) -> JobEntry:
    """Make a job of a plan in the server's directory of plans."""
    message: CreateRequest = call.message
    if not call.identity.sees(message.job):
        raise RefusedError(403, "WrongRole", f"this token is for the jobs {', '.join(call.identity.jobs)}")
    held = await call.house.jobs.create(message.job, message.plan)
    return JobEntry(held.name, held.port.plan.digest, held.port.plan.name)


async def attach(call: Call) -> Attached:
    """What a client needs to know of a job: its plan, and where that lies."""
    held = call.job
    plan = held.port.plan
    return Attached(
        PROTOCOL,
        held.name,
        plan.digest,
        plan.name,
        plan.components,
        plan.url,
        held.key,
        held.files,
        call.identity.role,
        held.port.known[0].skips,
    )


async def promise(call: Call) -> Promise:
    """Promise all rounds before `rounds`, and tell the timeline of [first, rounds).

    Without the role train: only where they are promised already.
    """
    message: PromiseRequest = call.message
    if not call.identity.may("train") and call.job.port.promised(message.first, message.rounds) is None:
        raise RefusedError(403, "WrongRole", "these rounds are not promised yet, and to promise needs the role train")
    return await call.job.promise(message.first, message.rounds)


async def feedback(call: Call) -> Receipt:
    """Take in the losses of a step. A step that is not after the last one does not count: it may be said twice."""
    message: FeedbackRequest = call.message
    count = len(call.job.port.plan.components)
    named = {"loss_sum": message.loss_sum, "loss_count": message.loss_count, "samples": message.samples}
    for name, values in (named | message.scalars).items():
        if values is not None and len(values) != count:
            raise RefusedError(
                400, "WrongMessage", f"{name} has {len(values)} numbers, and the plan has {count} components"
            )
    report = message.report()
    receipt = await call.job.change(lambda: call.job.port.report(report))
    if receipt.counted:
        call.job.history.note(report)
    return receipt


async def join(call: Call) -> Done:
    """Note who reads from a position on."""
    message: JoinRequest = call.message
    await call.job.change(lambda: call.job.port.join(message.topology()))
    return Done()


async def checkpoint(call: Call) -> Done:
    """Note that a checkpoint of the training stands at a position."""
    message: CheckpointRequest = call.message
    await call.job.change(lambda: call.job.port.checkpoint(message.position))
    return Done()


async def skip(call: Call) -> Skipped:
    """Note samples that a reader cannot read, and what comes in their place; answers what counts at the positions."""
    message: SkipRequest = call.message
    skips = [each.skip() for each in message.skips]
    return Skipped(await call.job.change(lambda: call.job.port.skip(skips, message.most)))


async def alive(call: Call) -> Done:
    """Note that readers live, and how far they are."""
    message: AliveRequest = call.message
    call.job.readers.note(message)
    return Done()


async def status(call: Call) -> Status:
    """The status of a job, and its readers as the service has heard of them."""
    return Status(await call.job.change(call.job.port.status), call.job.readers.list())


async def plan_file(call: Call) -> Streamed:
    """A file of the job's plan, by its number in what `attach` answers."""
    number: int = call.parameters["number"]
    if number >= len(call.job.files):
        raise RefusedError(404, "NoFile", f"the plan has {len(call.job.files)} files, counted from 0")
    file = call.job.files[number]
    plan = call.job.port.plan
    await asyncio.to_thread(paging.complete, plan.data)
    path = plan.path / file.name
    try:
        opened = path.open("rb")
    except OSError as error:
        raise StorageError(f"the plan file {path} cannot be read: {error.strerror or error}") from error
    return Streamed(BYTES, _pieces(opened, file.bytes), file.bytes)


async def read(call: Call) -> Streamed:
    """The batches of one reader as an Arrow IPC stream, for clients that cannot see the storage."""
    message: ReadRequest = call.message
    if message.most_skipped and not call.identity.may("train"):
        raise RefusedError(403, "WrongRole", "to skip what cannot be read needs the role train")
    pieces = await reading.opened(call.job, message, call.house.reads)
    return Streamed(ARROW, counted(pieces, call.house.metrics.sent))


async def metrics(call: Call) -> Streamed:
    """Metrics for Prometheus: of the service, and of the jobs that the token may see."""
    house = call.house
    held = [each for each in house.jobs.opened if call.identity.sees(each.name)]

    def text() -> bytes:
        return house.metrics.text([watched(each) for each in held], house.reads.open)

    return whole(MEDIA, await asyncio.to_thread(text))


async def overview(call: Call) -> Streamed:
    """A page of the jobs that the token may see."""
    house = call.house
    names = [name for name in house.jobs.names() if call.identity.sees(name)]
    entries = [await _entry(call, name) for name in names]
    problems = [(entry.job, entry.problem) for entry in entries if entry.problem is not None]

    def content() -> tuple[list[JobSeen], list[tuple[str, str]]]:
        return [seen(watched(held)) for held in house.jobs.opened if held.name in names], problems

    return whole(dashboard.MEDIA, await house.pages.page(("", *names), dashboard.OVERVIEW, content))


async def job_page(call: Call) -> Streamed:
    """A page of a job: weights, losses, readers, and what runs out."""
    held = call.job
    page = await call.house.pages.page(("job", held.name), dashboard.JOB, lambda: (seen(watched(held)),))
    return whole(dashboard.MEDIA, page)


async def _entry(call: Call, name: str) -> JobEntry:
    try:
        held: HeldJob | None = await call.house.jobs.get(name)
    except MixteraError as error:
        return JobEntry(name, None, None, str(error))
    if held is None:
        return JobEntry(name, None, None, "it was removed")
    return JobEntry(name, held.port.plan.digest, held.port.plan.name)


async def _pieces(file: BufferedReader, size: int) -> AsyncGenerator[bytes, None]:
    """The bytes of a file, as many as were announced."""
    loop = asyncio.get_running_loop()
    with file:
        while size:
            piece: bytes = await loop.run_in_executor(None, file.read, min(size, _PIECE_BYTES))
            if not piece:
                raise StorageError(f"the plan file {file.name} is shorter than it was")
            size -= len(piece)
            yield piece


_JOB: Final = f"{PREFIX}/jobs/{{job}}"

ACTIONS: Final[tuple[Action, ...]] = (
    Action("health", "GET", f"{PREFIX}/health", None, None, Alive, health),
    Action("jobs", "GET", f"{PREFIX}/jobs", "read", None, Jobs, jobs),
    Action("create", "POST", f"{PREFIX}/jobs", "admin", CreateRequest, JobEntry, create, noted=True),
    Action("attach", "GET", f"{_JOB}/attach", "read", None, Attached, attach, noted=True),
    Action("promise", "POST", f"{_JOB}/promise", "read", PromiseRequest, Promise, promise),
    Action("feedback", "POST", f"{_JOB}/feedback", "train", FeedbackRequest, Receipt, feedback),
    Action("join", "POST", f"{_JOB}/join", "train", JoinRequest, Done, join, noted=True),
    Action("checkpoint", "POST", f"{_JOB}/checkpoint", "train", CheckpointRequest, Done, checkpoint, noted=True),
    Action("skip", "POST", f"{_JOB}/skip", "train", SkipRequest, Skipped, skip, noted=True),
    Action("alive", "POST", f"{_JOB}/alive", "read", AliveRequest, Done, alive),
    Action("status", "GET", f"{_JOB}/status", "read", None, Status, status),
    Action("plan_file", "GET", f"{_JOB}/plan/{{number:int}}", "read", None, BYTES, plan_file, noted=True),
    Action("read", "POST", f"{_JOB}/read", "read", ReadRequest, ARROW, read, noted=True),
    Action("metrics", "GET", "/metrics", "read", None, MEDIA, metrics),
    Action("dashboard", "GET", "/dashboard", "read", None, dashboard.MEDIA, overview, page=True),
    Action("job_page", "GET", "/jobs/{job}", "read", None, dashboard.MEDIA, job_page, page=True),
)
"""Every action. To add one, add its line."""
