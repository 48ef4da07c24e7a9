"""Commands of Mixtera in processes of their own, which are forked from one that has imported everything.

A command's own work takes a tenth of a second of a processor, and its imports up to one. What is tested of the imports
themselves, or of the installed program, starts that instead.
"""

from __future__ import annotations

import atexit
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

ROOT = Path(__file__).parents[1]
SECONDS = 600.0
"""After which a command hangs."""


class _Forker:
    """The process that forks; one for each process of pytest."""

    def __init__(self) -> None:
        self.requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        program = f"from tests.forker import command; command({theirs.fileno()})"
        self._process = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, pass_fds=[theirs.fileno()])
        theirs.close()
        atexit.register(self.close)

    def close(self) -> None:
        self.requests.shutdown(socket.SHUT_RDWR)  # forks of this process may have it open, too
        self.requests.close()
        self._process.wait(SECONDS)


_started: list[_Forker] = []


def _forker() -> _Forker:
    if not _started:
        _started.append(_Forker())
    return _started[0]


class Command:
    """A command that runs. Has of `subprocess.Popen` what the tests need; text, and no standard input."""

    def __init__(
        self,
        words: Sequence[str],
        directory: Path | None = None,
        environment: Mapping[str, str] | None = None,
        stderr: IO[bytes] | None = None,
        file_bytes: int | None = None,
    ) -> None:
        """Start it.

        Args:
            words: The arguments of `mixtera`.
            directory: Where; that of this process without one.
            environment: Its variables; those of this process without them.
            stderr: A file to write standard error to; else it is kept for `communicate`.
            file_bytes: How large its files may become, as on a disk that is full.
        """
        asked = {
            "words": [str(word) for word in words],
            "directory": str(directory or Path.cwd()),
            "environment": dict(os.environ if environment is None else environment),
            "file_bytes": file_bytes,
        }
        out, out_there = os.pipe()
        err, err_there = os.pipe() if stderr is None else (None, os.dup(stderr.fileno()))
        status, status_there = os.pipe()
        there = [out_there, err_there, status_there]
        try:
            socket.send_fds(_forker().requests, [json.dumps(asked).encode()], there)
        finally:
            for file in there:
                os.close(file)
        self.args = asked["words"]
        self.returncode: int | None = None
        self.stdout = os.fdopen(out, encoding="utf-8")
        self.stderr = None if err is None else os.fdopen(err, encoding="utf-8")
        self._status = os.fdopen(status, encoding="utf-8")
        self.pid = int(_line(self._status, SECONDS, self.args))

    def poll(self) -> int | None:
        """The code of its exit, None while it runs."""
        if self.returncode is None and _readable(self._status):
            self.wait()
        return self.returncode

    def wait(self, timeout: float = SECONDS) -> int:
        """Wait for its end, and for the code of its exit; less than zero where a signal ended it."""
        if self.returncode is None:
            self.returncode = int(_line(self._status, timeout, self.args))
            self._status.close()
        return self.returncode

    def line(self) -> str:
        """Wait for the next line that it writes, whole and flushed; empty at the end."""
        return _line(self.stdout, SECONDS, self.args)

    def communicate(self, timeout: float = SECONDS) -> tuple[str, str]:
        """Wait for its end: what it wrote."""
        files = [file for file in (self.stdout, self.stderr) if file is not None]
        said = _read_all([file.fileno() for file in files], timeout, self.args)
        for file in files:
            file.close()
        self.wait(timeout)
        return said[0], said[1] if len(said) > 1 else ""

    def send_signal(self, number: int) -> None:
        """Send a signal to it, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)


def run(
    words: Sequence[str], directory: Path | None = None, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    started = Command(words, directory, environment)
    try:
        out, err = started.communicate()
    finally:
        started.kill()
    return subprocess.CompletedProcess(started.args, started.wait(), out, err)


def _readable(file: IO[str], seconds: float = 0.0) -> bool:
    with selectors.DefaultSelector() as selector:
        selector.register(file, selectors.EVENT_READ)
        return bool(selector.select(seconds))


def _line(file: IO[str], timeout: float, words: Sequence[str]) -> str:
    if not _readable(file, timeout):
        raise subprocess.TimeoutExpired(words, timeout)
    return file.readline()


def _read_all(files: list[int], timeout: float, words: list[str]) -> list[str]:
    """Read several pipes to their ends, side by side."""
    found = dict.fromkeys(files, b"")
    with selectors.DefaultSelector() as selector:
        for file in files:
            selector.register(file, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(timeout)
            if not ready:
                raise subprocess.TimeoutExpired(words, timeout)
            for key, _ in ready:
                part = os.read(key.fd, 1 << 16)
                found[key.fd] += part
                if not part:
                    selector.unregister(key.fd)
    return [content.decode() for content in found.values()]
