"""A proxy in front of a server that cuts the connection once so many bytes have passed one way."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress


class CuttingProxy:
    """Use it as a context manager; whoever connects to `port` is led to the server, until the limit is reached."""

    def __init__(self, server: int, up: int | None = None, down: int | None = None) -> None:
        """Say where the server is, and how many bytes may go up to it and come down from it."""
        self._server, self._limits = server, (up, down)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self.port: int = self._listening.getsockname()[1]
        self.cuts = 0

    def __enter__(self) -> CuttingProxy:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._close(self._listening, *self._open)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                server = socket.create_connection(("127.0.0.1", self._server))
                self._open += [client, server]
                for source, target, limit in ((client, server, self._limits[0]), (server, client, self._limits[1])):
                    threading.Thread(target=self._pump, args=(source, target, limit), daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket, limit: int | None) -> None:
        passed = 0
        with suppress(OSError):
            while data := source.recv(16_384):
                passed += len(data)
                if limit is not None and passed > limit:
                    self.cuts += 1
                    break
                target.sendall(data)
        self._close(source, target)

    def _close(self, *sockets: socket.socket) -> None:
        for one in sockets:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
