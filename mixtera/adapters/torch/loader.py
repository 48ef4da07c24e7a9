"""`loader`: a DataLoader whose state counts what the trainer consumed."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from multiprocessing.context import BaseContext
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, cast

import pyarrow as pa
import torch
from torch.utils.data import DataLoader

from mixtera.adapters.handle import Readable, handle_of
from mixtera.adapters.torch.batches import Batch, torch_batches
from mixtera.adapters.torch.messages import Failure, Message, MessageDataset, gathered, unpacked
from mixtera.adapters.torch.ranks import Coordinate, coordinate_of, group_of
from mixtera.adapters.torch.sharing import received, shared
from mixtera.arrow import strings
from mixtera.errors import PlanError

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup

Read: TypeAlias = Literal["every", "first"]
_READS: Final = ("every", "first")


def loader(
    plan: Readable,
    batch_size: int,
    num_workers: int = 0,
    rank: int | None = None,
    world_size: int | None = None,
    start: int | None = None,
    columns: Sequence[str] | None = None,
    prefetch_factor: int | None = None,
    multiprocessing_context: BaseContext | str | None = None,
    topology: Coordinate | None = None,
    read: Read = "every",
) -> PlanLoader:
    """A DataLoader over a plan or a job, in its order whatever the number of workers.

    Over a job, `job.feedback` and `job.checkpoint` know the position of the trainer from it. Where the weights follow
    the training, little is read ahead, and there is no length.

    Args:
        plan: A plan, the directory of one, or a job.
        batch_size: Samples per batch of this rank.
        num_workers: Processes that read and decode; 0 reads in this process, with a thread that reads ahead.
        rank: This process's rank; see `mixtera.adapters.torch.ranks.resolved` for the default.
        world_size: Ranks in total.
        start: Position to begin at, over all ranks; by default the plan's first, or where the job goes on.
        columns: Content columns to read; all by default.
        prefetch_factor: Messages of about 512 KiB that each worker sends ahead (PyTorch's default: 2); smaller ones
            where the weights follow the training.
        multiprocessing_context: How workers are started: `fork`, `forkserver` or `spawn`.
        topology: What `mixtera.adapters.torch.topology` makes of a mesh, in place of `rank` and `world_size`.
        read: `every` rank reads its samples; or of those that work on the same samples only the `first` does, and the
            others get its batches by broadcast. Then all of them call this and go on together, batch by batch.

    Raises:
        PlanError: An argument is out of its range, or the plan cannot be opened.
    """
    if read not in _READS:
        raise PlanError(f"read is {read!r}; it must be one of {', '.join(_READS)}")
    if read == "first" and topology is None:
        raise PlanError("read='first' needs a topology: mixtera.adapters.torch.topology(mesh) tells who reads for whom")
    place = coordinate_of(rank, world_size, topology)
    messages = MessageDataset(handle_of(plan), batch_size, place.rank, place.world_size, start, columns)
    peers = place.peers if read == "first" and len(place.peers) > 1 else ()
    return PlanLoader(messages, num_workers, prefetch_factor, multiprocessing_context, peers)


@dataclass
class _Reached:
    """The position up to which the trainer has taken samples.

    A job looks at it, and not at the loader: so a loader that its trainer drops is gone at once, and with it its
    process group, whose threads must end before the interpreter does.
    """

    position: int


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
        peers: Sequence[int] = (),
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
        self._ahead_steps = messages.hurry(num_workers * (1 + (self.prefetch_factor or 0)))
        self._messages = messages
        self._start = messages.start
        self._reached = _Reached(messages.start)
        self._resumed: int | None = None
        self._names = strings([component.name for component in messages.handle.plan.data.components])
        self._peers: ProcessGroup | None = group_of(peers, "gloo") if peers else None

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]  # any iterator will do
        start = self._start if self._resumed is None else self._resumed
        reached, messages = self._reached, self._messages
        reached.position = messages.start = start
        self._resumed = None
        messages.handle.begin(
            messages.rank, messages.world_size, messages.batch_size, lambda: reached.position, self._ahead_steps
        )
        return self._counted(self._batches(), start)

    def __len__(self) -> int:
        """Batches that the next `iter()` delivers.

        Raises:
            TypeError: The plan has no end, or the training decides on it.
        """
        return len(self._messages.stream(self._start if self._resumed is None else self._resumed))

    def state_dict(self) -> dict[str, object]:
        """The state after the last batch that the trainer took: JSON values, whatever the workers have sent since.

        That of a job names it, as what `Job.checkpoint` returns does.
        """
        return self._messages.handle.state_at(self._reached.position)

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Let the next `iter()` go on where the state was taken, by any number of ranks, workers and batch size.

        Raises:
            StateError: It is not a state, or one of another plan; the message names what differs.
        """
        position = self._messages.handle.identity.position_of(state)
        self._messages.stream(position)  # refuses what batches of this size cannot begin with
        self._reached.position = self._resumed = position

    def _counted(self, batches: Iterator[Batch], start: int) -> Iterator[Batch]:
        for done, batch in enumerate(batches, 1):
            self._reached.position = start + done * self._messages.step_size
            yield batch

    def _batches(self) -> Iterator[Batch]:
        if self._peers is None:
            return self._ordered(self._of_workers()) if self.num_workers else self._read_here()
        if torch.distributed.get_rank(self._peers):
            return self._ordered(received(self._peers))
        messages = self._of_workers() if self.num_workers else iter(self._messages)
        return self._ordered(shared(messages, self._peers))

    def _read_here(self) -> Iterator[Batch]:
        stream = self._messages.stream(self._messages.start)  # ends by itself; in a `with`, the collector might wait
        for group in gathered(stream, self._messages.most):
            yield from torch_batches(pa.concat_batches(group), self._messages.batch_size)

    def _of_workers(self) -> Iterator[Message | Failure]:
        self._messages.handle.quiet()
        with _left_alone():
            return cast("Iterator[Message | Failure]", super().__iter__())

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
                waiting.update(zip(count(message.step, message.turn), batches, strict=False))
            yield waiting.pop(step)


@contextmanager
def _left_alone() -> Iterator[None]:
    """Have workers that are forked meanwhile leave alone what there is: their collector would copy all its pages."""
    if gc.get_freeze_count():  # somebody has seen to it, and may want it to stay so
        yield
        return
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _unchanged(message: object) -> object:
    return message
