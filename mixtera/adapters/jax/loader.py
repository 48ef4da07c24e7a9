"""The loader of the JAX adapter."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

import jax
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mixtera.adapters.columns import HostColumns, host_columns
from mixtera.adapters.handle import Handle, Readable, handle_of
from mixtera.adapters.jax.ranks import Coordinate, coordinate_of
from mixtera.adapters.jax.sharing import Group
from mixtera.errors import PlanError, SampleError
from mixtera.stream import Stream

HOST_COLUMNS: Final = frozenset({"component", "sample"})
"""Columns that stay on the host, beside those without numbers: sample ids need 64 bits, which JAX does not keep."""

Read: TypeAlias = Literal["every", "first"]
Batch: TypeAlias = dict[str, jax.Array | npt.NDArray[np.generic]]


class MixteraLoader:
    """Batches of a plan or a job for this process; its iterators have Grain's `get_state` and `set_state`."""

    def __init__(
        self,
        plan: Readable,
        batch_size: int,
        sharding: jax.sharding.Sharding | None = None,
        rank: int | None = None,
        world_size: int | None = None,
        start: int | None = None,
        prefetch: int = 2,
        columns: Sequence[str] | None = None,
        topology: Coordinate | None = None,
        read: Read = "every",
    ) -> None:
        """Prepare a loader; nothing is read yet.

        Args:
            plan: A plan, the directory of one, or a job.
            batch_size: Samples per batch of this process.
            sharding: How the global batch, of `world_size` × `batch_size` samples, lies on the devices of all
                processes; None puts this process's batch on its default device.
            rank: This process's rank; by default that of its rows in the sharding, where that is over a mesh, and else
                `jax.process_index()`.
            world_size: Ranks in total; likewise, and else `jax.process_count()`.
            start: Position to begin at, over all ranks; by default the plan's first, or where the job goes on.
            prefetch: Batches that are made ahead; fewer where the weights follow the training and rounds are short.
            columns: Content columns to read; all by default.
            topology: What `mixtera.adapters.jax.topology` makes of a mesh, in place of `rank` and `world_size`.
            read: `every`: each process reads its batches itself; `first`: of those that work on the same samples one
                reads, and sends them to the others. All processes then take their batches at the same step.

        Raises:
            PlanError: An argument is out of its range, or the plan cannot be opened.
        """
        if prefetch < 0:
            raise PlanError(f"prefetch is {prefetch}; it must be at least 0")
        self._handle = handle_of(plan)
        self._place = coordinate_of(rank, world_size, topology, sharding)
        self._batch_size, self._start, self._columns = batch_size, start, columns
        self._group = _group_of(read, self._place)
        most = self._handle.steps_ahead(batch_size * self._place.world_size)
        self._sharding, self._prefetch = sharding, prefetch if most is None else min(prefetch, most)
        self._check(self._stream().position)

    def __iter__(self) -> BatchIterator:
        return BatchIterator(
            self._stream(),
            self._handle,
            self._place,
            self._batch_size,
            self._sharding,
            self._prefetch,
            self._check,
            self._group,
        )

    def __len__(self) -> int:
        """Batches of this process.

        Raises:
            TypeError: The plan has no end, or the training decides on it.
        """
        return len(self._stream())

    def _stream(self) -> Stream:
        place = self._place
        return self._handle.stream(self._batch_size, place.rank, place.world_size, self._start, columns=self._columns)

    def _check(self, position: int) -> None:
        """Refuse global batches of which processes would deliver different parts: tokens here, images there."""
        if self._sharding is not None and self._handle.plan.data.blocks is not None:
            from mixtera.stream.groups import check_batches

            start = position - self._handle.plan.start
            check_batches(self._handle.plan.data, self._place.world_size * self._batch_size, start)


class BatchIterator:
    """The batches of one process; a thread makes some of them ahead. The state counts what was taken.

    One that is dropped without `close` ends its thread and files a moment later: the collector must not wait for them.
    """

    def __init__(
        self,
        stream: Stream,
        handle: Handle,
        place: Coordinate,
        batch_size: int,
        sharding: jax.sharding.Sharding | None,
        prefetch: int,
        check: Callable[[int], None],
        group: Group | None = None,
    ) -> None:
        self._stream, self._handle, self._sharding, self._prefetch = stream, handle, sharding, prefetch
        self._place, self._batch_size, self._check, self._group = place, batch_size, check, group
        self._reached = Reached(stream.position)
        self._ahead: deque[Future[tuple[Batch, int] | None]] = deque()
        self._read: deque[Future[pa.RecordBatch | None]] = deque()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="mixtera-jax")
        self._begin()

    def __iter__(self) -> BatchIterator:
        return self

    def __next__(self) -> Batch:
        if self._group is not None:
            return self._shared(self._group)
        while len(self._ahead) <= self._prefetch:
            self._ahead.append(self._thread.submit(_made, self._stream, self._sharding))
        made = self._ahead.popleft().result()
        if made is None:
            raise StopIteration
        batch, self._reached.position = made
        return batch

    def _shared(self, group: Group) -> Batch:
        """The next batch, which one process of the group has read."""
        samples = self._sent(group) if group.reads else group.receive()
        if samples is None:
            raise StopIteration
        self._reached.position += self._batch_size * self._place.world_size
        return jax_batch(host_columns(samples), self._sharding)

    def _sent(self, group: Group) -> pa.RecordBatch | None:
        while len(self._read) <= self._prefetch:
            self._read.append(self._thread.submit(next, self._stream, None))
        try:
            samples = self._read.popleft().result()
        except BaseException as error:  # the others must not wait for what does not come
            group.fail(error)
            raise
        group.share(samples)
        return samples

    def get_state(self) -> dict[str, object]:
        """The state after the last batch that was taken: JSON values, the same on every process at the same step."""
        return self._handle.state_at(self._reached.position)

    def set_state(self, state: Mapping[str, object]) -> None:
        """Go on where a state was taken, by any number of processes and with any batch size.

        Raises:
            StateError: It is not a state, or one of another plan; the message names what differs.
        """
        waits: list[Future[Any]] = [*self._ahead, *self._read]
        self._ahead.clear()
        self._read.clear()
        for waiting in reversed(waits):
            if not waiting.cancel():
                waiting.exception()
        self._stream.load_state_dict(state)
        self._check(self._stream.position)
        self._reached.position = self._stream.position
        self._begin()

    def close(self) -> None:
        """End the threads and close all files."""
        self._ahead.clear()
        self._read.clear()
        self._thread.shutdown(wait=True, cancel_futures=True)
        self._stream.close()

    def _begin(self) -> None:
        reached, place = self._reached, self._place
        self._handle.begin(place.rank, place.world_size, self._batch_size, lambda: reached.position, self._prefetch)


@dataclass(slots=True)
class Reached:
    """Position after the last batch that was taken. A job holds it, and not the iterator, which may then be dropped."""

    position: int


def _made(stream: Stream, sharding: jax.sharding.Sharding | None) -> tuple[Batch, int] | None:
    """The next batch and the position after it; None at the end."""
    samples = next(stream, None)
    if samples is None:
        return None
    return jax_batch(host_columns(samples), sharding), stream.position


def jax_batch(columns: HostColumns, sharding: jax.sharding.Sharding | None) -> Batch:
    """Put the numbers of a batch on the devices.

    Args:
        columns: This process's part of the batch.
        sharding: How the global batch lies on the devices of all processes; None for the default device.

    Returns:
        Numbers as `jax.Array` ([n] or [n, size], global where there is a sharding); strings, bytes, component
        names and sample ids as numpy arrays.

    Raises:
        SampleError: A number needs 64 bits and JAX keeps 32.
    """
    return {name: _placed(name, column, sharding) for name, column in columns.items()}


def _placed(
    name: str, column: npt.NDArray[np.generic], sharding: jax.sharding.Sharding | None
) -> jax.Array | npt.NDArray[np.generic]:
    if name in HOST_COLUMNS or column.dtype.kind not in "biuf":
        return column
    narrow = jax.dtypes.canonicalize_dtype(column.dtype)
    converted = column.astype(narrow)
    if narrow != column.dtype and column.dtype.kind in "iu" and not (converted == column).all():
        raise SampleError(
            f"column {name!r} holds numbers that need {column.dtype.name}, and JAX keeps {narrow.name}: "
            'call jax.config.update("jax_enable_x64", True) first, or leave the column out with `columns`'
        )
    if sharding is None:
        return jax.device_put(converted)
    return jax.make_array_from_process_local_data(sharding, converted)


def _group_of(read: str, place: Coordinate) -> Group | None:
    """With whom this process shares what one of them reads; None where it reads itself.

    Raises:
        PlanError: `read` is something else, or it is not known who works on the same samples.
    """
    if read not in ("every", "first"):
        raise PlanError(f"read is {read!r}; it must be 'every' or 'first'")
    if read == "every":
        return None
    if not place.groups:
        raise PlanError(
            "read='first' needs to know which processes work on the same samples: give a sharding over a mesh, or "
            "`topology`"
        )
    return Group(place.groups) if len(place.groups[place.rank]) > 1 else None
