"""Ports for servers that must be told theirs before they start."""

from __future__ import annotations

import os
import random
import socket

FIRST, LAST = 20_000, 32_000
"""Below those that the system gives to clients, and to whoever binds to 0: nobody is given them by chance."""


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody listens on.

    All are held at the same time, so they are different. Each worker of pytest-xdist looks in a part of its own, so
    that none takes a port that a server of another one's gave up for a moment.
    """
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    size = (LAST - FIRST) // max(workers, worker + 1)
    first = FIRST + worker * size
    offset = random.SystemRandom().randrange(size)
    sockets: list[socket.socket] = []
    try:
        for number in range(size):
            taken = socket.socket()
            try:
                taken.bind(("127.0.0.1", first + (offset + number) % size))
            except OSError:
                taken.close()
                continue
            sockets.append(taken)
            if len(sockets) == count:
                return [taken.getsockname()[1] for taken in sockets]
        raise OSError(f"no {count} free ports from {first} to {first + size}")
    finally:
        for taken in sockets:
            taken.close()
