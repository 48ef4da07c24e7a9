"""A proxy in front of an S3 server that counts requests and injects faults into chosen ones."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal

Fault = Literal["slow down", "internal error", "denied", "cut", "reset", "hang", "redirect", "unanswered"]

_ANSWERS = {"slow down": (503, "SlowDown"), "internal error": (500, "InternalError"), "denied": (403, "AccessDenied")}
HANG_SECONDS = 3.0


@dataclass(frozen=True)
class Request:
    """A request as it came."""

    method: str
    path: str
    headers: Mapping[str, str]

    @property
    def range(self) -> str | None:
        return self.headers.get("range")


class FaultyProxy:
    """Use it as a context manager; `choose` says which fault a request meets, None for none."""

    def __init__(self, upstream: int) -> None:
        self.requests: list[Request] = []
        self.met: list[tuple[float, Fault]] = []
        self.choose: Callable[[Request], Fault | None] = lambda request: None
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.proxy, self._server.upstream = self, upstream
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> FaultyProxy:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def first(self, count: int, *faults: Fault, only: str = "") -> None:
        """Let the next `count` requests meet the faults in turn; `only` those of this method."""
        left = iter(faults * count)  # of which threads take in turn

        def choose(request: Request) -> Fault | None:
            return next(left, None) if not only or request.method == only else None

        self.choose = choose

    def note(self, request: Request) -> Fault | None:
        self.requests.append(request)
        fault = self.choose(request)
        if fault is not None:
            self.met.append((time.monotonic(), fault))
        return fault


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    proxy: FaultyProxy
    upstream: int

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away is nothing to report."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server
    wbufsize = 1 << 20

    def setup(self) -> None:
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
        super().setup()

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        fault = self.server.proxy.note(Request(self.command, self.path, headers))
        body = self.rfile.read(int(headers.get("content-length", 0)))
        if fault in _ANSWERS:
            self._answer_error(*_ANSWERS[fault])
        elif fault == "redirect":
            self._answer(307, {"location": self.path}, b"")
        elif fault == "reset":
            self._reset()
        elif fault == "hang":
            time.sleep(HANG_SECONDS)
            self._reset()
        else:
            self._pass_on(body, fault)

    do_HEAD = do_PUT = do_POST = do_DELETE = do_GET  # noqa: N815 - the names that the base class calls

    def _answer_error(self, status: int, code: str) -> None:
        body = b"" if self.command == "HEAD" else f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode()
        self._answer(status, {"content-type": "application/xml"}, body)

    def _pass_on(self, body: bytes, fault: Fault | None) -> None:
        upstream = HTTPConnection("127.0.0.1", self.server.upstream, timeout=600)
        try:
            upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                upstream.putheader(name, value)
            upstream.endheaders(body)
            found = upstream.getresponse()
            data = found.read()
        except (OSError, HTTPException):
            self._reset()  # the server is not there: neither is the proxy
            return
        finally:
            upstream.close()
        if fault == "unanswered":
            self._reset()
            return
        skipped = {"connection", "transfer-encoding", "content-length"}
        headers = {name: value for name, value in found.getheaders() if name.lower() not in skipped}
        if self.command == "HEAD":
            headers["content-length"] = found.getheader("content-length", "0")
        self._answer(found.status, headers, data, fault == "cut")

    def _answer(self, status: int, headers: Mapping[str, str], body: bytes, cut: bool = False) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if "content-length" not in headers:
            self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if cut else body)
        self.wfile.flush()
        if cut:
            self._reset()

    def _reset(self) -> None:
        self.close_connection = True
        with suppress(OSError):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.shutdown(socket.SHUT_RDWR)
