"""`loader`: a DataLoader whose state counts what the trainer consumed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from multiprocessing.context import BaseContext
from os import PathLike
from typing import cast

import pyarrow as pa
import torch
from torch.utils.data import DataLoader

from mixtera.adapters.handle import PlanHandle
from mixtera.adapters.torch.batches import Batch, torch_batches
from mixtera.adapters.torch.messages import Failure, Message, MessageDataset, gathered, unpacked
from mixtera.adapters.torch.ranks import resolved
from mixtera.arrow import strings
from mixtera.plan import Plan


def loader(
    plan: Plan | str | PathLike[str],
    batch_size: int,
    num_workers: int = 0,
    rank: int | None = None,
    world_size: int | None = None,
    start: int | None = None,
    columns: Sequence[str] | None = None,
    prefetch_factor: int | None = None,
    multiprocessing_context: BaseContext | str | None = None,
) -> PlanLoader:
    """A DataLoader over a plan, in the plan's order whatever the number of workers.

    Args:
        plan: A plan, or the directory of one.
        batch_size: Samples per batch of this rank.
        num_workers: Processes that read and decode; 0 reads in this process, with a thread that reads ahead.
        rank: This process's rank; see `mixtera.adapters.torch.ranks.resolved` for the default.
        world_size: Ranks in total.
        start: Position to begin at, over all ranks; the plan's first by default.
        columns: Content columns to read; all by default.
        prefetch_factor: Messages of about 512 KiB that each worker sends ahead (PyTorch's default: 2).
        multiprocessing_context: How workers are started: `fork`, `forkserver` or `spawn`.

    Raises:
        PlanError: An argument is out of its range, or the plan cannot be opened.
    """
    rank, world_size = resolved(rank, world_size)
    messages = MessageDataset(PlanHandle(plan), batch_size, rank, world_size, start, columns)
    return PlanLoader(messages, num_workers, prefetch_factor, multiprocessing_context)


class PlanLoader(DataLoader[Batch]):
    """Iterates dict batches of a plan; see `mixtera.adapters.torch.batches.torch_batch` for their columns.

    Each `iter()` begins at `start`; the first one after `load_state_dict` goes on where the state was taken.
    """

    def __init__(
        self,
        messages: MessageDataset,
        num_workers: int = 0,
        prefetch_factor: int | None = None,
        multiprocessing_context: BaseContext | str | None = None,
    ) -> None:
        """Prepare a loader; made by `loader`."""
        super().__init__(
            cast("torch.utils.data.Dataset[Batch]", messages),
            batch_size=None,
            num_workers=num_workers,
            collate_fn=_unchanged,
            prefetch_factor=prefetch_factor,
            multiprocessing_context=multiprocessing_context,
            generator=torch.Generator(),  # workers' seeds come from here: the global generator is left alone
        )
        if num_workers:
            messages.handle.load_readers()
        self._messages = messages
        self._start = messages.start
        self._position = messages.start
        self._resumed: int | None = None
        self._names = strings([component.name for component in messages.handle.plan.data.components])

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]  # any iterator will do
        self._position = self._start if self._resumed is None else self._resumed
        self._messages.start = self._position
        self._resumed = None
        batches = self._read_here() if self.num_workers == 0 else self._read_in_workers()
        return self._counted(batches, self._position)

    def __len__(self) -> int:
        """Batches that the next `iter()` delivers.

        Raises:
            TypeError: The plan has no end.
        """
        return len(self._messages.stream(self._start if self._resumed is None else self._resumed))

    def state_dict(self) -> dict[str, object]:
        """The state after the last batch that the trainer took: JSON values, whatever the workers have sent since."""
        return self._messages.handle.identity.state_at(self._position)

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Let the next `iter()` go on where the state was taken, by any number of ranks, workers and batch size.

        Raises:
            StateError: It is not a state, or one of another plan; the message names what differs.
        """
        position = self._messages.handle.identity.position_of(state)
        self._messages.stream(position)  # refuses what batches of this size cannot begin with
        self._position = self._resumed = position

    def _counted(self, batches: Iterator[Batch], start: int) -> Iterator[Batch]:
        for done, batch in enumerate(batches, 1):
            self._position = start + done * self._messages.step_size
            yield batch

    def _read_here(self) -> Iterator[Batch]:
        with self._messages.stream(self._messages.start) as stream:
            for group in gathered(stream, self._messages.batches_per_message()):
                yield from torch_batches(pa.concat_batches(group), self._messages.batch_size)

    def _read_in_workers(self) -> Iterator[Batch]:
        return self._ordered(cast("Iterator[Message | Failure]", super().__iter__()))

    def _ordered(self, messages: Iterator[Message | Failure]) -> Iterator[Batch]:
        """The batches of all workers, by step."""
        waiting: dict[int, Batch] = {}
        for step in count():
            while step not in waiting:
                message = next(messages, None)
                if message is None:
                    return
                if isinstance(message, Failure):
                    raise message.error
                batches = torch_batches(unpacked(message.samples, self._names), self._messages.batch_size)
                waiting.update(zip(count(message.step, self.num_workers), batches, strict=False))
            yield waiting.pop(step)


def _unchanged(message: object) -> object:
    return message
