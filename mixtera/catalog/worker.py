"""The worker process: reads bundles from a pipe, one JSON line each, and answers with JSON lines on another.

It never imports the user's script again, nothing but JSON crosses the border, and it ends with its parent, because its
pipes do.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import BinaryIO, Final

import msgspec

from mixtera import errors
from mixtera.catalog.bundles import Scanned
from mixtera.catalog.work import Work, written
from mixtera.errors import MixteraError

ADVANCE_SECONDS: Final = 0.1
"""How often a worker says how far it is; the write also fails, and so ends it, once the parent is gone."""


class Progress(msgspec.Struct, frozen=True):
    """Bytes and rows read since the last one."""

    bytes: int
    rows: int


class Failure(msgspec.Struct, frozen=True):
    """A MixteraError: the name of its class, and its message."""

    kind: str
    message: str

    @classmethod
    def of(cls, error: MixteraError) -> Failure:
        """What crosses the border for an error."""
        return cls(type(error).__name__, str(error))

    def error(self) -> MixteraError:
        """The error that it was; a SpecError's issues do not cross the border."""
        kind = getattr(errors, self.kind, None)
        known = isinstance(kind, type) and issubclass(kind, MixteraError) and kind is not errors.SpecError
        return kind(self.message) if known and kind is not None else MixteraError(self.message)


class Answer(msgspec.Struct, frozen=True):
    """One line from a worker: exactly one of the fields is set; none at all means that it is ready."""

    progress: Progress | None = None
    result: Scanned | None = None
    failure: Failure | None = None


class _Reporter:
    """Sends progress to the parent, not more often than it can be seen."""

    def __init__(self, output: int) -> None:
        self._output = output
        self._bytes = self._rows = 0
        self._next = 0.0

    def send(self, answer: Answer) -> None:
        line = msgspec.json.encode(answer) + b"\n"
        while line:
            line = line[os.write(self._output, line) :]

    def advance(self, bytes_: int, rows: int) -> None:
        self._bytes += bytes_
        self._rows += rows
        if time.monotonic() >= self._next:
            self.flush()

    def flush(self) -> None:
        self.send(Answer(progress=Progress(self._bytes, self._rows)))
        self._bytes = self._rows = 0
        self._next = time.monotonic() + ADVANCE_SECONDS


def main() -> None:
    """Serve the parent process on stdin and stdout until it closes the pipe."""
    output = os.dup(1)
    os.dup2(2, 1)  # whatever a plugin prints must not get between the answers
    serve(sys.stdin.buffer, output)


def serve(requests: BinaryIO, output: int) -> None:
    """Answer requests, a line each, until there are no more or nobody reads the answers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what an interrupt means
    reporter = _Reporter(output)
    try:
        reporter.send(Answer())
        for line in requests:
            reporter.send(_answer(line, reporter))
    except BrokenPipeError:
        os._exit(1)


def _answer(line: bytes, reporter: _Reporter) -> Answer:
    try:
        result = written(msgspec.json.decode(line, type=Work), reporter.advance)
    except MixteraError as error:
        return Answer(failure=Failure.of(error))
    reporter.flush()
    return Answer(result=result)
