"""Indexing on Spark: every piece of a run is a task, and what it finds is written where it runs.

The executors write the Parquet files of samples into the catalog's directory, which they see as the driver does, and
the driver commits them. No row goes through it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final

import msgspec
import pyarrow as pa
from pyspark.sql import SparkSession

import mixtera
from mixtera.catalog.bundles import BUNDLES_PER_WORKER
from mixtera.catalog.executor import Finished
from mixtera.catalog.scan import Advance
from mixtera.catalog.work import Work
from mixtera.catalog.worker import Answer
from mixtera.errors import StorageError
from mixtera_backends.spark.cluster import parallelism
from mixtera_backends.spark.job import Job
from mixtera_backends.spark.pieces import ANSWERED, SCHEMA, piece_of, task
from mixtera_backends.spark.session import patience, session_beside, spark_errors, unwarned

LARGE_BYTES: Final = 256 << 20
"""A piece has no more than this of several files: a cluster that grows with the tasks that wait needs some to wait."""
_LOOK_SECONDS: Final = 0.1


class SparkExecutor:
    """Does pieces of work as tasks of Spark. The application goes on afterwards: it is that of the process."""

    def __init__(
        self,
        workers: int | None = None,
        session: SparkSession | None = None,
        patience_seconds: float | None = None,
    ) -> None:
        """Make an executor; Spark is started when there is work.

        Args:
            workers: For how many tasks at a time the work is cut; by default for as many as the cluster can run.
            session: A session whose application is used; by default that of this process.
            patience_seconds: How long to wait where there is no executor; by default what MIXTERA_SPARK_PATIENCE says.
        """
        self._workers = workers
        self._given = session
        self._patience = patience() if patience_seconds is None else patience_seconds
        self._own: SparkSession | None = None
        self._bytes = 0

    def __enter__(self) -> SparkExecutor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._own = None

    @property
    def _session(self) -> SparkSession:
        if self._own is None:
            self._own = session_beside(self._given)
        return self._own

    @property
    def most(self) -> int:
        """For how many tasks at a time the work is cut."""
        if self._workers is not None:
            return self._workers
        return max(parallelism(self._session, self._patience), self._bytes // (BUNDLES_PER_WORKER * LARGE_BYTES))

    @property
    def given(self) -> bool:
        """Whether it was said for how many."""
        return self._workers is not None

    def start(self, pieces: int, total_bytes: int) -> None:
        """Start Spark.

        Raises:
            EngineError: It cannot be started.
        """
        self._bytes = total_bytes
        _ = self._session

    def scan(
        self, bundles: Sequence[Work], advance: Advance, finished: Finished, meanwhile: Callable[[], None]
    ) -> None:
        """Do pieces of work, the largest first.

        Raises:
            MixteraError: The first that a piece raised; the job was cancelled.
            EngineError: Spark failed, or there is no executor.
        """
        if not bundles:
            meanwhile()
            return
        pieces = sorted(bundles, key=lambda piece: -piece.bytes)
        hearing = _Hearing(pieces, advance, finished)
        job = self._job(pieces)
        clean = False
        try:
            meanwhile()
            while not hearing.stopped and not job.ended(_LOOK_SECONDS):
                hearing.look()
            if not hearing.stopped:
                hearing.take(job.result())
                clean = True
        finally:
            if not clean:
                job.cancel()

    def _job(self, pieces: Sequence[Work]) -> Job[pa.Table]:
        requests = [msgspec.json.encode(piece) for piece in pieces]
        with spark_errors(), unwarned():
            numbers = self._session.range(0, len(requests), 1, len(requests))  # a task for each
            answers = numbers.mapInArrow(task(requests, mixtera.__version__), SCHEMA)
        return Job(self._session, answers.toArrow, self._patience)


class _Hearing:
    """What the driver has heard of pieces: first from files beside what they write, at the end from the job."""

    def __init__(self, pieces: Sequence[Work], advance: Advance, finished: Finished) -> None:
        self._pieces = pieces
        self._waiting = {piece.name: piece for piece in pieces}
        self._directory = Path(pieces[0].directory)
        self._seen: set[str] = set()
        self._advance, self._finished = advance, finished
        self.stopped = False

    def look(self) -> None:
        """Hear what is new in the directory."""
        for path in self._new():
            self._seen.add(path.name)
            self._hear(piece_of(path), msgspec.json.decode(path.read_bytes(), type=Answer))

    def _new(self) -> Iterator[Path]:
        for path in sorted(self._directory.glob(f"*{ANSWERED}")):
            if path.name not in self._seen and not self.stopped:
                yield path

    def take(self, answers: pa.Table) -> None:
        """Hear all that the job has returned."""
        for number, answer in zip(answers["piece"].to_pylist(), answers["answer"].to_pylist(), strict=True):
            if not self.stopped:
                self._hear(self._pieces[number].name, msgspec.json.decode(answer, type=Answer))

    def _hear(self, name: str, answer: Answer) -> None:
        piece = self._waiting.pop(name, None)
        if piece is None:
            return  # another attempt has been heard
        if answer.failure is not None:
            raise answer.failure.error()
        found = answer.result
        assert found is not None
        for written in (found.data_file, found.bad_file):
            if written and not (self._directory / written).exists():
                raise StorageError(
                    f"an executor has written {self._directory / written}, which is not here; the catalog must lie on "
                    "a file system that the driver and all executors have under the same path"
                )
        self._advance(piece.bytes, sum(file.rows for file in found.files))
        self.stopped = not self._finished(piece, found)
