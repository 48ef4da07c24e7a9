"""The connection to a service: requests that are tried again until their patience ends.

Every request of a job may be sent twice: what it says counts once. Sockets belong to a process: a forked child opens
its own.
"""

from __future__ import annotations

import logging
import os
import re
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import msgspec
import urllib3
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_delay

from mixtera.errors import AlgorithmError, JobError, MixteraError, PlanError, SampleError, ServiceError, StateError
from mixtera.jobs.messages import JSON, NAME_PATTERN, Refusal
from mixtera.pauses import pauses

_LOG: Final = logging.getLogger(__name__)
_Answer = TypeVar("_Answer")
VARIABLE: Final = "MIXTERA_TOKEN"
"""Environment variable: the token."""
PATIENCE_SECONDS: Final = 600.0
_CONNECT_SECONDS: Final = 10.0
_ANSWER_SECONDS: Final = 60.0
_FIRST_PAUSE_SECONDS: Final = 0.05
_LONGEST_PAUSE_SECONDS: Final = 5.0
_AGAIN: Final = (429, 502, 503, 504)
"""Answers that pass: a proxy or a service that is starting, busy, or has no room on its disk."""
_RAISED: Final[dict[str, type[MixteraError]]] = {
    kind.__name__: kind for kind in (JobError, StateError, PlanError, SampleError, AlgorithmError)
}
_URL: Final = re.compile(rf"(?P<service>https?://[^/?#@]+(?:/[^?#]*?)?)/jobs/(?P<job>{NAME_PATTERN})/?")


@dataclass(frozen=True)
class Access:
    """What a client shows and believes. The token is in no text that is made of it.

    Attributes:
        token: The token; None: that of `token_file`, else that of `MIXTERA_TOKEN`.
        token_file: A file with the token, read at every request: it may be replaced.
        ca: File with the certificates that the service's certificate must come from; the system's by default.
        certificate: File with the client's certificate.
        key: File with the key to it.
        patience: Seconds until a service that cannot be reached counts as gone.
    """

    token: str | None = field(default=None, repr=False)
    token_file: str | None = None
    ca: str | None = None
    certificate: str | None = None
    key: str | None = None
    patience: float = PATIENCE_SECONDS

    def headers(self) -> dict[str, str]:
        """What is sent with every request.

        Raises:
            ServiceError: The file cannot be read, or holds no token.
        """
        token = self.token or self._of_file() or os.environ.get(VARIABLE)
        if not token:
            return {}
        if not token.isascii() or not token.isprintable() or " " in token:
            raise ServiceError("the token has characters that no token has; `mixtera jobs token` makes one")
        return {"Authorization": f"Bearer {token}"}

    def _of_file(self) -> str | None:
        if self.token_file is None:
            return None
        try:
            return Path(self.token_file).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ServiceError(f"the token file {self.token_file} cannot be read: {error}") from error


class Unreachable(Exception):  # noqa: N818 - never leaves this package
    """The service did not answer, or asks for another try."""


