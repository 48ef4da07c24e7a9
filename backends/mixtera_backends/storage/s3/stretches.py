"""Stretches of an object of which a reader will soon want everything: read in few large requests, kept on local disk.

The order permutes the samples of a window of segments, so a reader comes back to each of its segments until it has had
all of it. Where the plan says so (`Stretching`), a segment is not read record by record: it is cut into stripes, each
of which is one request, and a stripe lies on local disk until the reader has been through. What was given up before
all of it was read is read record by record for a while.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

import numpy as np

from mixtera.formats.cells import Pieces, Positions
from mixtera_backends.storage.s3.blocks import Object

if TYPE_CHECKING:
    from mixtera_backends.storage.s3.clients import Buffer

HURRY_BYTES: Final = 4 << 20
"""Bytes of large records with which a process does not wait for their stripes: so the first batch comes soon."""
REMEMBERED: Final = 2
"""Stripes that were asked for are remembered until so many times what can be kept has come after them: then it is
another epoch, and they are wanted whole again."""


class Stripe(NamedTuple):
    """Bytes [start, stop) of an object, which come with one request and are kept together."""

    object: Object
    start: int
    stop: int


class Keeper(Protocol):
    """Where stripes are kept. Several threads use it.

    Attributes:
        capacity_bytes: Bytes that are kept at most, about.
        is_shared: Whether other processes have them, too.
    """

    capacity_bytes: int
    is_shared: bool

    def have(self, stripe: Stripe, read: Callable[[], Iterator[Buffer]]) -> None:
        """See to it that a stripe is kept, by reading it if need be: all of it, part by part.

        Raises:
            StorageError: It cannot be written, or what reading raises.
        """

    def places(self, stripes: Sequence[Stripe]) -> list[tuple[int, int] | None]:
        """The descriptor of a file and where a stripe begins in it; None for one that is not kept (any more).

        Valid while `reading` is held.
        """

    @property
    def reading(self) -> threading.Lock:
        """To be held from `places` until everything was read."""

    def holds(self, stripe: Stripe) -> bool:
        """Whether a stripe is kept now."""


class Stripes:
    """The stripes that a process has asked for."""

    def __init__(self, keeper: Keeper, submit: Callable[[Callable[[], None]], Future[None]]) -> None:
        self._keeper, self._submit = keeper, submit
        self._asked: dict[Stripe, Future[None]] = {}
        self._seen: OrderedDict[Stripe, None] = OrderedDict()
        self._seen_bytes = 0
        self._hurry_bytes = HURRY_BYTES
        self._lock = threading.RLock()  # a future that is done calls back at once

    @property
    def is_shared(self) -> bool:
        """Whether other processes have what this one has fetched."""
        return self._keeper.is_shared

    def may_hurry(self, size: int) -> bool:
        """Whether so many bytes may be read without their stripes, if these are not here; asked once for each read."""
        self._hurry_bytes -= size
        return self._hurry_bytes >= 0

    def expect(self, stripes: Sequence[Stripe], read: Callable[[Stripe], Iterator[Buffer]]) -> list[Future[None]]:
        """Begin to fetch those stripes that are not here and were not here before.

        Returns:
            Those of them, and those asked for before, that are on their way.
        """
        coming = []
        with self._lock:
            for stripe in stripes:
                future = self._asked.get(stripe)
                if future is None and not self._keeper.holds(stripe) and stripe not in self._seen:
                    self._remember(stripe)
                    future = self._asked[stripe] = self._submit(partial(self._have, stripe, read))
                    future.add_done_callback(partial(self._done, stripe))
                if future is not None:
                    coming.append(future)
        return coming

    def read_into(self, target: memoryview, stripes: Sequence[Stripe], pieces: Pieces, places: Positions) -> Positions:
        """Read pieces of stripes that are here.

        Args:
            target: Where all goes.
            stripes: The distinct stripes; the cells of the pieces are numbers in this list.
            pieces: The pieces.
            places: For each piece its first byte in `target`.

        Returns:
            The numbers of the pieces whose stripes are not kept any more.
        """
        lengths = pieces.stops - pieces.starts
        with self._keeper.reading:
            kept = self._keeper.places(stripes)
            file = np.array([-1 if place is None else place[0] for place in kept], np.int64)
            shift = np.array(
                [0 if place is None else place[1] - stripe.start for place, stripe in zip(kept, stripes, strict=True)],
                np.int64,
            )
            here = np.flatnonzero(file[pieces.cell] >= 0)
            cell, first = pieces.cell[here], places[here]
            parts = zip(first.tolist(), (first + lengths[here]).tolist(), strict=True)
            targets = [(target[start:stop],) for start, stop in parts]
            read = list(map(os.preadv, file[cell].tolist(), targets, (shift[cell] + pieces.starts[here]).tolist()))
        done = np.zeros(len(lengths), np.int64)
        done[here] = read
        return np.flatnonzero(done != lengths)

    def _have(self, stripe: Stripe, read: Callable[[Stripe], Iterator[Buffer]]) -> None:
        self._keeper.have(stripe, lambda: read(stripe))

    def _done(self, stripe: Stripe, future: Future[None]) -> None:
        with self._lock:
            self._asked.pop(stripe, None)
            if future.cancelled() or future.exception() is not None:  # so that it is asked for again
                self._forget(stripe)

    def _remember(self, stripe: Stripe) -> None:
        self._seen[stripe] = None
        self._seen_bytes += stripe.stop - stripe.start
        while self._seen_bytes > REMEMBERED * self._keeper.capacity_bytes:
            self._forget(next(iter(self._seen)))

    def _forget(self, stripe: Stripe) -> None:
        if stripe in self._seen:
            del self._seen[stripe]
            self._seen_bytes -= stripe.stop - stripe.start
