"""Scanning bundles in several processes: this one, and child processes that take bundles from the same queue.

This process works from the first moment on; a child takes its first bundle when it is ready. So a small job is never
slower than with one process.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from types import TracebackType
from typing import Final

import msgspec

from mixtera.catalog.bundles import Scanned
from mixtera.catalog.children import Child, close_pipes, start_child
from mixtera.catalog.executor import Finished
from mixtera.catalog.scan import Advance
from mixtera.catalog.work import Work, written
from mixtera.catalog.worker import Answer
from mixtera.errors import StorageError

BYTES_PER_WORKER: Final = 64 << 20
"""A child process is worth its start for so many bytes: a new interpreter takes about 0.3 s."""


class WorkerProcess:
    """A child process that scans bundles, one at a time. Use it as a context manager."""

    def __init__(self, start: Callable[[], Child] = start_child) -> None:
        self.ready = self.killed = False
        self._child = start()

    def __enter__(self) -> WorkerProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        self._child.wait()
        close_pipes(self._child)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._child.pid

    def kill(self) -> None:
        """End the process, perhaps from another thread; whoever waits for its answer gets an error."""
        self.killed = True
        self._child.kill()

    def wait_until_ready(self) -> None:
        """Return when it can take a bundle."""
        if not self.ready:
            self._read("started")
            self.ready = True

    def scan(self, bundle: Work, advance: Advance) -> Scanned:
        """Scan a bundle there.

        Raises:
            MixteraError: What the scan raised there.
            StorageError: The process died.
        """
        doing = f"scanned {bundle.files[0].info.url} and {len(bundle.files) - 1} more files of {bundle.source!r}"
        self._write(msgspec.json.encode(bundle) + b"\n", doing)
        while True:
            answer = self._read(doing)
            if answer.progress is not None:
                advance(answer.progress.bytes, answer.progress.rows)
            if answer.failure is not None:
                raise answer.failure.error()
            if answer.result is not None:
                return answer.result

    def _write(self, line: bytes, doing: str) -> None:
        try:
            self._child.requests.write(line)
            self._child.requests.flush()
        except BrokenPipeError:
            raise self._died(doing) from None

    def _read(self, doing: str) -> Answer:
        line = self._child.answers.readline()
        if not line.endswith(b"\n"):
            raise self._died(doing)
        return msgspec.json.decode(line, type=Answer)

    def _died(self, doing: str) -> StorageError:
        code = self._child.wait()
        how = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
        return StorageError(
            f"a worker process {how} while it {doing}; nothing was changed. If memory ran out, use fewer --workers"
        )


class _Stopped(Exception):  # noqa: N818 - not an error, and never leaves this file
    """Another process failed; give up what you are doing."""


class _Job:
    """One call of `Workers.scan`: the queue, and whether it is over."""

    def __init__(self, bundles: Sequence[Work], advance: Advance, finished: Finished) -> None:
        self._pending = deque(sorted(bundles, key=lambda bundle: -bundle.bytes))
        self._advance = advance
        self._finished = finished
        self._lock = threading.Lock()
        self.stopped = False

    def take(self) -> Work | None:
        with self._lock:
            return None if self.stopped or not self._pending else self._pending.popleft()

    def advance(self, bytes_: int, rows: int) -> None:
        with self._lock:
            if self.stopped:
                raise _Stopped
            self._advance(bytes_, rows)

    def finish(self, bundle: Work, result: Scanned) -> None:
        with self._lock:
            self.stopped = not self._finished(bundle, result) or self.stopped

    def work(self, scan: Callable[[Work, Advance], Scanned]) -> None:
        """Take bundles until there are none; an exception stops everybody."""
        clean = False
        try:
            while (bundle := self.take()) is not None:
                self.finish(bundle, scan(bundle, self.advance))
            clean = True
        except _Stopped:
            return
        finally:
            self.stopped = self.stopped or not clean


class Workers:
    """This process and children of it, which scan bundles together, one source after the other.

    Use it as a context manager: the children end with it.
    """

    def __init__(self, limit: int | None) -> None:
        """`limit` is how many processes there may be; None for as many as there are processors."""
        self._limit = limit
        self._children: list[WorkerProcess] = []

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with ExitStack() as stack:
            for child in self._children:
                stack.push(child)

    @property
    def most(self) -> int:
        """How many processes there may be, at least 1."""
        return self._limit or processors()

    @property
    def given(self) -> bool:
        """Whether it was said how many there are to be."""
        return self._limit is not None

    def start(self, files: int, total_bytes: int) -> None:
        """Start the children that so many files are worth; they get ready while this process does something else."""
        wanted = self._limit or min(processors(), 1 + total_bytes // BYTES_PER_WORKER)
        while len(self._alive()) < min(wanted, files) - 1:
            self._children.append(WorkerProcess())

    def _alive(self) -> list[WorkerProcess]:
        return [child for child in self._children if not child.killed]

    def scan(
        self, bundles: Sequence[Work], advance: Advance, finished: Finished, meanwhile: Callable[[], None]
    ) -> None:
        """Scan bundles, here and in the children that were started.

        Args:
            bundles: The bundles.
            advance: Called with progress, never twice at a time.
            finished: Called with each result, never twice at a time; False stops the whole job.
            meanwhile: Called once in this process, before it scans anything itself.

        Raises:
            MixteraError: The first that a scan raised; the others were stopped.
        """
        job = _Job(bundles, advance, finished)
        children = self._alive()[: max(len(bundles) - 1, 0)]
        with ThreadPoolExecutor(max(len(children), 1)) as threads:
            serving = [threads.submit(_serve, child, job) for child in children]
            clean = False
            try:
                meanwhile()
                job.work(written)
                _stop(child for child in children if job.stopped or not child.ready)
                for future in serving:
                    future.result()
                clean = True
            finally:
                _stop(child for child in children if not clean)


def processors() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0))


def _stop(processes: Iterable[WorkerProcess]) -> None:
    for process in processes:
        process.kill()


def _serve(process: WorkerProcess, job: _Job) -> None:
    try:
        process.wait_until_ready()
        job.work(process.scan)
    except StorageError:
        if not process.killed:
            raise
