"""Stripes that one process keeps: a temporary file without a name, written round and round."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, BinaryIO

from mixtera.errors import MixteraError, StorageError
from mixtera.formats.temporary import SIZE_VARIABLE as SPOOL_SIZE_VARIABLE
from mixtera.formats.temporary import SPOOL_VARIABLE, spool_directory, unnamed_file
from mixtera_backends.storage.s3.blocks import SIZE_VARIABLE
from mixtera_backends.storage.s3.stretches import Stripe

if TYPE_CHECKING:
    from mixtera_backends.storage.s3.clients import Buffer


class Ring:
    """What was written first makes room: windows of samples are used up in the order in which they are begun."""

    def __init__(self, capacity_bytes: int) -> None:
        self.capacity_bytes, self.is_shared = capacity_bytes, False
        self._kept: dict[Stripe, int] = {}
        self._writing: dict[Stripe, int] = {}
        self._at = 0
        self._file: BinaryIO | None = None
        self._closed: weakref.finalize[..., Ring] | None = None
        self._lock = threading.Lock()

    @property
    def reading(self) -> threading.Lock:
        """See `Keeper.reading`: nothing is overwritten while it is held."""
        return self._lock

    def holds(self, stripe: Stripe) -> bool:
        """Whether a stripe is kept now."""
        return stripe in self._kept

    def have(self, stripe: Stripe, read: Callable[[], Iterator[Buffer]]) -> None:
        """Read a stripe and keep it, unless another one is being written where it would be; see `Keeper.have`."""
        try:
            with self._lock:
                file = self._opened().fileno()
                place = self._room(_bytes(stripe))
                if place is None:
                    return
                self._writing[stripe] = place
            is_written = False
            try:
                write(file, read(), place)
                is_written = True
            finally:
                with self._lock:
                    del self._writing[stripe]
                    if is_written:
                        self._kept[stripe] = place
        except OSError as error:
            if isinstance(error, MixteraError):
                raise
            self._forget()
            raise cannot_be_kept(spool_directory(), error) from error

    def places(self, stripes: Sequence[Stripe]) -> list[tuple[int, int] | None]:
        """See `Keeper.places`."""
        if self._file is None:
            return [None] * len(stripes)
        file = self._file.fileno()
        return [None if (place := self._kept.get(stripe)) is None else (file, place) for stripe in stripes]

    def _room(self, size: int) -> int | None:
        """Where a stripe of some bytes may be written; None where something is being written there."""
        place = self._at if self._at + size <= self.capacity_bytes else 0
        stop = place + size
        if size > self.capacity_bytes or any(
            first < stop and place < first + _bytes(stripe) for stripe, first in self._writing.items()
        ):
            return None
        for stripe, first in list(self._kept.items()):  # all: several threads write, so they stand in no order
            if first < stop and place < first + _bytes(stripe):
                del self._kept[stripe]
        self._at = stop
        return place

    def _opened(self) -> BinaryIO:
        if self._file is None:
            self._file = unnamed_file(spool_directory())
            self._closed = weakref.finalize(self, self._file.close)
        return self._file

    def _forget(self) -> None:
        with self._lock:
            self._kept.clear()
            self._at = 0


def write(file: int, parts: Iterator[Buffer], place: int) -> int:
    """Write parts one after the other, from a place on; returns their bytes.

    Raises:
        OSError: There is no room, or what reading them raises.
    """
    first = place
    for part in parts:
        data = memoryview(part).cast("B")
        while data:
            written = os.pwrite(file, data, place)
            data, place = data[written:], place + written
    return place - first


def cannot_be_kept(directory: str, error: OSError, is_shared: bool = False) -> StorageError:
    """The error for what the local disk does not take."""
    fewer = f"{SPOOL_SIZE_VARIABLE} to fewer bytes ({SIZE_VARIABLE}=0: none)" if is_shared else ""
    return StorageError(
        f"blocks of S3 objects cannot be kept in {directory}: {error.strerror}; make room there, set "
        f"{SPOOL_VARIABLE} to another directory, or {fewer or f'{SIZE_VARIABLE} to fewer mebibytes, 0 for none'}"
    )


def _bytes(stripe: Stripe) -> int:
    return stripe.stop - stripe.start
