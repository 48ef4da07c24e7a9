"""Endpoints: one action of the service as an ASGI application."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import msgspec
from starlette.types import Receive, Scope, Send

from mixtera.errors import MixteraError
from mixtera.jobs.messages import JSON
from mixtera.service.asking import Door, address_of
from mixtera.service.audit import Audit
from mixtera.service.dashboard import Pages
from mixtera.service.held import HeldJob, HeldJobs
from mixtera.service.metrics import Metrics
from mixtera.service.reading import Buffer, Reads
from mixtera.service.refused import RefusedError, body_of, refusal_of
from mixtera.service.tokens import Identity, Role

_SAFE: Final = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))


@dataclass(frozen=True, slots=True)
class House:
    """What all endpoints share.

    Attributes:
        ending: Set when the service ends: answers that are sent piece by piece are cut short, since those who take them
            would hold it up, and go on with whoever serves the job next.
    """

    jobs: HeldJobs
    door: Door
    audit: Audit
    reads: Reads
    metrics: Metrics = field(default_factory=Metrics)
    pages: Pages = field(default_factory=Pages)
    ending: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True, slots=True)
class Call:
    """A request that was let in.

    Attributes:
        house: The service.
        identity: Who asks.
        held: The job; None where the path names none.
        message: The message; None where the action has none.
        parameters: Parts of the path.
    """

    house: House
    identity: Identity
    held: HeldJob | None
    message: Any
    parameters: dict[str, Any]

    @property
    def job(self) -> HeldJob:
        """The job that the path names."""
        assert self.held is not None
        return self.held


@dataclass(frozen=True, slots=True)
class Streamed:
    """An answer that is sent piece by piece, as fast as the other side takes it."""

    media: str
    pieces: AsyncGenerator[Buffer, None]
    size: int | None = None


def whole(media: str, content: bytes) -> Streamed:
    """An answer that is there already, and is no JSON."""

    async def pieces() -> AsyncGenerator[Buffer, None]:
        yield content

    return Streamed(media, pieces(), len(content))


Answer: TypeAlias = "msgspec.Struct | Streamed | Any"


@dataclass(frozen=True, slots=True)
class Action:
    """Something that can be asked of the service.

    Attributes:
        name: Its name, in the audit log and in the description.
        method: HTTP method.
        path: Path, as starlette writes it; `{job}` is the name of a job.
        role: Who may; None: whoever reaches the service.
        message: What is sent; None: nothing.
        answer: What comes back; a media type where that is not JSON.
        run: Does it.
        noted: Whether the audit log has it even where it goes well.
        page: Whether it is for browsers: the token may be the password that they ask for.
    """

    name: str
    method: str
    path: str
    role: Role | None
    message: type[msgspec.Struct] | None
    answer: type[Any] | str
    run: Callable[[Call], Awaitable[Answer]]
    noted: bool = False
    page: bool = False

    @property
    def summary(self) -> str:
        """What it does."""
        return str(self.run.__doc__)


class Endpoint:
    """See `Action`."""

    def __init__(self, action: Action, house: House) -> None:
        self._action, self._house = action, house

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        begun = time.perf_counter()
        who = "nobody"
        parameters: dict[str, Any] = scope.get("path_params", {})
        job = parameters.get("job")
        try:
            try:
                identity = None if self._action.role is None else self._house.door.identity(scope, self._action.page)
                who = "nobody" if identity is None else identity.name
                answer = await self._run(identity, parameters, scope, receive)
            except MixteraError as error:
                raise refusal_of(error) from error
        except RefusedError as refused:
            if not refused.quiet:
                self._note(who, scope, job, refused.kind, refused.status, refused.message)
            self._house.metrics.answered(self._action.name, refused.status, time.perf_counter() - begun)
            await refuse(send, refused)
            return
        if self._action.noted:
            self._note(who, scope, job, "done", 200)
        self._house.metrics.answered(self._action.name, 200, time.perf_counter() - begun)
        if isinstance(answer, Streamed):
            await _stream(receive, send, answer, self._house.ending)
        else:
            await reply(send, 200, msgspec.json.encode(answer))

    async def _run(
        self, identity: Identity | None, parameters: dict[str, Any], scope: Scope, receive: Receive
    ) -> Answer:
        action, house = self._action, self._house
        if identity is None:
            return await action.run(Call(house, Identity("nobody", "read", ()), None, None, parameters))
        if action.role is not None and not identity.may(action.role):
            raise RefusedError(
                403, "WrongRole", f"{action.name} needs the role {action.role}, and this token has {identity.role}"
            )
        held = await self._held(parameters["job"], identity) if "job" in parameters else None
        message = None if action.message is None else await house.door.message(scope, receive, action.message)
        return await action.run(Call(house, identity, held, message, parameters))

    async def _held(self, name: str, identity: Identity) -> HeldJob:
        """The job; one that the token may not see is no different from one that is not there."""
        held = await self._house.jobs.get(name) if identity.sees(name) else None
        if held is None:
            raise RefusedError(404, "NoJob", "there is no such job here, or this token may not see it")
        return held

    def _note(
        self, who: str, scope: Scope, job: str | None, outcome: str, status: int, message: str | None = None
    ) -> None:
        self._house.audit.write(who, address_of(scope), self._action.name, outcome, status, job, message)


async def reply(
    send: Send, status: int, body: bytes, headers: tuple[tuple[bytes, bytes], ...] = (), media: str = JSON
) -> None:
    """Send an answer."""
    plain = ((b"content-type", media.encode()), (b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": [*plain, *_SAFE, *headers]})
    await send({"type": "http.response.body", "body": body})


async def refuse(send: Send, refused: RefusedError) -> None:
    """Send a refusal."""
    close = ((b"connection", b"close"),) if refused.close else ()
    await reply(send, refused.status, body_of(refused), (*refused.headers, *close))


async def _stream(receive: Receive, send: Send, answer: Streamed, ending: asyncio.Event) -> None:
    """Send an answer until all of it is sent, the client has gone, or the service ends.

    An answer that does not end is what tells the client of a failure: it asks again, and is told why.
    """
    size = () if answer.size is None else ((b"content-length", str(answer.size).encode()),)
    headers = [(b"content-type", answer.media.encode()), *size, *_SAFE]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    sending, *others = (asyncio.ensure_future(each) for each in (_send(send, answer), _gone(receive), ending.wait()))
    with suppress(asyncio.CancelledError):  # the server has no more time
        await asyncio.wait((sending, *others), return_when=asyncio.FIRST_COMPLETED)
        for each in (sending, *others):
            each.cancel()
        await asyncio.gather(sending, *others, return_exceptions=True)
        await answer.pieces.aclose()
    error = sending.exception() if sending.done() and not sending.cancelled() else None
    if error is not None and not isinstance(error, MixteraError):
        raise error


async def _send(send: Send, answer: Streamed) -> None:
    async for piece in answer.pieces:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def _gone(receive: Receive) -> None:
    """Wait until the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass
