"""An object opened: read in ranges."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mixtera.errors import StorageError
from mixtera.formats.ranges import gathered
from mixtera_backends.storage.files import requests
from mixtera_backends.storage.s3.address import Address
from mixtera_backends.storage.s3.blocks import Blocks
from mixtera_backends.storage.s3.clients import ClientsHere

if TYPE_CHECKING:
    from mixtera_backends.storage.s3.clients import Buffer

GAP_BYTES: Final = 128 << 10
"""Ranges that are closer are fetched as one: at 16 requests in flight, a request costs as much as so many bytes."""

Positions = npt.NDArray[np.int64]


class S3Object:
    """A `RandomAccess` to one object, pinned to its etag.

    Args:
        clients: How it is read.
        address: The object.
        size: Its bytes.
        etag: What every answer must have.
        indexed: Whether that is the etag of the index.
        fast: Whether the fast client may be used.
    """

    def __init__(self, clients: ClientsHere, address: Address, size: int, etag: str, indexed: bool, fast: bool) -> None:
        self._clients, self._address = clients, address
        self._size, self._etag, self._indexed, self._fast = size, etag, indexed, fast
        self._closed = False

    @property
    def size(self) -> int:
        """Bytes in the object."""
        return self._size

    def gather(self, starts: Positions, stops: Positions) -> pa.LargeBinaryArray:
        """Read many ranges in one go; see `RandomAccess.gather`."""
        if self._fast and (blocks := self._clients.get().blocks) is not None:
            return gathered(self._address.url, starts, stops, 0, lambda a, b: self._through(blocks, a, b))
        return gathered(self._address.url, starts, stops, GAP_BYTES, self._read)

    def between(self, start: int, stop: int) -> bytes:
        """The bytes of one range."""
        return self._read(np.array([start]), np.array([stop]))[0]

    def close(self) -> None:
        """Refuse what comes after; the connections are the process's."""
        self._closed = True

    def _read(self, starts: Positions, stops: Positions) -> tuple[bytes, Positions]:
        """The bytes of some ranges back to back, and where each begins in them."""
        self._check(stops)
        ranges = requests(starts.tolist(), stops.tolist(), self._clients.get().settings.request_bytes)
        lengths = stops - starts
        return b"".join(self._fetch(ranges) if ranges else ()), np.cumsum(lengths) - lengths

    def _through(self, blocks: Blocks, starts: Positions, stops: Positions) -> tuple[bytes, Positions]:
        """The same, from the blocks that are kept."""
        self._check(stops)
        wanted = self._address.bucket, self._address.key, self._etag
        most = self._clients.get().settings.request_bytes
        parts = blocks.read(wanted, self._size, starts.tolist(), stops.tolist(), most, self._fetch)
        if parts is None:
            return self._read(starts, stops)
        lengths = stops - starts
        return b"".join(parts), np.cumsum(lengths) - lengths

    def _fetch(self, ranges: Sequence[tuple[int, int]]) -> list[Buffer]:
        return self._clients.get().read(self._address, ranges, self._etag, self._indexed, self._fast)

    def _check(self, stops: Positions) -> None:
        if self._closed:
            raise StorageError(f"{self._address.url} is closed")
        if int(stops.max()) > self._size:
            raise StorageError(
                f"{self._address.url} changed since it was indexed: byte {int(stops.max())} is asked for and it has "
                f"{self._size}; run `mixtera index` and compile again"
            )
