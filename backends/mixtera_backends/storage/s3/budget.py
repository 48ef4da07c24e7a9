"""How many requests and bytes a process may ask for, and how many it has asked for."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from mixtera_backends.storage.s3.settings import Settings


class Bucket:
    """Lets through so many per second on average, and what one second allows at once (a token bucket).

    Who asks for more than there is takes it all the same, and waits until it has come: so nobody is passed over.
    """

    def __init__(self, per_second: float) -> None:
        self._rate = per_second
        self._left, self._at = max(1.0, per_second), time.monotonic()
        self._lock = threading.Lock()

    def take(self, count: float) -> None:
        """Take some, and wait as long as they need to come."""
        with self._lock:
            now = time.monotonic()
            self._left = min(max(1.0, self._rate), self._left + (now - self._at) * self._rate) - count
            self._at = now
            seconds = -self._left / self._rate
        if seconds > 0:
            time.sleep(seconds)


@dataclass(slots=True)
class Traffic:
    """What a process has asked for. Tries of obstore's own are not seen; those of this package are.

    Attributes:
        requests: Requests.
        read_bytes: Bytes of ranges.
        retries: Reads that were tried again.
    """

    requests: int = 0
    read_bytes: int = 0
    retries: int = 0


class Budget:
    """The limits of a process and what it used; threads share it."""

    def __init__(self, settings: Settings) -> None:
        requests, read = settings.max_requests_per_second, settings.max_bytes_per_second
        self._requests = None if requests is None else Bucket(requests)
        self._bytes = None if read is None else Bucket(read)
        self._lock = threading.Lock()
        self.traffic = Traffic()

    def take(self, read_bytes: int = 0, requests: int = 1) -> None:
        """Wait until a request is allowed, and count it."""
        with self._lock:
            self.traffic.requests += requests
            self.traffic.read_bytes += read_bytes
        if self._requests is not None and requests:
            self._requests.take(requests)
        if self._bytes is not None and read_bytes:
            self._bytes.take(read_bytes)

    def retried(self) -> None:
        """Count a read that is tried again."""
        with self._lock:
            self.traffic.retries += 1
