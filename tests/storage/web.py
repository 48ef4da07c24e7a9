"""A web server over a directory, with ranges, listings, and faults for chosen requests."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Literal

Fault = Literal["busy", "cut", "denied", "hang", "redirect", "no ranges", "no size"]


class Web:
    """Use it as a context manager; `choose` says which fault a request (method, path) meets, None for none."""

    def __init__(self, root: Path, port: int = 0) -> None:
        self.closed = False
        self.over = Event()
        self.requests: list[tuple[str, str, str | None]] = []
        self.choose: Callable[[str, str], Fault | None] = lambda method, path: None
        self._server = ThreadingHTTPServer(("127.0.0.1", port), partial(_Handler, self, directory=str(root)))
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self._thread = Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Web:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closed = True
        self.over.set()
        self._server.shutdown()
        self._server.server_close()

    def first(self, count: int, fault: Fault) -> None:
        """Let the next `count` requests meet a fault."""
        left = [fault] * count
        self.choose = lambda method, path: left.pop() if left else None


class _Handler(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, web: Web, *arguments: object, **more: object) -> None:
        self.web = web
        super().__init__(*arguments, **more)  # type: ignore[arg-type]

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        if self.web.closed:  # what is still connected gets no answer
            self.close_connection = True
            return
        self.web.requests.append((self.command, self.path, self.headers.get("Range")))
        fault = self.web.choose(self.command, self.path)
        match fault:
            case "busy":
                self._refuse(HTTPStatus.SERVICE_UNAVAILABLE)
            case "denied":
                self._refuse(HTTPStatus.FORBIDDEN)
            case "redirect":
                self._refuse(HTTPStatus.FOUND, Location=self.path)
            case "hang":
                self.web.over.wait()
                self.close_connection = True
            case _:
                self._send(fault)

    def _refuse(self, status: HTTPStatus, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": "0", **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def _send(self, fault: Fault | None) -> None:
        path = Path(self.translate_path(self.path))
        if not path.is_file():
            super().do_GET() if self.command == "GET" else super().do_HEAD()
            return
        data = path.read_bytes()
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range") or "")
        ranged = asked is not None and fault != "no ranges"
        start, stop = (int(asked[1]), min(int(asked[2]) + 1, len(data))) if asked and ranged else (0, len(data))
        self.send_response(HTTPStatus.PARTIAL_CONTENT if ranged else HTTPStatus.OK)
        if fault != "no size":
            self.send_header("Content-Length", str(stop - start))
        else:
            self.close_connection = True
        if ranged:
            self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{len(data)}")
        self.send_header("Last-Modified", self.date_time_string(path.stat().st_mtime))
        self.send_header("ETag", f'"{path.stat().st_mtime_ns:x}-{len(data):x}"')
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data[start : (start + stop) // 2 if fault == "cut" else stop])
            self.close_connection = self.close_connection or fault == "cut"
