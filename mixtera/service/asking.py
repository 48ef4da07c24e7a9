"""Requests as they come in: who asks, how much, and what. Everything here is refused before a job hears of it."""

from __future__ import annotations

import asyncio
import base64
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from starlette.types import Receive, Scope

from mixtera.jobs.messages import JSON
from mixtera.service.rates import Rates
from mixtera.service.refused import RefusedError
from mixtera.service.tokens import ANYBODY, Identity, Tokens

LOOPBACK: Final = ("localhost", "127.0.0.1", "[::1]", "::1")
_BEARER: Final = b"bearer "
_BASIC: Final = b"basic "
_ASK: Final = b'Basic realm="Mixtera: any name, and a token as the password", charset="UTF-8"'
_CLOSE: Final = True


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request, and one caller, may take.

    Attributes:
        message_bytes: Bytes of a message.
        header_bytes: Bytes of its headers.
        message_seconds: Until a message has come in.
        per_second: Requests of a token in a second, over some time.
        burst: Requests of a token at once.
        wrong_per_second: Refused tokens of an address in a second.
        wrong_burst: Refused tokens of an address at once.
        reads: Streams that are read through the service at a time.
        connections: Connections at a time.
    """

    message_bytes: int = 1 << 20
    header_bytes: int = 16 << 10
    message_seconds: float = 30.0
    per_second: float = 5_000.0
    burst: float = 20_000.0
    wrong_per_second: float = 1.0
    wrong_burst: float = 20.0
    reads: int = 64
    connections: int = 10_000


class Door:
    """Lets requests in."""

    def __init__(self, tokens: Tokens | None, limits: Limits) -> None:
        """Make a door.

        Args:
            tokens: The tokens; None: whoever reaches the service may train.
            limits: What a request may take.
        """
        self._tokens, self.limits = tokens, limits
        self._rates = Rates(limits.per_second, limits.burst)
        self._wrong = Rates(limits.wrong_per_second, limits.wrong_burst)
        self._told = Rates(1.0, 1.0)  # a flood of requests is not to be one of the audit log

    def identity(self, scope: Scope, page: bool = False) -> Identity:
        """Who asks.

        Args:
            scope: The request.
            page: Whether a browser may send the token as a password. What changes something takes none: browsers
                send passwords along with what other pages ask for.

        Raises:
            RefusedError: Nobody who is known, or too often.
        """
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        if sum(len(name) + len(value) for name, value in headers) > self.limits.header_bytes:
            raise RefusedError(431, "TooLarge", f"headers: at most {self.limits.header_bytes:,} bytes", close=_CLOSE)
        address = address_of(scope)
        identity = self._anybody(headers) if self._tokens is None else self._known(headers, address, self._tokens, page)
        caller = address if self._tokens is None else identity.name
        wait = self._rates.take(caller)
        if wait:
            raise self._too_often(caller, f"at most {self.limits.per_second:,.0f} requests a second", wait)
        return identity

    def _anybody(self, headers: list[tuple[bytes, bytes]]) -> Identity:
        # A page in a browser of this machine may send requests here, but neither with another name for this host nor,
        # since every message is JSON, without asking first.
        host = _header(headers, b"host").decode("latin-1")
        name = host if host.endswith("]") else host.rsplit(":", 1)[0]
        if name not in LOOPBACK and host not in LOOPBACK:
            raise RefusedError(421, "WrongHost", f"a service without tokens answers to {', '.join(LOOPBACK[:2])} only")
        return ANYBODY

    def _known(self, headers: list[tuple[bytes, bytes]], address: str, tokens: Tokens, page: bool) -> Identity:
        given = _header(headers, b"authorization")
        token = given[len(_BEARER) :].strip() if given[: len(_BEARER)].lower() == _BEARER else b""
        if page and given[: len(_BASIC)].lower() == _BASIC:
            token = _password(given[len(_BASIC) :])
        identity = tokens.identity(token) if token else None
        if identity is None:
            wait = self._wrong.take(address)
            if wait:
                raise self._too_often(address, "too many wrong tokens from this address", wait)
            what = "the token is not known here" if token else "a token is needed: `Authorization: Bearer …`"
            raise RefusedError(401, "WrongToken", what, headers=((b"www-authenticate", _ASK if page else b"Bearer"),))
        return identity

    def _too_often(self, caller: str, what: str, wait: float) -> RefusedError:
        after = str(max(1, round(wait + 0.5))).encode()
        quiet = self._told.take(caller) > 0
        return RefusedError(429, "TooOften", what, quiet=quiet, headers=((b"retry-after", after),))

    async def message(self, scope: Scope, receive: Receive, kind: type[Any]) -> Any:  # noqa: ANN401 - of this kind
        """The message of a request.

        Raises:
            RefusedError: It is too long, too slow, or not what is expected.
        """
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        media = _header(headers, b"content-type").split(b";")[0].strip().lower()
        if media != JSON.encode():
            raise RefusedError(415, "WrongType", f"the content type is {JSON}", close=_CLOSE)
        body = await self._body(headers, receive)
        try:
            return msgspec.json.decode(body, type=kind)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            fields = ", ".join(field.encode_name for field in msgspec.structs.fields(kind))
            raise RefusedError(400, "WrongMessage", f"{error}; the fields are {fields}") from error

    async def _body(self, headers: list[tuple[bytes, bytes]], receive: Receive) -> bytes:
        most = self.limits.message_bytes
        declared = _header(headers, b"content-length")
        if declared.isdigit() and int(declared[:20]) > most:
            raise _too_large(most)
        parts: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self.limits.message_seconds):
                while True:
                    event = await receive()
                    if event["type"] == "http.disconnect":
                        raise RefusedError(400, "Gone", "the connection ended within the message", close=_CLOSE)
                    part = event.get("body", b"")
                    size += len(part)
                    if size > most:
                        raise _too_large(most)
                    parts.append(part)
                    if not event.get("more_body", False):
                        return b"".join(parts)
        except TimeoutError:
            seconds = self.limits.message_seconds
            raise RefusedError(408, "TooSlow", f"a message takes {seconds:.0f} s at most", close=_CLOSE) from None


def address_of(scope: Scope) -> str:
    """The address that a request comes from."""
    client = scope.get("client")
    return str(client[0]) if client else "unknown"


def _password(given: bytes) -> bytes:
    """The password of a browser; nothing where it is not written as one."""
    try:
        return base64.b64decode(given.strip(), validate=True).partition(b":")[2]
    except ValueError:
        return b""


def _header(headers: list[tuple[bytes, bytes]], name: bytes) -> bytes:
    return next((value for found, value in headers if found == name), b"")


def _too_large(most: int) -> RefusedError:
    return RefusedError(413, "TooLarge", f"a message has at most {most:,} bytes", close=_CLOSE)
