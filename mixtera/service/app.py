"""The service as an ASGI application."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from mixtera.jobs.messages import JSON, Problem, Refusal
from mixtera.service.actions import ACTIONS
from mixtera.service.asking import address_of
from mixtera.service.endpoint import Action, Endpoint, House, reply
from mixtera.service.openapi import description


def application(house: House, more: tuple[Action, ...] = ()) -> Starlette:
    """The application over some jobs.

    Args:
        house: What its endpoints share.
        more: Actions beside the service's own.
    """
    actions = (*ACTIONS, *more)
    document = msgspec.json.encode(description(actions))

    async def openapi(scope: Scope, receive: Receive, send: Send) -> None:
        await reply(send, 200, document)

    async def refuse(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        word = "NoPath" if error.status_code == 404 else "WrongMethod"
        message = f"{request.method} {request.url.path[:200]}: there is no such action; /openapi.json describes all"
        house.metrics.answered("unknown", error.status_code, 0.0)
        house.audit.write("nobody", address_of(request.scope), "unknown", word, error.status_code, None, message)
        body = msgspec.json.encode(Refusal(Problem(word, message)))
        return Response(body, error.status_code, dict(error.headers or {}), JSON)

    @asynccontextmanager
    async def life(app: Starlette) -> AsyncIterator[None]:
        task = asyncio.get_running_loop().create_task(house.jobs.resume())
        yield
        house.pages.close()
        task.cancel()
        await asyncio.wait([task])

    handlers: dict[Any, Any] = {404: refuse, 405: refuse}
    routes = [*_routes(actions, house), Route("/openapi.json", Plain(openapi), methods=["GET"])]
    return Starlette(routes=routes, exception_handlers=handlers, lifespan=life)


class Plain:
    """An ASGI function, as routes want it."""

    def __init__(self, run: Any) -> None:  # noqa: ANN401 - an ASGI function
        self._run = run

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        await self._run(scope, receive, send)


def _routes(actions: tuple[Action, ...], house: House) -> list[BaseRoute]:
    """One route for each path, so that another method is answered with those that there are."""
    paths: dict[str, dict[str, Endpoint]] = {}
    for action in actions:
        paths.setdefault(action.path, {})[action.method] = Endpoint(action, house)
    return [Route(path, _ByMethod(ends), methods=list(ends)) for path, ends in paths.items()]


class _ByMethod:
    """The endpoints of one path."""

    def __init__(self, endpoints: dict[str, Endpoint]) -> None:
        self._endpoints = endpoints

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._endpoints["GET" if scope["method"] == "HEAD" else scope["method"]](scope, receive, send)
