"""Reading through the service: batches of a stream, as Arrow IPC, as fast as the client takes them."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Final, TypeAlias

import pyarrow as pa

from mixtera.errors import PlanError
from mixtera.jobs.messages import ReadRequest
from mixtera.jobs.skips import JobSkips
from mixtera.order.timeline import Timeline
from mixtera.plan import Plan
from mixtera.service.held import HeldJob
from mixtera.service.refused import UNAVAILABLE, RefusedError
from mixtera.stream import Stream
from mixtera.stream.batches import mean_position_bytes

PIECE_BYTES: Final = 1 << 20
LARGE_BYTES: Final = 64 << 10
"""Batches of fewer bytes are joined: what sending costs for each call is more than copying them."""
PIECE_SECONDS: Final = 0.05
BATCH_BYTES: Final = 256 << 20
MOST_POSITIONS: Final = 1 << 40
_END: Final = b"\xff\xff\xff\xff\0\0\0\0"
"""What ends an Arrow IPC stream."""
Buffer: TypeAlias = bytes | memoryview


class Reads:
    """The streams that are read through the service at a time, and their threads."""

    def __init__(self, most: int) -> None:
        """Make room for so many."""
        self.most, self.open = most, 0
        self.threads = ThreadPoolExecutor(most, thread_name_prefix="mixtera-read")

    def close(self) -> None:
        """End the threads."""
        self.threads.shutdown(wait=False, cancel_futures=True)


async def opened(held: HeldJob, request: ReadRequest, reads: Reads) -> AsyncGenerator[Buffer, None]:
    """The pieces of an Arrow IPC stream; the first of them is there, so what is wrong is known by now.

    Raises:
        RefusedError: Too many are read, or what is asked is not promised.
        MixteraError: The plan has no such reader, or its samples cannot be read.
    """
    if reads.open >= reads.most:
        message = f"{reads.most} streams are read through this service already; try again, or read directly"
        raise RefusedError(UNAVAILABLE, "Busy", message, headers=((b"retry-after", b"1"),))
    source = _Source(_stream(held, request))
    reads.open += 1
    loop = asyncio.get_running_loop()
    try:
        first = await loop.run_in_executor(reads.threads, source.piece)
    except BaseException:
        reads.open -= 1
        loop.run_in_executor(reads.threads, source.close)
        raise
    return _pieces(source, first, reads)


async def _pieces(source: _Source, piece: list[Buffer], reads: Reads) -> AsyncGenerator[Buffer, None]:
    """The pieces; the next is made while one is sent."""
    loop = asyncio.get_running_loop()
    try:
        while piece:
            following = loop.run_in_executor(reads.threads, source.piece)
            for part in piece:
                yield part
            piece = await following
    finally:
        reads.open -= 1
        await asyncio.wait([loop.run_in_executor(reads.threads, source.close)])


class _Source:
    """An Arrow IPC stream that is made piece by piece, by one thread at a time: who closes it waits for the others.

    Batches are written one by one, each into memory of its own that goes to the socket as it is: a writer over a Python
    file copies them twice more.
    """

    def __init__(self, stream: Stream) -> None:
        self._stream, self._turn = stream, threading.Lock()
        self._begun = self._ended = False

    def piece(self) -> list[Buffer]:
        """The next piece: some batches, of about a MiB, or what there is after a moment; empty after the end."""
        with self._turn:
            return self._made()

    def close(self) -> None:
        """Close the files; there are no more pieces then, and the one that is being made gets no longer."""
        self._ended = True
        with self._turn:
            self._stream.close()

    def _made(self) -> list[Buffer]:
        until = time.monotonic() + PIECE_SECONDS
        parts: list[Buffer] = []
        size = 0
        while not self._ended and size < PIECE_BYTES and (not size or time.monotonic() < until):
            batch = next(self._stream, None)
            if batch is None:
                self._ended = True
                parts += [_END] if self._begun else []
                break
            parts.append(memoryview(_following(batch) if self._begun else _beginning(batch)))
            self._begun = True
            size += len(parts[-1])
        return parts if size >= len(parts) * LARGE_BYTES else [b"".join(parts)] if parts else []


def _following(batch: pa.RecordBatch) -> pa.Buffer:
    """A batch after the first. `component` has one dictionary for all; those inside of lists come along each time."""
    if any(_holds_dictionary(kind) for kind in batch.schema.types if not pa.types.is_dictionary(kind)):
        return _beginning(batch)[batch.schema.serialize().size :]
    return batch.serialize()


def _holds_dictionary(kind: pa.DataType) -> bool:
    inner = [kind.field(number).type for number in range(kind.num_fields)]
    return any(pa.types.is_dictionary(each) or _holds_dictionary(each) for each in inner)


def _beginning(batch: pa.RecordBatch) -> pa.Buffer:
    """The beginning of a stream: schema, dictionaries, and its first batch."""
    sink = pa.BufferOutputStream()
    writer = pa.ipc.new_stream(sink, batch.schema)
    writer.write_batch(batch)
    return sink.getvalue()


def _stream(held: HeldJob, request: ReadRequest) -> Stream:
    plan = held.port.plan
    positions = request.batch_size * request.world_size * request.workers
    if request.batch_size * mean_position_bytes(plan.data) > BATCH_BYTES or positions > MOST_POSITIONS:
        raise PlanError(
            f"read: a batch may have {BATCH_BYTES >> 20} MiB here, and all readers take {MOST_POSITIONS:,} positions "
            f"in turn at most; {request.batch_size:,} samples, {request.world_size:,} ranks and {request.workers:,} "
            "workers are more"
        )
    if plan.data.delivery is not None:
        raise PlanError(
            f"read: the components of plan {plan.name!r} deliver different things, and one stream of batches has one "
            "set of columns: read it directly"
        )
    return Stream(
        replace(plan.data, timeline=_timeline(held, plan, request), steering=None),
        plan.digest,
        batch_size=request.batch_size,
        rank=request.rank,
        world_size=request.world_size,
        start=request.start + plan.start,
        worker=request.worker,
        workers=request.workers,
        columns=request.columns,
        skips=JobSkips(held.port, request.most_skipped),
    )


def _timeline(held: HeldJob, plan: Plan, request: ReadRequest) -> Timeline:
    """The part of the timeline that is read: what nobody can change any more."""
    data, stop = plan.data, request.stop
    if data.steering is None:
        total = data.timeline.total
        ends = [end for end in (stop, total) if end is not None]
        return Timeline(data.timeline.phases, min(ends) if ends else None)
    if stop is None:
        raise PlanError(f"read: the weights of plan {plan.name!r} follow the training, so `stop` must be given")
    round_size = data.order.chunk_size * data.order.lanes
    promise = held.port.promised(request.start // round_size, -(-stop // round_size))
    if promise is None:
        raise RefusedError(409, "NotPromised", f"the positions before {stop} are not promised yet: ask for that first")
    end = stop if promise.total is None else min(stop, promise.total)
    return Timeline(tuple(promise.timeline(data.order_version)), end)
