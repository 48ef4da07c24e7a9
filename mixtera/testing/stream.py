"""The law of what can be resumed, as a check of any iterable with a state: streams, loaders, iterators of adapters."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Protocol, TypeVar

Batch = TypeVar("Batch", covariant=True)


class Stateful(Protocol[Batch]):
    """An iterable whose state counts what was taken from it."""

    def __iter__(self) -> Iterator[Batch]:
        """Begin, or go on after a loaded state."""

    def state_dict(self) -> dict[str, object]:
        """The state after the last batch taken."""

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Go on where a state was taken."""


def assert_continues(
    make: Callable[[], Stateful[Batch]],
    rows: Callable[[Batch], Sequence[object]],
    stops: Iterable[int],
    *,
    resumed: Callable[[], Stateful[Batch]] | None = None,
    limit: int | None = None,
) -> None:
    """Stop after some batches, restore the state into a new one, and compare what follows with an unbroken run.

    Args:
        make: Makes what is under test, from the beginning.
        rows: The samples of a batch, as values that can be compared.
        stops: Numbers of batches after which to stop.
        resumed: Makes what goes on, `make` by default; it may have another batch size or other workers.
        limit: Batches of each run to look at; None for all.

    Raises:
        AssertionError: Another sequence follows, or a state is no JSON or larger than 10 kB.
    """
    whole = _rows(iter(make()), rows, None)
    for stop in stops:
        first = make()
        iterator = iter(first)
        taken = _rows(iterator, rows, stop)
        written = json.dumps(first.state_dict())
        assert len(written) <= 10_000, f"after {stop} batches the state has {len(written)} bytes"
        assert taken == whole[: len(taken)], f"the first {stop} batches differ from an unbroken run"
        second = (resumed or make)()
        second.load_state_dict(json.loads(written))
        rest = _rows(iter(second), rows, limit)
        assert rest == whole[len(taken) : len(taken) + len(rest)], f"after {stop} batches another sequence follows"
        assert rest or stop * len(taken) >= len(whole) or limit == 0, f"after {stop} batches nothing follows"


def _rows(batches: Iterator[Batch], rows: Callable[[Batch], Sequence[object]], limit: int | None) -> list[object]:
    return [row for batch in islice(batches, limit) for row in rows(batch)]