class Connection:
    """Requests to one service. Calls may come from any thread, and from forked children."""

    def __init__(self, service: str, access: Access) -> None:
        """Prepare; nothing is sent yet.

        Args:
            service: The service's URL.
            access: What to show, and whom to believe.

        Raises:
            ServiceError: That is no such URL.
        """
        parts = urlsplit(service)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.password:
            raise ServiceError(
                "the URL of a service is http(s)://HOST:PORT, without a password in it: the token is given beside it"
            )
        self.service, self.access = service.rstrip("/"), access
        self._pool: tuple[int, urllib3.PoolManager] | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return Connection, (self.service, self.access)

    def get(self, path: str, kind: type[_Answer]) -> _Answer:
        """Ask for something."""
        return self._decoded("GET", path, None, kind)

    def post(
        self,
        path: str,
        message: msgspec.Struct,
        kind: type[_Answer],
        patience: float | None = None,
        is_over: Callable[[], bool] = lambda: False,
    ) -> _Answer:
        """Say something.

        Args:
            path: Where.
            message: What.
            kind: What comes back.
            patience: Seconds; that of the access by default.
            is_over: See `tries`.

        Raises:
            ServiceError: The service cannot be reached for so long, or does not let us in.
            MixteraError: The job refuses.
        """
        return self._decoded("POST", path, msgspec.json.encode(message), kind, patience, is_over)

    def tries(self, patience: float | None = None, is_over: Callable[[], bool] = lambda: False) -> Retrying:
        """Attempts at something, with pauses, as long as the patience lasts.

        Args:
            patience: Seconds; that of the access by default.
            is_over: Whether nobody wants it any more.
        """
        is_late = stop_after_delay(self.access.patience if patience is None else patience)
        return Retrying(
            retry=retry_if_exception_type(Unreachable),
            stop=lambda state: is_over() or is_late(state),
            wait=pauses(_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS, shortest=_FIRST_PAUSE_SECONDS),
            before_sleep=self._tell,
            retry_error_callback=self._given_up,
        )

    @contextmanager
    def open(self, method: str, path: str, body: bytes | None) -> Iterator[urllib3.BaseHTTPResponse]:
        """One attempt at a request whose answer is read piece by piece.

        Raises:
            Unreachable: It may be worth another attempt; also while the answer is read.
            MixteraError: It is not.
        """
        headers = self.access.headers() | ({} if body is None else {"Content-Type": JSON})
        response: urllib3.BaseHTTPResponse | None = None
        try:
            response = self._pool_here().request(
                method, self.service + path, body=body, headers=headers, preload_content=False, redirect=False
            )
            if response.status != 200:
                raise self._refused(response.status, response.read(1 << 16), response.headers.get("content-type"))
            yield response
            response.release_conn()
        except urllib3.exceptions.HTTPError as error:
            if _is_about_certificates(error):
                raise ServiceError(f"{self.service}: {_plain(error)}; check `ca`, `certificate` and `key`") from error
            raise Unreachable(_plain(error)) from error
        finally:
            if response is not None:
                response.close()  # does nothing to a connection that was given back

    def close(self) -> None:
        """Close the sockets."""
        if self._pool is not None and self._pool[0] == os.getpid():
            self._pool[1].clear()
        self._pool = None

    def _decoded(
        self,
        method: str,
        path: str,
        body: bytes | None,
        kind: type[_Answer],
        patience: float | None = None,
        is_over: Callable[[], bool] = lambda: False,
    ) -> _Answer:
        content = self.tries(patience, is_over)(self._attempt, method, path, body)
        try:
            return msgspec.json.decode(content, type=kind)
        except msgspec.MsgspecError as error:
            raise ServiceError(
                f"{self.service} answers otherwise than this release expects: {error}; are both of one version?"
            ) from error

    def _attempt(self, method: str, path: str, body: bytes | None) -> bytes:
        with self.open(method, path, body) as response:
            return response.read()

    def _refused(self, status: int, body: bytes, media: str | None) -> Exception:
        try:
            problem = msgspec.json.decode(body, type=Refusal).error
        except msgspec.MsgspecError:
            if status in _AGAIN:
                return Unreachable(f"HTTP {status}")
            return ServiceError(f"{self.service} answers HTTP {status} ({media}): is this the URL of `mixtera serve`?")
        if status in _AGAIN:
            return Unreachable(problem.message)
        if status == 401:
            return ServiceError(f"{self.service}: {problem.message}; give `token=`, a token file, or ${VARIABLE}")
        return _RAISED.get(problem.kind, ServiceError)(problem.message)

    def _pool_here(self) -> urllib3.PoolManager:
        process = os.getpid()
        if self._pool is None or self._pool[0] != process:
            access = self.access
            self._pool = (
                process,
                urllib3.PoolManager(
                    num_pools=1,
                    maxsize=8,
                    retries=False,
                    timeout=urllib3.Timeout(connect=_CONNECT_SECONDS, read=_ANSWER_SECONDS),
                    cert_reqs="CERT_REQUIRED",
                    ca_certs=access.ca,
                    cert_file=access.certificate,
                    key_file=access.key,
                ),
            )
        return self._pool[1]

    def _tell(self, state: RetryCallState) -> None:
        if state.attempt_number == 3:  # a restart takes a moment
            why = state.outcome.exception() if state.outcome else None
            _LOG.warning("%s: %s; trying again for %.0f s", self.service, why, self.access.patience)

    def _given_up(self, state: RetryCallState) -> None:
        why = state.outcome.exception() if state.outcome else None
        shown = ", or check `certificate` and `key`, if it wants them" if self.service.startswith("https:") else ""
        raise ServiceError(
            f"the service {self.service} cannot be reached: {why} ({state.attempt_number} attempts in "
            f"{state.seconds_since_start or 0:.0f} s); start it again, or give more patience{shown}"
        ) from why


def parted(url: str) -> tuple[str, str]:
    """The URL of a job as that of its service, and the job's name.

    Raises:
        ServiceError: It is no such URL.
    """
    found = _URL.fullmatch(url)
    if found is None:
        raise ServiceError("the URL of a job is http(s)://HOST:PORT/jobs/NAME, without a password in it")
    return found["service"], found["job"]


def _is_about_certificates(error: urllib3.exceptions.HTTPError) -> bool:
    """Whether another attempt would be refused as well: not so for a connection that was cut in its beginnings."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return not isinstance(cause, ssl.SSLEOFError | ssl.SSLZeroReturnError)
        inner = getattr(cause, "reason", None)
        cause = inner if isinstance(inner, BaseException) else cause.__cause__ or cause.__context__
    return False


def _plain(error: BaseException) -> str:
    """What went wrong, without objects in it."""
    inner = error.args[1] if len(error.args) > 1 and isinstance(error.args[1], Exception) else error
    return re.sub(r"<[^>]*>:? ?|^\w+\(host=[^)]*\): ?", "", str(inner)) or type(inner).__name__
