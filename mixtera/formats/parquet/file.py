"""An open Parquet file, with errors that name it."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mixtera.contracts.storage import Expecting, FileInfo, RandomAccess, Storage
from mixtera.errors import MixteraError, SampleError, StorageError
from mixtera.formats.opening import changed, open_unchanged
from mixtera.formats.ranges import Positions, spans

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

READ_BYTES: Final = 128 << 10
"""Bytes of a column chunk that are read at once."""


@contextmanager
def parquet_errors(file: FileInfo) -> Iterator[None]:
    """Turn what pyarrow raises for a broken file into an error that names it."""
    try:
        yield
    except MixteraError:
        raise
    except OSError as error:
        if error.errno is not None:
            raise StorageError(f"{file.url} cannot be read: {error.strerror}") from error
        raise _broken(file, error) from error
    except pa.ArrowException as error:
        raise _broken(file, error) from error


def _broken(file: FileInfo, error: Exception) -> SampleError:
    reason = " ".join(str(error).split()).rstrip(".")
    return SampleError(f"{file.url} is no whole Parquet file: {reason}; it may be cut short: copy or write it again")


class AheadFile(io.RawIOBase):
    """A file of a storage that fetches ahead: what was asked for in one go is read from memory."""

    def __init__(self, access: RandomAccess, ahead: Expecting) -> None:
        self._access, self._ahead = access, ahead
        self._position = 0
        self._loaded: list[tuple[int, memoryview]] = []

    def expect(self, starts: Positions, stops: Positions) -> None:
        """Begin to fetch ranges, ascending, that will be loaded."""
        wanted = spans(starts, stops)
        self._ahead.expect(wanted.starts, wanted.stops)

    def load(self, starts: Positions, stops: Positions) -> None:
        """Have ranges, ascending, in memory, and none of those before."""
        self._loaded = []
        wanted = spans(starts, stops)
        for start, value in zip(wanted.starts.tolist(), self._access.gather(wanted.starts, wanted.stops), strict=True):
            self._loaded.append((start, memoryview(value.as_buffer()).cast("B")))

    def unload(self) -> None:
        """Let go of them."""
        self._loaded = []

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """The position."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go elsewhere; nothing is read."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._access.size}[whence]
        self._position = base + offset
        return self._position

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Fill a buffer as far as the file goes."""
        target = memoryview(buffer).cast("B")
        start, stop = self._position, min(self._position + len(target), self._access.size)
        if stop <= start:
            return 0
        target[: stop - start] = self._bytes(start, stop)
        self._position = stop
        return stop - start

    def close(self) -> None:
        """Release the file."""
        if not self.closed:
            self.unload()
            self._access.close()
        super().close()

    def _bytes(self, start: int, stop: int) -> memoryview:
        for first, data in self._loaded:
            if first <= start and stop <= first + len(data):
                return data[start - first : stop - first]
        return memoryview(self._access.gather(np.array([start]), np.array([stop]))[0].as_buffer()).cast("B")


def open_ahead(storage: Storage, file: FileInfo) -> AheadFile | None:
    """A file of a storage that fetches ahead; None for other storages.

    Raises:
        StorageError: It cannot be read, or has another size now.
    """
    if storage.profile().concurrency == 1:
        return None
    access = storage.random_access(file.url)
    if not isinstance(access, Expecting):
        access.close()
        return None
    if access.size != file.size:
        access.close()
        raise changed(file, access.size)
    return AheadFile(access, access)


def open_parquet(storage: Storage, file: FileInfo, ahead: AheadFile | None = None) -> pq.ParquetFile:
    """Open a file and read its footer; close the result with `force=True`.

    Args:
        storage: Where it lies.
        file: The file.
        ahead: What `open_ahead` has opened of it.

    Raises:
        SampleError: It is not Parquet, or cut short.
        StorageError: It cannot be read.
    """
    source = open_unchanged(storage, file) if ahead is None else ahead
    try:
        with parquet_errors(file):
            # with pre_buffer, the default, an open file keeps the bytes of the row group that it read last
            return pq.ParquetFile(
                pa.PythonFile(source, "r"),
                pre_buffer=False,
                buffer_size=READ_BYTES,
                page_checksum_verification=True,  # of files that have checksums, as those of Spark do: 4 GB/s
            )
    except MixteraError:
        source.close()
        raise
