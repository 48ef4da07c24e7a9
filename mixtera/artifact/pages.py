"""Long arrays of a plan in pages: each is fetched when a reader needs it, and kept in a file of the array's full size.

There is no map of what is there. `plan.json` vouches for a checksum of every page, and a page is there if what lies in
the file has its checksum: so what a process that was killed has half written counts as missing, as do holes, and two
processes that fetch the same page write the same bytes.
"""

from __future__ import annotations

import os
import weakref
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mixtera.errors import PlanError, StorageError
from mixtera.mapped import Index
from mixtera.order.permute import ranked
from mixtera.order.seats import Int64s

UInt32s: TypeAlias = npt.NDArray[np.uint32]

PAGE_BYTES: Final = 32 << 10
"""Small, since the order takes a few kilobytes each from places all over an array; a block of the S3 storage."""
SUMS: Final = "pages.u32"
"""The file with the checksums of all pages."""
NAMES: Final = ("rows.u16", "starts.u32", "starts.u64", "tokens.u32", "excluded.bits", "delivered.bits")
"""Arrays that may come in pages: they grow with samples, and are read at a few places at a time."""
_WRITTEN_BYTES: Final = 1 << 20
_LEAST_BYTES: Final = 8
_LOT_BYTES: Final = 32 << 20
"""What is read, or fetched, at a time."""


class Pages(msgspec.Struct, frozen=True):
    """What plan.json says of pages.

    Attributes:
        bytes: Of a page; the last one of an array is shorter.
        files: Arrays whose checksums lie in `SUMS`, one after the other.
        checksum: CRC-32 of `SUMS`.
    """

    bytes: int
    files: tuple[str, ...]
    checksum: int


@dataclass(frozen=True)
class Sums:
    """The checksums of an array's pages.

    Attributes:
        page_bytes: Bytes of a page.
        crc: [pages] CRC-32 of each.
    """

    page_bytes: int
    crc: UInt32s


class Source(Protocol):
    """Where the missing pages of an array come from."""

    @property
    def gap_bytes(self) -> int:
        """Missing pages that are closer are fetched as one range."""

    def gather(self, starts: Int64s, stops: Int64s) -> pa.LargeBinaryArray:
        """Ranges of the array's file, as `RandomAccess.gather` gives them.

        Raises:
            PlanError: The plan is not there any more.
            StorageError: They cannot be read.
        """

    def changed(self, name: str) -> PlanError:
        """The error for an array that is another one there."""


def write(directory: Path) -> Pages | None:
    """Write the checksums of the long arrays in a directory; None where no array is longer than a page."""
    files = [directory / name for name in NAMES if (directory / name).exists()]
    files = [file for file in files if file.stat().st_size > PAGE_BYTES]
    if not files:
        return None
    sums = np.concatenate([np.fromiter(_sums_of(file), np.uint32) for file in files]).astype("<u4").tobytes()
    (directory / SUMS).write_bytes(sums)
    return Pages(PAGE_BYTES, tuple(file.name for file in files), zlib.crc32(sums))


def _sums_of(path: Path) -> Iterator[int]:
    buffer = memoryview(bytearray(max(PAGE_BYTES, _WRITTEN_BYTES)))
    with path.open("rb") as file:
        while size := file.readinto(buffer):
            yield from _checksums(buffer[:size], PAGE_BYTES)


def _checksums(data: memoryview, page_bytes: int) -> list[int]:
    return [zlib.crc32(data[first : first + page_bytes]) for first in range(0, len(data), page_bytes)]


