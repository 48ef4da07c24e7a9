"""`MixteraDataset`: a plan as an IterableDataset, for one's own DataLoader."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch.utils.data import IterableDataset, get_worker_info

from mixtera.adapters.handle import Handle, Readable, handle_of
from mixtera.adapters.torch.batches import Batch, torch_batch
from mixtera.adapters.torch.ranks import Coordinate, coordinate_of
from mixtera.stream import Stream


class MixteraDataset(IterableDataset[Batch]):
    """Batches of a plan or a job, as dicts. Use it with `DataLoader(dataset, batch_size=None, num_workers=…)`.

    Worker w of W delivers the batches ≡ w mod W, so that the loader's round-robin restores the plan's order. With
    torchdata's `StatefulDataLoader` every worker saves and restores its own position; resuming with another number of
    workers needs `mixtera.adapters.torch.loader`.

    Over a job, the trainer's process does not know how far it is, unless it reads itself (`num_workers=0`): give
    `position` to `job.feedback`. `loader` knows, and reads little ahead where the weights follow the training.

    It holds the plan's directory, or the job's address, and a few numbers: cheap to send to workers, whatever starts
    them.
    """

    def __init__(
        self,
        plan: Readable,
        batch_size: int,
        rank: int | None = None,
        world_size: int | None = None,
        start: int | None = None,
        columns: Sequence[str] | None = None,
        topology: Coordinate | None = None,
    ) -> None:
        """Prepare the data set; nothing is read yet.

        Args:
            plan: A plan, the directory of one, or a job.
            batch_size: Samples per batch of this rank.
            rank: This process's rank; see `mixtera.adapters.torch.ranks.resolved` for the default.
            world_size: Ranks in total.
            start: Position to begin at, over all ranks; by default the plan's first, or where the job goes on.
            columns: Content columns to read; all by default.
            topology: What `mixtera.adapters.torch.topology` makes of a mesh, in place of `rank` and `world_size`.

        Raises:
            PlanError: An argument is out of its range, or the plan cannot be opened.
        """
        self._handle = handle_of(plan)
        self._batch_size, self._start = batch_size, start
        place = coordinate_of(rank, world_size, topology)
        self._rank, self._world_size = place.rank, place.world_size
        self._columns = None if columns is None else tuple(columns)
        self._stream(0, 1)

    def __iter__(self) -> DatasetIterator:
        info = get_worker_info()
        worker, workers = (0, 1) if info is None else (info.id, info.num_workers)
        stream = self._stream(worker, workers)
        if worker == 0:
            self._handle.begin(self._rank, self._world_size, self._batch_size, lambda: stream.position)
        return DatasetIterator(stream, self._handle)

    def __len__(self) -> int:
        """Batches of this rank.

        Raises:
            TypeError: The plan has no end, or the training decides on it.
        """
        return len(self._stream(0, 1))

    def _stream(self, worker: int, workers: int) -> Stream:
        return self._handle.stream(
            self._batch_size, self._rank, self._world_size, self._start, worker, workers, self._columns
        )


class DatasetIterator:
    """The batches of one worker; its state is the worker's own (`StatefulDataLoader` keeps one per worker)."""

    def __init__(self, stream: Stream, handle: Handle) -> None:
        self._stream, self._handle = stream, handle

    def __iter__(self) -> DatasetIterator:
        return self

    def __next__(self) -> Batch:
        return torch_batch(next(self._stream))

    def state_dict(self) -> dict[str, object]:
        """The worker's state: JSON values."""
        return self._handle.state_at(self._stream.position)

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Go on where the state was taken, as the same one of as many workers.

        Raises:
            StateError: It is not a state, or one of another plan.
        """
        self._stream.load_state_dict(state)
