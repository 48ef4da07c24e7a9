"""An object opened: read in ranges."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mixtera.cached import cached_property
from mixtera.errors import StorageError
from mixtera.formats.cells import Cells, Pieces
from mixtera.formats.ranges import GAP_BYTES as NEAR_BYTES
from mixtera.formats.ranges import Bytes, Spans, back_to_back, gathered
from mixtera_backends.storage.files import requests
from mixtera_backends.storage.s3.address import Address
from mixtera_backends.storage.s3.blocks import BLOCK_BYTES, Sought
from mixtera_backends.storage.s3.clients import Clients, ClientsHere
from mixtera_backends.storage.s3.stretches import Stripe, Stripes

if TYPE_CHECKING:
    from mixtera_backends.storage.s3.clients import Buffer

GAP_BYTES: Final = 128 << 10
"""Ranges that are closer are fetched as one: at 16 requests in flight, a request costs as much as so many bytes."""

LARGE_BLOCKS: Final = (1, 8)
"""Records of so many blocks, on average, are fetched alone: in whole blocks, most bytes would be those of others. Of
what is larger still, such as a row group, the blocks at its ends are few."""

Positions = npt.NDArray[np.int64]


class StretchesOfObject(NamedTuple):
    """What of an object is wanted whole.

    Attributes:
        starts: First bytes, ascending.
        stops: Bytes after the last.
        alone: Nobody else reads the same; see `Stretching`.
    """

    starts: Positions
    stops: Positions
    alone: bool


class S3Object:
    """A `RandomAccess` to one object, pinned to its etag.

    Args:
        clients: How it is read.
        address: The object.
        size: Its bytes.
        etag: What every answer must have.
        indexed: Whether that is the etag of the index.
        fast: Whether the fast client may be used.
        stretches: What is wanted whole; None where nobody told.
    """

    def __init__(
        self,
        clients: ClientsHere,
        address: Address,
        size: int,
        etag: str,
        indexed: bool,
        fast: bool,
        stretches: StretchesOfObject | None = None,
    ) -> None:
        self._clients, self._address = clients, address
        self._stretches = stretches
        self._whole: set[tuple[int, int]] = set()
        self._size, self._etag, self._indexed, self._fast = size, etag, indexed, fast
        self._closed = False
        self._is_large = self._is_hurried = False
        self._is_read = False
        self._expected: dict[tuple[int, int], Future[Buffer]] = {}

    @property
    def size(self) -> int:
        """Bytes in the object."""
        return self._size

    def gather(self, starts: Positions, stops: Positions) -> pa.LargeBinaryArray:
        """Read many ranges in one go; see `RandomAccess.gather`."""
        return gathered(self._address.url, starts, stops, self._near_bytes, self._read)

    def read_into(self, target: Bytes, wanted: Spans) -> None:
        """Read spans into memory that has their size, back to back; see `Filling`."""
        self._check(int(wanted.stops.max(initial=0)))
        clients = self._here()
        cells = self._cells_for(clients, wanted.starts, wanted.stops)
        kept = None if cells is None else self._kept(clients)
        if cells is None or kept is None:
            self._read_into(clients, target, wanted)
            return
        pieces = cells.cut(*_filled(wanted.starts, wanted.stops))
        places = np.cumsum(pieces.stops - pieces.starts) - (pieces.stops - pieces.starts)
        inside, outside = np.flatnonzero(pieces.in_stripe), np.flatnonzero(~pieces.in_stripe)
        if len(inside):
            stripes, mine, coming = self._striped(clients, kept, cells, pieces.of(inside))
            size = int((mine.stops - mine.starts).sum())
            if not (self._is_hurried and kept.may_hurry(size)):
                for stripe in coming:
                    stripe.result()
            left = kept.read_into(target.data, stripes, mine, places[inside])
            outside = np.union1d(outside, inside[left])
        if len(outside):
            self._scatter(clients, target, pieces.of(outside), places[outside])

    def _scatter(self, clients: Clients, target: Bytes, pieces: Pieces, places: Positions) -> None:
        """Read pieces that lie in no stripe that is kept."""
        wanted = back_to_back(pieces.starts, pieces.stops)
        data = np.empty(wanted.size, np.uint8)
        self._is_large = _are_large(pieces.starts, pieces.stops)
        self._read_into(clients, data, wanted)
        lengths = pieces.stops - pieces.starts
        for place, begin, length in zip(places.tolist(), wanted.places.tolist(), lengths.tolist(), strict=True):
            target[place : place + length] = data[begin : begin + length]

    def _striped(
        self, clients: Clients, stripes: Stripes, cells: Cells, pieces: Pieces
    ) -> tuple[list[Stripe], Pieces, list[Future[None]]]:
        """The distinct stripes of some pieces, the pieces, told by these, and which stripes are on their way."""
        distinct_cells, which = np.unique(pieces.cell, return_inverse=True)
        wanted = self._address.bucket, self._address.key, self._etag
        starts, stops = cells.bounds(distinct_cells)
        distinct = [Stripe(wanted, start, stop) for start, stop in zip(starts.tolist(), stops.tolist(), strict=True)]
        coming = stripes.expect(distinct, clients.stripe(self._address, self._etag, self._indexed))
        return distinct, Pieces(which, pieces.starts, pieces.stops, pieces.in_stripe), coming

    def _read_into(self, clients: Clients, target: Bytes, wanted: Spans) -> None:
        """Read spans, in blocks or each for itself."""
        most = clients.settings.request_bytes
        if self._fast and not self._is_large and clients.blocks is not None:
            sought = self._sought(clients, wanted.starts, wanted.stops)
            if clients.blocks.read_into(target.data, sought):
                return
        place = 0
        for data in self._each(requests(wanted.starts.tolist(), wanted.stops.tolist(), most)):
            target[place : place + len(data)] = np.frombuffer(memoryview(data), np.uint8)
            place += len(data)

    def expect(self, starts: Positions, stops: Positions) -> None:
        """Begin to fetch records that will be read soon; see `Expecting`."""
        clients = self._here()
        if not self._fast or clients.blocks is None or not len(starts):
            return
        self._check(int(stops.max()))
        kept = self._kept(clients)
        if kept is not None and kept.is_shared and _are_very_large(starts, stops):
            self._whole.update(zip(starts.tolist(), stops.tolist(), strict=True))
        self._is_hurried = _are_large(starts, stops)
        cells = self._cells_for(clients, starts, stops)
        if cells is not None and kept is not None:
            pieces = cells.cut(*_filled(starts, stops))
            self._striped(clients, kept, cells, pieces.of(np.flatnonzero(pieces.in_stripe)))
            if pieces.in_stripe.all():
                return
            rest = pieces.of(np.flatnonzero(~pieces.in_stripe))
            starts, stops = rest.starts, rest.stops
        sought = self._sought(clients, starts, stops)
        self._is_large = _are_large(starts, stops)
        if not self._is_large:
            clients.blocks.expect(sought)
            return
        for range_ in requests(starts.tolist(), stops.tolist(), sought.most):
            if range_ not in self._expected:
                self._expected[range_] = sought.begin(*range_)

    @cached_property
    def _near_bytes(self) -> int:
        """Ranges that are closer are read as one: what lies between is here anyway, or costs less than a request."""
        return NEAR_BYTES if self._fast and self._here().blocks is not None else GAP_BYTES

    def _cells_for(self, clients: Clients, starts: Positions, stops: Positions) -> Cells | None:
        """The stripes that some ranges lie in: those of the plan, or the ranges themselves where these are large."""
        if self._cells is not None or not self._whole:
            return self._cells
        if not self._whole.issuperset(zip(starts.tolist(), stops.tolist(), strict=True)):
            return None
        starts, stops = _filled(starts, stops)
        is_plain = len(starts) > 0 and bool((starts[1:] >= stops[:-1]).all())
        return Cells(starts, stops, self._size, clients.settings.request_bytes) if is_plain else None

    @cached_property
    def _cells(self) -> Cells | None:
        """Where stretches that are wanted whole lie; None where there are none."""
        if self._stretches is None or not self._fast:
            return None
        starts, stops = _filled(self._stretches.starts, np.minimum(self._stretches.stops, self._size))
        return Cells(starts, stops, self._size, self._here().settings.request_bytes) if len(starts) else None

    def _kept(self, clients: Clients) -> Stripes | None:
        """The stripes among which those of this object are."""
        return clients.stripes(self._stretches is None or self._stretches.alone)

    def _here(self) -> Clients:
        """The clients: those of the environment when it is first read, and for a moment after that."""
        clients = self._clients.current() if self._is_read else self._clients.get()
        self._is_read = True
        return clients

    def _sought(self, clients: Clients, starts: Positions, stops: Positions) -> Sought:
        def begin(start: int, stop: int) -> Future[Buffer]:
            return clients.begin(self._address, (start, stop), self._etag, self._indexed, self._fast)

        wanted = self._address.bucket, self._address.key, self._etag
        return Sought(wanted, self._size, starts, stops, clients.settings.request_bytes, begin)

    def between(self, start: int, stop: int) -> bytes:
        """The bytes of one range."""
        self._check(stop)
        most = self._here().settings.request_bytes
        return b"".join(self._fetch(requests([start], [stop], most)))

    def close(self) -> None:
        """Refuse what comes after; the connections are the process's."""
        self._closed = True
        self._expected.clear()

    def _read(self, starts: Positions, stops: Positions) -> tuple[Bytes, Positions]:
        """The bytes of some ranges back to back, and where each begins in them."""
        wanted = back_to_back(starts, stops)
        data = np.empty(wanted.size, np.uint8)
        self.read_into(data, wanted)
        return data, wanted.places

    def _each(self, ranges: Sequence[tuple[int, int]]) -> Iterator[Buffer]:
        """The bytes of some ranges, those that were expected among them."""
        missing = [range_ for range_ in ranges if range_ not in self._expected]
        others = iter(self._fetch(missing) if missing else ())
        for range_ in ranges:
            expected = self._expected.pop(range_, None)
            yield next(others) if expected is None else expected.result()

    def _fetch(self, ranges: Sequence[tuple[int, int]]) -> list[Buffer]:
        return self._here().read(self._address, ranges, self._etag, self._indexed, self._fast)

    def _check(self, stop: int) -> None:
        if self._closed:
            raise StorageError(f"{self._address.url} is closed")
        if stop > self._size:
            raise StorageError(
                f"{self._address.url} changed since it was indexed: byte {stop} is asked for and it has "
                f"{self._size}; run `mixtera index` and compile again"
            )


def _are_large(starts: Positions, stops: Positions) -> bool:
    """Whether ranges are large records, on average; see `LARGE_BLOCKS`."""
    least, most = (blocks * BLOCK_BYTES * len(starts) for blocks in LARGE_BLOCKS)
    return least < int((stops - starts).sum()) < most


def _are_very_large(starts: Positions, stops: Positions) -> bool:
    """Whether ranges are row groups, say, which readers want whole, and not records."""
    return int((stops - starts).sum()) >= LARGE_BLOCKS[1] * BLOCK_BYTES * len(starts)


def _filled(starts: Positions, stops: Positions) -> tuple[Positions, Positions]:
    """The ranges that are not empty."""
    filled = stops > starts
    return (starts, stops) if filled.all() else (starts[filled], stops[filled])