def sums_of(content: bytes, pages: Pages, sizes: Sequence[int]) -> dict[str, Sums] | None:
    """The checksums of each array's pages; None where `SUMS` is damaged.

    Args:
        content: That of `SUMS`.
        pages: What plan.json says.
        sizes: Bytes of each of its files.
    """
    if pages.bytes < _LEAST_BYTES or pages.bytes & (pages.bytes - 1):
        return None
    counts = [-(-size // pages.bytes) for size in sizes]
    if zlib.crc32(content) != pages.checksum or len(content) != 4 * sum(counts):
        return None
    edges = np.cumsum([0, *counts]).tolist()
    sums = np.frombuffer(content, "<u4")
    return {name: Sums(pages.bytes, sums[edges[i] : edges[i + 1]]) for i, name in enumerate(pages.files)}


class PagedArray:
    """An array of a plan whose pages are fetched when they are needed; indexed as a numpy array of one dimension.

    What indexing gives are numpy arrays. Threads, and processes that were forked, may share it.
    """

    def __init__(self, path: Path, dtype: str, sums: Sums, source: Source) -> None:
        """Open the file that keeps the pages.

        Args:
            path: The file, of the array's full size.
            dtype: Of its values.
            sums: Checksums of its pages.
            source: Where missing ones come from.

        Raises:
            StorageError: The file cannot be opened to write.
        """
        self._path, self._sums, self._page_bytes, self._source = path, sums.crc, sums.page_bytes, source
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            raise StorageError(f"{path} cannot be opened to keep pages of a plan: {error.strerror or error}") from error
        weakref.finalize(self, os.close, self._file).atexit = False
        self._values: npt.NDArray[Any] = np.asarray(np.memmap(path, dtype, mode="r"))
        self._page_values = self._page_bytes // self._values.itemsize
        self._is_here = np.zeros(len(sums.crc), np.bool_)
        """Pages that this process has found to be right."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values."""
        return self._values.dtype

    @property
    def nbytes(self) -> int:
        """Bytes of all values, here or not."""
        return self._values.nbytes

    def __len__(self) -> int:
        return len(self._values)

    def __getitem__(self, index: Index) -> npt.NDArray[Any]:
        """Values at some numbers, or of a slice; what is missing of them is fetched.

        Raises:
            PlanError: The plan is not there any more, or is another one.
            StorageError: It cannot be read, or there is no room for it.
        """
        if isinstance(index, slice):
            first, last, step = index.indices(len(self))
            first, last = (first, last) if step > 0 else (last + 1, first + 1)
            if first < last:
                self._need(np.arange(first // self._page_values, (last - 1) // self._page_values + 1))
        else:
            number = np.asarray(index)
            if number.min(initial=0) < 0:
                raise IndexError("values are numbered from 0")
            self._need(number.reshape(-1) // self._page_values)
        values: npt.NDArray[Any] = self._values[index]
        return values

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> npt.NDArray[Any]:
        """All of it."""
        return np.array(self[:], dtype, copy=copy)

    def load(self) -> None:
        """Fetch all pages that are missing."""
        self._need(np.arange(len(self._sums)))

    def _need(self, page: Int64s) -> None:
        here = self._is_here[page]
        if here.all():
            return
        missing, _ = ranked(page[~here])
        runs = list(_runs(missing, 0, self._lot_pages))
        wrong = [number for first, last in runs for number in self._wrong(first, last)]
        ranges = list(_runs(np.array(wrong, np.int64), self._source.gap_bytes // self._page_bytes, self._lot_pages))
        for lot in _lots(ranges, self._lot_pages):
            self._fetch(lot)

    @property
    def _lot_pages(self) -> int:
        return _LOT_BYTES // self._page_bytes

    def _wrong(self, first: int, last: int) -> list[int]:
        """Those of some pages that are not here; the others are noted."""
        try:
            data = os.pread(self._file, (last - first) * self._page_bytes, first * self._page_bytes)
        except OSError as error:
            raise StorageError(f"{self._path} cannot be read: {error.strerror or error}; remove it") from error
        right = self._check(memoryview(data), first, last)
        return [number for number in range(first, last) if not right[number - first]]

    def _check(self, data: memoryview, first: int, last: int) -> npt.NDArray[np.bool_]:
        found = np.array(_checksums(data, self._page_bytes), np.uint32)
        right: npt.NDArray[np.bool_] = np.zeros(last - first, np.bool_)
        right[: len(found)] = found == self._sums[first:last][: len(found)]
        self._is_here[first:last] |= right
        return right

    def _fetch(self, ranges: Sequence[tuple[int, int]]) -> None:
        edges = np.array(ranges, np.int64) * self._page_bytes
        edges = np.minimum(edges, self.nbytes)
        values = self._source.gather(edges[:, 0], edges[:, 1])
        for (first, last), value in zip(ranges, values, strict=True):
            data = memoryview(value.as_buffer())
            if _checksums(data, self._page_bytes) != self._sums[first:last].tolist():
                raise self._source.changed(self._path.name)
            self._keep(data, first * self._page_bytes)
            self._is_here[first:last] = True

    def _keep(self, data: memoryview, place: int) -> None:
        try:
            while data:
                written = os.pwrite(self._file, data, place)
                data, place = data[written:], place + written
        except OSError as error:
            raise StorageError(
                f"pages of a plan cannot be kept in {self._path}: {error.strerror or error}; make room there, or set "
                "MIXTERA_CACHE to another directory"
            ) from error


def _runs(numbers: Int64s, gap: int, most: int) -> Iterator[tuple[int, int]]:
    """Ascending numbers as ranges [first, last) of at most so many, gaps of so many included."""
    if not len(numbers):
        return
    heads = np.flatnonzero(np.diff(numbers) > gap + 1) + 1
    firsts, lasts = numbers[np.append(0, heads)].tolist(), numbers[np.append(heads - 1, len(numbers) - 1)].tolist()
    for first, last in zip(firsts, lasts, strict=True):
        for begin in range(first, last + 1, most):
            yield begin, min(begin + most, last + 1)


def _lots(ranges: Sequence[tuple[int, int]], most: int) -> Iterator[list[tuple[int, int]]]:
    """Ranges in lots of at most so many numbers; a range is never longer."""
    lot: list[tuple[int, int]] = []
    held = 0
    for first, last in ranges:
        if lot and held + last - first > most:
            yield lot
            lot, held = [], 0
        lot.append((first, last))
        held += last - first
    if lot:
        yield lot


Opener: TypeAlias = Callable[[str, int], Source]
"""From the name of an array's file, and its bytes, to where its pages come from."""
