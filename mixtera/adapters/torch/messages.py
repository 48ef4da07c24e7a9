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

from mixtera.adapters.handle import PlanHandle
from mixtera.errors import MixteraError
from mixtera.stream import Stream
from mixtera.stream.batches import mean_position_bytes

MESSAGE_BYTES: Final = 512 << 10
MESSAGE_BATCHES: Final = 64


@dataclass(frozen=True, slots=True)
class Message:
    """Batches of one worker: the step of the first, counted from the start of the iteration, and their samples."""

    step: int
    samples: bytes


@dataclass(frozen=True, slots=True)
class Failure:
    """What a worker failed with, after all that it had sent."""

    error: MixteraError


class MessageDataset(IterableDataset[Message | Failure]):
    """What a worker of the loader sends, in the order of its steps. `start` is set before each iteration."""

    def __init__(
        self,
        handle: PlanHandle,
        batch_size: int,
        rank: int,
        world_size: int,
        start: int | None,
        columns: Sequence[str] | None,
    ) -> None:
        self.handle, self.batch_size = handle, batch_size
        self.start = handle.plan.start if start is None else start
        self._rank, self._world_size, self._columns = rank, world_size, columns
        self.stream(self.start)

    @property
    def step_size(self) -> int:
        """Samples of one step over all ranks."""
        return self._world_size * self.batch_size

    def stream(self, start: int, worker: int = 0, workers: int = 1) -> Stream:
        """The stream of one worker; nothing is opened yet."""
        return self.handle.stream(self.batch_size, self._rank, self._world_size, start, worker, workers, self._columns)

    def __iter__(self) -> Iterator[Message | Failure]:
        info = get_worker_info()
        worker, workers = (0, 1) if info is None else (info.id, info.num_workers)
        try:
            yield from self._messages(self.stream(self.start, worker, workers), worker, workers)
        except MixteraError as error:
            yield Failure(error)

    def _messages(self, stream: Stream, worker: int, workers: int) -> Iterator[Message]:
        step = worker
        for batches in gathered(stream, self.batches_per_message()):
            yield Message(step, packed(batches))
            step += len(batches) * workers

    def batches_per_message(self) -> int:
        """Batches that make up about `MESSAGE_BYTES`."""
        batch_bytes = self.batch_size * mean_position_bytes(self.handle.plan.data)
        return max(1, min(MESSAGE_BATCHES, int(MESSAGE_BYTES / batch_bytes)))


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
