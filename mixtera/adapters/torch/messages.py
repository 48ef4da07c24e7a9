"""Messages between a loader's workers and the trainer: one buffer holds several batches of a worker.

Sending Python objects, or tensors one by one, between processes costs more than reading them. A worker therefore
gathers batches, writes them as one Arrow buffer without the names of components, and sends its bytes through the pipe:
no shared memory is named that a killed process could leave behind, and a small /dev/shm does no harm.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import pyarrow as pa
from torch.utils.data import IterableDataset, get_worker_info

from mixtera.adapters.handle import Handle
from mixtera.errors import MixteraError
from mixtera.stream import Stream
from mixtera.stream.batches import mean_position_bytes

MESSAGE_BYTES: Final = 512 << 10
MESSAGE_BATCHES: Final = 64


@dataclass(frozen=True, slots=True)
class Message:
    """Batches of one worker.

    Attributes:
        step: Step of the first, counted from the start of the iteration.
        samples: Samples of all of them.
        turn: Steps from one to the next.
    """

    step: int
    samples: bytes
    turn: int = 1


@dataclass(frozen=True, slots=True)
class Failure:
    """What a worker failed with, after all that it had sent."""

    error: MixteraError


class MessageDataset(IterableDataset[Message | Failure]):
    """What a worker of the loader sends, in the order of its steps. `start` is set before each iteration.

    Attributes:
        batch_size: Samples of a batch of one rank.
        most: Batches of a message at most.
    """

    def __init__(
        self,
        handle: Handle,
        batch_size: int,
        rank: int,
        world_size: int,
        start: int | None,
        columns: Sequence[str] | None,
    ) -> None:
        self.handle, self.batch_size = handle, batch_size
        self.start = handle.first if start is None else start
        self.rank, self.world_size, self._columns = rank, world_size, columns
        self.stream(self.start)
        self.most = self.batches_per_message()

    @property
    def step_size(self) -> int:
        """Samples of one step over all ranks."""
        return self.world_size * self.batch_size

    def stream(self, start: int, worker: int = 0, workers: int = 1) -> Stream:
        """The stream of one worker; nothing is opened yet."""
        return self.handle.stream(self.batch_size, self.rank, self.world_size, start, worker, workers, self._columns)

    def __iter__(self) -> Iterator[Message | Failure]:
        info = get_worker_info()
        worker, workers = (0, 1) if info is None else (info.id, info.num_workers)
        try:
            yield from self._messages(self.stream(self.start, worker, workers), worker, workers)
        except MixteraError as error:
            yield Failure(error)

    def _messages(self, stream: Stream, worker: int, workers: int) -> Iterator[Message]:
        step = worker
        for batches in gathered(stream, self.most):
            yield Message(step, packed(batches), workers)
            step += len(batches) * workers

    def batches_per_message(self) -> int:
        """Batches that make up about `MESSAGE_BYTES`."""
        batch_bytes = self.batch_size * mean_position_bytes(self.handle.plan.data)
        return max(1, min(MESSAGE_BATCHES, int(MESSAGE_BYTES / batch_bytes)))

    def hurry(self, messages: int) -> int:
        """Make messages small enough where the weights follow the training, so that what is reported soon counts.

        Args:
            messages: Messages that are made ahead, in all workers; 0 where the trainer's own process reads.

        Returns:
            Steps that are read ahead of the one that the trainer is at, at most.
        """
        limit = self.handle.steps_ahead(self.step_size)
        if limit is not None:
            self.most = max(1, min(self.most, limit // messages if messages else limit + 1))
        return self.most * messages if messages else self.most - 1


def gathered(batches: Iterable[pa.RecordBatch], limit: int) -> Iterator[list[pa.RecordBatch]]:
    """Groups of consecutive batches: one alone, so that the first comes soon, then twice as many, up to `limit`.

    Batches of a group have the same columns: where components deliver different things, a group ends with its kind.
    """
    group: list[pa.RecordBatch] = []
    size = 1
    for batch in batches:
        if group and batch.schema != group[0].schema:
            yield group
            group = []
        group.append(batch)
        if len(group) == size:
            yield group
            group, size = [], min(2 * size, limit)
    if group:
        yield group


def packed(batches: Sequence[pa.RecordBatch]) -> bytes:
    """Batches as one Arrow IPC buffer; components as numbers."""
    whole = pa.concat_batches(batches)
    component = whole.schema.get_field_index("component")
    whole = whole.set_column(component, "component", whole.column(component).indices)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, whole.schema) as writer:
        writer.write_batch(whole)
    return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]


def unpacked(samples: bytes, names: pa.Array) -> pa.RecordBatch:
    """The samples of a message, `component` again a dictionary of the plan's component names."""
    with pa.ipc.open_stream(samples) as reader:
        whole = reader.read_next_batch()
    component = whole.schema.get_field_index("component")
    return whole.set_column(component, "component", pa.DictionaryArray.from_arrays(whole.column(component), names))
