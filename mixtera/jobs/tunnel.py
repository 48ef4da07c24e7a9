"""Batches that come through a service, for readers that cannot see the data: the same as those that are read here."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import msgspec
import pyarrow as pa

from mixtera.artifact.model import PlanData
from mixtera.errors import MixteraError
from mixtera.jobs.connection import Connection, Unreachable
from mixtera.jobs.messages import ReadRequest
from mixtera.stream.batches import ROUNDS_AHEAD
from mixtera.stream.consumer import Consumer
from mixtera.stream.guide import Guide
from mixtera.stream.statistics import Work
from mixtera.stream.traffic import Traffic

_JOIN_SECONDS: Final = 5.0


class Tunnel:
    """The batches of one reader, by position, ascending; see `mixtera.stream.batches.Batches`.

    A thread asks for them and holds those that are not taken yet. Where the weights follow the training, it asks for
    what is promised, and no further ahead than a reader that reads here. A stream that breaks off is asked for again
    from where it broke.
    """

    def __init__(
        self,
        connection: Connection,
        path: str,
        data: PlanData,
        consumer: Consumer,
        columns: Sequence[str],
        budget_bytes: int,
        guide: Guide | None,
        most_skipped: int = 0,
    ) -> None:
        self.process = os.getpid()
        self._connection, self._path, self._columns = connection, path, tuple(columns)
        self._consumer, self._guide, self._budget = consumer, guide, budget_bytes
        self._most_skipped = most_skipped
        self._round_size = data.order.chunk_size * data.order.lanes
        self._round = consumer.first // self._round_size
        self._next = consumer.first
        self._batches: deque[pa.RecordBatch] = deque()
        self._bytes = 0
        self._waiting = self._closed = self._ended = False
        self._failure: BaseException | None = None
        self._changed = threading.Condition()
        if guide is not None:
            guide.ask(self._round, self._round + 1 + ROUNDS_AHEAD)
        self._thread = threading.Thread(target=self._run, name="mixtera-tunnel", daemon=True)
        self._thread.start()

    def at(self, position: int) -> pa.RecordBatch:
        """The batch that begins at a position: the next one.

        Raises:
            ServiceError: The service cannot be reached for too long, or refuses.
            MixteraError: What reading failed with there.
        """
        assert position == self._next
        self._enter((position + self._consumer.batch_size - 1) // self._round_size)
        with self._changed:
            while not self._batches:
                if self._failure is not None:
                    raise self._failure
                assert not self._ended, "the stream is longer than what the service has of it"
                self._waiting = True
                self._changed.notify_all()
                self._changed.wait()
            self._waiting = False
            batch = self._batches.popleft()
            self._bytes -= batch.nbytes
            self._next += self._consumer.turn_size
            self._changed.notify_all()
        return batch

    def work(self) -> Work:
        """Nothing is read or decoded here."""
        return Work(held_bytes=self._bytes)

    def traffic(self) -> Traffic:
        """Nothing: storages are asked by the service."""
        return Traffic()

    def close(self) -> None:
        """End the thread; harmless in another process than the one that made it."""
        if os.getpid() != self.process:
            return
        self.abandon()
        self._thread.join(_JOIN_SECONDS)

    def abandon(self) -> None:
        """Have the thread end, without waiting for it; harmless in another process, too."""
        if os.getpid() != self.process:
            return
        with self._changed:  # held for moments, by those who wait for nothing meanwhile
            self._closed = True
            self._changed.notify_all()

    def _enter(self, round_: int) -> None:
        if round_ > self._round:
            with self._changed:
                self._round = round_
                self._changed.notify_all()
            if self._guide is not None:
                self._guide.ask(round_, round_ + 1 + ROUNDS_AHEAD)

    def _run(self) -> None:
        """What the thread does."""
        try:
            while not self._closed and not self._ended:
                consumer = self._consumer
                stop = None if self._guide is None else self._window(self._guide, consumer)
                if self._closed or (self._guide is not None and stop is None):
                    break
                self._connection.tries(is_over=lambda: self._closed)(self._attempt, stop)
        except BaseException as error:
            with self._changed:
                self._failure = error
                self._changed.notify_all()
            if not isinstance(error, MixteraError):
                raise

    def _window(self, guide: Guide, consumer: Consumer) -> int | None:
        """The position up to which is read next: all that is promised and not too far ahead; None at the end."""
        end = consumer.start + (consumer.worker + 1) * consumer.step_size
        rounds = -(-end // self._round_size)
        with self._changed:
            while not self._closed and not self._starves and rounds > self._round + 1 + ROUNDS_AHEAD:
                self._changed.wait()
            if self._closed:
                return None
            allowed = (self._round + 1 + ROUNDS_AHEAD) * self._round_size
        guide.wait(rounds)
        total = guide.timeline.total
        if total is not None and end > total:
            return None
        return max(end, min(allowed, guide.timeline.known if total is None else total))

    @property
    def _starves(self) -> bool:
        """Whether the reader waits for a batch that is not there: one that has not woken up yet does not."""
        return self._waiting and not self._batches

    def _attempt(self, stop: int | None) -> None:
        """Read as far as it goes; what has come is not asked for again."""
        received = 0
        try:
            with self._connection.open("POST", self._path, msgspec.json.encode(self._request(stop))) as response:
                try:
                    for batch in pa.ipc.open_stream(response):
                        if not self._put(batch):
                            return
                        received += 1
                except (pa.ArrowInvalid, OSError) as error:  # cut short
                    raise Unreachable(str(error)) from error
        except Unreachable:
            if not received:
                raise
            return
        self._ended = self._guide is None

    def _request(self, stop: int | None) -> ReadRequest:
        consumer = self._consumer
        return ReadRequest(
            consumer.batch_size,
            consumer.rank,
            consumer.world_size,
            consumer.start,
            consumer.worker,
            consumer.workers,
            stop,
            self._columns,
            self._most_skipped,
        )

    def _put(self, batch: pa.RecordBatch) -> bool:
        """Hand a batch over once there is room; False where nobody wants it any more."""
        with self._changed:
            while not self._closed and self._batches and self._bytes >= self._budget:
                self._changed.wait()
            if self._closed:
                return False
            self._batches.append(batch)
            self._bytes += batch.nbytes
            self._consumer = replace(self._consumer, start=self._consumer.start + self._consumer.turn_size)
            self._changed.notify_all()
            return True
