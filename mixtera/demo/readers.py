"""Reading one plan in three ways: Arrow batches, the PyTorch loader, the JAX loader. All must see the same samples."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import islice
from typing import Final, cast

import numpy as np
import numpy.typing as npt

from mixtera.errors import StateError
from mixtera.plan import Plan

BATCH_SIZE: Final = 32
WORKERS: Final = 2
OTHER_WORKERS: Final = 1


@dataclass(frozen=True)
class Reading:
    """What one reader saw.

    Attributes:
        name: The reader, for people.
        samples: Sample ids in the order of their delivery.
        characters: Characters of text.
        start_seconds: Until the first batch was there.
        seconds: From the first batch to the last.
    """

    name: str
    samples: npt.NDArray[np.int64]
    characters: int
    start_seconds: float
    seconds: float

    @property
    def samples_per_second(self) -> float:
        """Speed after the first batch."""
        return max(len(self.samples) - BATCH_SIZE, 0) / max(self.seconds, 1e-9)


def is_installed(package: str) -> bool:
    """Whether a package can be imported, without doing it."""
    return find_spec(package) is not None


def read_arrow(plan: Plan, batches: int) -> Reading:
    """The first batches as Arrow."""
    stream = plan.stream(batch_size=BATCH_SIZE)
    columns = ({"sample": b["sample"].to_numpy(), "text": b["text"].to_pylist()} for b in stream)
    return _read("Arrow batches", islice(columns, batches))


def read_torch(plan: Plan, batches: int) -> Reading:
    """The first batches through the PyTorch loader."""
    from mixtera.adapters.torch import loader

    found = loader(plan, batch_size=BATCH_SIZE, num_workers=WORKERS)
    return _read(f"PyTorch, {WORKERS} workers", islice(found, batches))


def read_jax(plan: Plan, batches: int) -> Reading:
    """The first batches through the JAX loader."""
    from mixtera.adapters.jax import MixteraLoader

    return _read("JAX", islice(iter(MixteraLoader(plan, batch_size=BATCH_SIZE)), batches))


def resume_torch(plan: Plan, batches: int) -> npt.NDArray[np.int64]:
    """The samples of a run that stops in the middle and goes on with another number of workers."""
    from mixtera.adapters.torch import loader

    first = loader(plan, batch_size=BATCH_SIZE, num_workers=WORKERS)
    before = [_samples(batch) for batch in islice(first, batches // 2)]
    second = loader(plan, batch_size=BATCH_SIZE, num_workers=OTHER_WORKERS)
    second.load_state_dict(first.state_dict())
    after = [_samples(batch) for batch in islice(second, batches - batches // 2)]
    return np.concatenate([*before, *after])


def resume_arrow(plan: Plan, batches: int) -> npt.NDArray[np.int64]:
    """The same without PyTorch: two streams, the second from the state of the first."""
    first = plan.stream(batch_size=BATCH_SIZE)
    before = [batch["sample"].to_numpy() for batch in islice(first, batches // 2)]
    second = plan.stream(batch_size=BATCH_SIZE)
    second.load_state_dict(first.state_dict())
    after = [batch["sample"].to_numpy() for batch in islice(second, batches - batches // 2)]
    return np.concatenate([*before, *after])


def check_same(expected: npt.NDArray[np.int64], got: npt.NDArray[np.int64], reader: str) -> None:
    """See that a reader saw the planned samples.

    Raises:
        StateError: It did not; names the first position that differs.
    """
    if np.array_equal(expected, got):
        return
    common = min(len(expected), len(got))
    different = np.flatnonzero(expected[:common] != got[:common])
    position = int(different[0]) if len(different) else common
    raise StateError(
        f"{reader}: {len(got)} samples where {len(expected)} were planned, and the first that differs stands at "
        f"position {position}; this must not happen, please report it with the plan"
    )


def _read(name: str, batches: Iterable[Mapping[str, object]]) -> Reading:
    begin = time.perf_counter()
    iterator: Iterator[Mapping[str, object]] = iter(batches)
    seen = [next(iterator)]
    first = time.perf_counter()
    seen.extend(iterator)
    end = time.perf_counter()
    characters = sum(len(text) for batch in seen for text in cast(Iterable[str], batch["text"]))
    return Reading(name, np.concatenate([_samples(batch) for batch in seen]), characters, first - begin, end - first)


def _samples(batch: Mapping[str, object]) -> npt.NDArray[np.int64]:
    return np.asarray(batch["sample"], dtype=np.int64)
