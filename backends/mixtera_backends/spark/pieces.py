"""What an executor of Spark does: pieces of an indexing run, one to a task.

A task may run twice, and a first attempt that was given up may still be writing when the second has finished. So every
attempt writes under names of its own, and only what the driver has heard of counts.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec
import pyarrow as pa
from msgspec.structs import replace
from pyspark import TaskContext

import mixtera
from mixtera.catalog.work import Work, done
from mixtera.catalog.worker import Answer, Failure
from mixtera.errors import MixteraError, PluginError, StorageError

ANSWERED: Final = ".answer"
"""Suffix of the file that says what came of an attempt, while the job goes on."""
SCHEMA: Final = "piece long, answer binary"

Batches = Iterator[pa.RecordBatch]


def task(requests: Sequence[bytes], version: str) -> Callable[[Batches], Batches]:
    """The function that Spark runs over the numbers of pieces.

    Args:
        requests: The pieces, as JSON.
        version: The driver's version of Mixtera.
    """

    def answers(numbers: Batches) -> Batches:
        for batch in numbers:
            for number in batch.column(0).to_pylist():
                answer = msgspec.json.encode(_answer(requests[number], version))
                yield pa.record_batch({"piece": pa.array([number]), "answer": pa.array([answer], pa.binary())})

    return answers


def _answer(request: bytes, version: str) -> Answer:
    """What comes of a piece; an error of Mixtera's is an answer too, because to try again would not mend it."""
    context = TaskContext.get()
    attempt = 0 if context is None else context.taskAttemptId()
    work = msgspec.json.decode(request, type=Work)
    named = replace(work, name=f"{work.name}-{attempt}")
    try:
        _check(named, version)
        answer = Answer(result=done(named, _nobody_looks))
    except MixteraError as error:
        answer = Answer(failure=Failure.of(error))
    _say(named, answer)
    return answer


def _nobody_looks(bytes_: int, rows: int) -> None:
    """Progress is seen by the piece: there is no way to the driver for less."""


def _check(work: Work, version: str) -> None:
    if version != mixtera.__version__:
        raise PluginError(
            f"the executor on {socket.gethostname()} has mixtera {mixtera.__version__}, and the driver {version}; "
            "install the same version for the Python of both"
        )
    if not Path(work.directory).is_dir():
        raise StorageError(
            f"the executor on {socket.gethostname()} does not see {work.directory}; the catalog must lie on a file "
            "system that the driver and all executors have under the same path"
        )


def _say(work: Work, answer: Answer) -> None:
    """Tell the driver before the job ends. Nothing depends on it: the answer is also what the task returns."""
    path = Path(work.directory) / f"{work.name}{ANSWERED}"
    part = path.with_suffix(".part")
    try:
        part.write_bytes(msgspec.json.encode(answer))
        part.replace(path)
    except OSError:
        return


def piece_of(path: Path) -> str:
    """The name of the piece that a file of an attempt is of."""
    return path.stem.rpartition("-")[0]
