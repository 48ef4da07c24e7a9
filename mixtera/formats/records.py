"""The records of an open file, by byte offset: those of a compressed file by its frames, or by a decompressed copy."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt

from mixtera.contracts.format import ReadRequest
from mixtera.contracts.storage import Expecting, FileInfo, RandomAccess, Storage
from mixtera.errors import SampleError, StorageError
from mixtera.formats.compression import compression_of
from mixtera.formats.framed.file import BrokenFrameError, FramedFile
from mixtera.formats.spool import spooled


class OpenRecords:
    """Random access to the plain bytes of a file; `close` releases it, and a copy with its last reader.

    Args:
        storage: Where it lies.
        file: The file.
        frames: Where it can be entered; see `mixtera.contracts.format.Framed`. None: it is plain, or has one copy.
        cache_bytes: Bytes of decompressed frames that are kept.
    """

    def __init__(
        self,
        storage: Storage,
        file: FileInfo,
        frames: npt.NDArray[np.int64] | None = None,
        cache_bytes: int = 0,
    ) -> None:
        self._url = file.url
        self._shared = frames is None and compression_of(storage, file) is not None
        self._access: RandomAccess | None
        if frames is not None:
            self._access = FramedFile(storage, file, frames, cache_bytes)
        else:
            self._access = spooled(storage, file) if self._shared else storage.random_access(file.url)

    @property
    def access(self) -> RandomAccess:
        """The bytes.

        Raises:
            StorageError: It is closed.
        """
        if self._access is None:
            raise StorageError(f"{self._url} is closed")
        return self._access

    def expect(self, starts: npt.NDArray[np.int64], stops: npt.NDArray[np.int64]) -> None:
        """Begin to fetch records, where the storage does so; a line end that the last has not is not asked for."""
        access = self.access
        ahead: object = access
        if isinstance(ahead, Expecting):
            ahead.expect(starts, np.minimum(stops, max(access.size, int(stops[-1]) - 1)))

    def unpack(
        self, starts: npt.NDArray[np.int64], stops: npt.NDArray[np.int64], unpacker: Executor, most_bytes: int
    ) -> int:
        """Let another thread decompress what records need, where they lie in frames; see `FramedFile.unpack`."""
        access = self.access
        return access.unpack(starts, stops, unpacker, most_bytes) if isinstance(access, FramedFile) else 0

    @property
    def held_bytes(self) -> int:
        """Bytes of decompressed frames that are kept in memory."""
        return self._access.held_bytes if isinstance(self._access, FramedFile) else 0

    @property
    def spooled_bytes(self) -> int:
        """Bytes of the decompressed copy; 0 where there is none."""
        return self._access.size if self._access is not None and self._shared else 0

    @contextmanager
    def naming(self, record: str, request: ReadRequest | None = None) -> Iterator[None]:
        """Turn what goes wrong with a frame into an error that names the first record that needs it.

        Args:
            record: What a record is called.
            request: What is read; None where it is no record.

        Raises:
            SampleError: A frame cannot be decompressed.
        """
        try:
            yield
        except BrokenFrameError as error:
            place = ""
            if request is not None:
                at = min(int(np.searchsorted(request.stops, error.start, side="right")), len(request.rows) - 1)
                place = f", {record} {request.rows[at] + 1}"
            raise SampleError(
                f"{self._url}{place}: the compressed data are broken: what begins at byte {error.start:,} of the "
                f"content cannot be decompressed ({error.reason}); copy or compress the file again, and index it"
            ) from error

    def close(self) -> None:
        """Release the file."""
        if self._access is not None and not self._shared:
            self._access.close()
        self._access = None
