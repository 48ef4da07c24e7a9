"""The stream: a plan's samples for one reader, as Arrow record batches, with a resume state of one number."""

from __future__ import annotations

import os
import time
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Final

import pyarrow as pa

from mixtera.artifact.following import check_static
from mixtera.artifact.model import PlanData
from mixtera.errors import StateError
from mixtera.stream.batches import Batches
from mixtera.stream.consumer import Consumer
from mixtera.stream.contents import chosen_columns
from mixtera.stream.guide import Guide
from mixtera.stream.skips import Skips, check_skips
from mixtera.stream.source import BatchSource, OpenBatches
from mixtera.stream.state import PlanIdentity
from mixtera.stream.statistics import Statistics, Work
from mixtera.stream.traffic import Traffic

BUDGET_BYTES: Final = 16 << 20


class Stream:
    """Iterator over `pyarrow.RecordBatch`es of exactly `batch_size` samples, in the order of the plan.

    Columns: the plan's content columns, `component` (dictionary of strings, one dictionary for all batches), `sample`
    (int64). A batch is mostly a view of a larger piece that was fetched in one go.

    Threads and files are made at the first batch, in the process that reads: a forked child that inherits an open
    stream opens its own and goes on at the same position. One that is dropped without `close` ends its threads and
    files a moment later.
    """

    def __init__(
        self,
        data: PlanData,
        digest: str,
        *,
        batch_size: int,
        rank: int = 0,
        world_size: int = 1,
        start: int | None = None,
        worker: int = 0,
        workers: int = 1,
        columns: Sequence[str] | None = None,
        budget_bytes: int = BUDGET_BYTES,
        guide: Guide | None = None,
        source: BatchSource | None = None,
        skips: Skips | None = None,
    ) -> None:
        """Prepare a stream; nothing is opened yet.

        Args:
            data: The plan.
            digest: The plan's digest.
            batch_size: Samples of a batch of this rank.
            rank: This reader's rank, from 0.
            world_size: Ranks.
            start: Position to begin at, over all ranks; the plan's first by default.
            worker: Worker of this rank, from 0: it takes the steps ≡ worker mod `workers`.
            workers: Workers of this rank.
            columns: Content columns to read; all by default.
            budget_bytes: Bytes of samples that are fetched and not yet delivered, about.
            guide: Tells the timeline as it becomes known, of a plan that follows the training; None: it is the plan's.
            source: Where batches come from; None: they are read here.
            skips: What is delivered in place of samples that cannot be read; None: only what the plan says of it.

        Raises:
            PlanError: A number is out of its range, the plan has no such column, needs a guide, or nothing can be
                skipped in it.
        """
        check_skips(data, skips)
        if guide is None:
            check_static(data, "stream")
        else:
            data = replace(data, timeline=guide.timeline)
        self._data, self._guide, self._skips = data, guide, skips
        self._identity = PlanIdentity.of(data, digest)
        self._first = data.first  # below, positions count from there
        self._columns = chosen_columns(data, columns)
        self._budget_bytes = budget_bytes
        self._source: BatchSource = Batches if source is None else source
        self._batches: OpenBatches | None = None
        self._finalizer: weakref.finalize[..., Stream] | None = None
        self._failed = False
        self._earlier = Traffic()
        self._earlier_work = Work()
        self._taken = 0
        self._waited = self._between = 0.0
        self._returned = 0.0  # when the last batch was handed out, if that was just before
        begin = self._identity.counted(start)
        self._rewind(Consumer(batch_size, rank, world_size, begin, data.timeline.total, worker, workers))

    def __iter__(self) -> Stream:
        return self

    def __next__(self) -> pa.RecordBatch:
        begun = time.perf_counter()
        if self._left == 0 or (self._guide is not None and not self._goes_on(self._guide)):
            self.close()
            raise StopIteration
        batches = self._batches
        if batches is None or batches.process != os.getpid():
            batches = self._open()
        try:
            batch = batches.at(self._next)
        except BaseException as error:
            self._failed = isinstance(error, Exception)
            self.close(wait=self._failed)  # whoever interrupts it does not wait for a server that does not answer
            raise
        self._next += self._turn_size
        self._left -= 1
        self._taken += 1
        if self._returned:
            self._between += begun - self._returned
        self._returned = time.perf_counter()
        self._waited += self._returned - begun
        return batch

    def __len__(self) -> int:
        """Batches that are left for this reader.

        Raises:
            TypeError: The plan has no end.
        """
        if self._consumer.total is None:
            why = "a component repeats for ever" if self._guide is None else "it depends on the training"
            raise TypeError(f"plan {self._identity.name!r} has no end: {why}")
        return self._left

    def __bool__(self) -> bool:
        return True

    def _goes_on(self, guide: Guide) -> bool:
        """Whether the next step is full over all ranks: they learn the end with the same promise, and stop together."""
        consumer = self._consumer
        step = (self._next - consumer.start) // consumer.step_size
        end = consumer.start + (step + 1) * consumer.step_size
        if end > guide.timeline.known:
            round_size = self._data.order.chunk_size * self._data.order.lanes
            guide.ask(self._next // round_size, -(-end // round_size))
            guide.wait(-(-end // round_size))
        total = guide.timeline.total
        return total is None or end <= total

    @property
    def position(self) -> int:
        """Samples of the global order that are delivered when every reader is at this reader's step."""
        position = self._consumer.start + self._next - self._consumer.first
        return self._first + (position if self._consumer.total is None else min(position, self._consumer.total))

    def state_dict(self) -> dict[str, object]:
        """The state after the last delivered batch: JSON values, the same on every rank at the same step."""
        return self._identity.state_at(self.position)

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Go on where a state was taken, by any number of ranks and with any batch size.

        Raises:
            StateError: It is not a state, or one of another plan; the message names what differs.
        """
        position = self._identity.position_of(state)
        self.close()
        self._failed = False
        self._rewind(replace(self._consumer, start=position - self._first))

    def traffic(self) -> Traffic:
        """What this stream has asked of storages that count it, such as S3, and what for; see `mixtera explain`."""
        batches = self._batches
        if batches is None or batches.process != os.getpid():
            return self._earlier
        return self._earlier + batches.traffic()

    def statistics(self) -> Statistics:
        """How long the reader waited for batches since the stream was made, and what for."""
        batches, work = self._batches, self._earlier_work
        if batches is not None and batches.process == os.getpid():
            work += batches.work()
        return Statistics(self._taken, self._waited, self._between, work, self.traffic())

    def close(self, wait: bool = True) -> None:
        """End the background thread and close all files; the next batch opens them again, at the same position.

        Args:
            wait: Whether to wait for what is being read; else that is left to itself.
        """
        batches, self._batches = self._batches, None
        self._returned = 0.0
        if self._finalizer is not None:
            self._finalizer.detach()
            self._finalizer = None
        if batches is not None and batches.process == os.getpid():
            self._earlier += batches.traffic()
            self._earlier_work = replace(self._earlier_work + batches.work(), queue=0, held_bytes=0)
            if wait:
                batches.close()
            else:
                batches.abandon()

    def _rewind(self, consumer: Consumer) -> None:
        if self._data.delivery is not None:
            from mixtera.stream.groups import check_batches

            check_batches(self._data, consumer.batch_size, consumer.start)
        self._consumer = consumer
        self._next = consumer.first
        self._turn_size = consumer.turn_size
        self._left = -1 if consumer.batches is None else consumer.batches  # below 0: no end

    def _open(self) -> OpenBatches:
        if self._failed:
            raise StateError(
                f"this stream failed at position {self.position}; mend the cause and load its state into a new stream"
            )
        done = self._next - self._consumer.first
        consumer = replace(self._consumer, start=self._consumer.start + done)
        data, skips = self._data, self._skips
        if skips is not None:
            data = replace(data, skips=skips.known())
        self._batches = self._source(data, consumer, self._columns, self._budget_bytes, self._guide, skips)
        self._finalizer = weakref.finalize(self, self._batches.abandon)
        return self._batches

    def __enter__(self) -> Stream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
