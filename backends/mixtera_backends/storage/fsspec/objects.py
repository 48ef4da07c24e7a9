"""A file of fsspec, read in ranges."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mixtera.errors import StorageError
from mixtera.formats.ranges import gathered
from mixtera_backends.storage.files import requests
from mixtera_backends.storage.fsspec.address import Address, located
from mixtera_backends.storage.fsspec.failures import asked, is_temporary, reason_of

if TYPE_CHECKING:
    from mixtera.contracts.storage import Options

GAP_BYTES: Final = 64 << 10
REQUEST_BYTES: Final = 4 << 20
CONCURRENCY: Final = 8

Positions = npt.NDArray[np.int64]


class FsspecFile:
    """A `RandomAccess` to a file. It holds no connection: each read asks fsspec for that of its process."""

    def __init__(self, address: Address, options: Options, size: int) -> None:
        self._address, self._options, self._size = address, options, size
        self._closed = False

    @property
    def size(self) -> int:
        """Bytes in the file when it was opened."""
        return self._size

    def gather(self, starts: Positions, stops: Positions) -> pa.LargeBinaryArray:
        """Read many ranges in one go; see `RandomAccess.gather`."""
        return gathered(self._address.url, starts, stops, GAP_BYTES, self._read)

    def between(self, start: int, stop: int) -> bytes:
        """The bytes of one range."""
        return self._read(np.array([start]), np.array([stop]))[0]

    def close(self) -> None:
        """Refuse what comes after."""
        self._closed = True

    def _read(self, starts: Positions, stops: Positions) -> tuple[bytes, Positions]:
        """The bytes of some ranges back to back, and where each begins in them."""
        url = self._address.url
        if self._closed:
            raise StorageError(f"{url} is closed")
        if int(stops.max()) > self._size:
            raise StorageError(
                f"{url} changed since it was indexed: byte {int(stops.max())} is asked for and it has {self._size}; "
                "run `mixtera index` and compile again"
            )
        ranges = requests(starts.tolist(), stops.tolist(), REQUEST_BYTES)
        lengths = stops - starts
        return b"".join(self._fetched(ranges) if ranges else ()), np.cumsum(lengths) - lengths

    def _fetched(self, ranges: list[tuple[int, int]]) -> list[bytes]:
        """The bytes of ranges, many at a time; those that failed are asked for again."""
        found = dict[int, bytes]()

        def ask() -> None:
            missing = [number for number in range(len(ranges)) if number not in found]
            answers = self._answers([ranges[number] for number in missing])
            failures = list[BaseException]()
            for number, answer in zip(missing, answers, strict=True):
                if isinstance(answer, BaseException):
                    failures.append(answer)
                else:
                    found[number] = self._checked(answer, *ranges[number])
            if failures:  # one that stays is told at once
                raise next((error for error in failures if not is_temporary(reason_of(error))), failures[0])

        asked(self._address.url, ask)
        return [found[number] for number in range(len(ranges))]

    def _answers(self, ranges: list[tuple[int, int]]) -> list[bytes | BaseException]:
        system, path = located(self._address, self._options)
        more = {"batch_size": CONCURRENCY} if system.async_impl else {}
        return list(
            system.cat_ranges(
                [path] * len(ranges), [a for a, _ in ranges], [b for _, b in ranges], on_error="return", **more
            )
        )

    def _checked(self, data: bytes, start: int, stop: int) -> bytes:
        if len(data) == stop - start:
            return data
        if len(data) == self._size:
            raise StorageError(
                f"{self._address.url}: the server sends the whole file where a range is asked for; copy it to a disk"
            )
        raise StorageError(
            f"{self._address.url} changed while it was read, or was cut: {len(data)} bytes came where {stop - start} "
            "were asked for; run `mixtera index` and compile again"
        )
