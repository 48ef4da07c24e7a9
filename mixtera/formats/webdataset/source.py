"""Bytes of a tar by position: those of a stream that is read forward, and those of a piece in memory."""

from __future__ import annotations

import os
from typing import BinaryIO, Final, Protocol

from mixtera.errors import SampleError
from mixtera.formats.opening import read_fully

WINDOW_BYTES: Final = 16 << 10
"""Bytes that are read at once: headers and small members mostly lie together, large ones are passed over."""
NO_HEADER: Final = "no header of a tar stands here"
PASSED_BYTES: Final = 1 << 20


class Source(Protocol):
    """Where the bytes of a tar come from."""

    label: str

    def read(self, at: int, count: int) -> bytes:
        """Bytes from a position on; fewer where it ends. Positions do not go back behind what was read before."""

    def broken(self, at: int, what: str) -> SampleError:
        """The error for something that is wrong at a position."""

    def no_header(self, at: int) -> SampleError:
        """The error for a position where a header should stand."""


class Piece:
    """A part of a tar in memory: the samples of one request."""

    def __init__(self, data: memoryview, label: str) -> None:
        self._data = data
        self.label = label

    def read(self, at: int, count: int) -> bytes:
        """Bytes from a position on; see `Source`."""
        return bytes(self._data[at : at + count])

    def broken(self, at: int, what: str) -> SampleError:
        """The error for something that is wrong; positions in a piece are none of the file."""
        return SampleError(f"{self.label}: {what}; the file changed since it was indexed, or is broken: index it again")

    def no_header(self, at: int) -> SampleError:
        """The error for a position where a header should stand."""
        return self.broken(at, NO_HEADER)


class Forward:
    """A stream, in windows.

    Args:
        stream: What is read, at its beginning.
        label: How messages name the file.
        size: Bytes of the file where the stream is the file itself, which is then sought; None for decompressed ones.
    """

    def __init__(self, stream: BinaryIO, label: str, size: int | None) -> None:
        self._stream = stream
        self._size = size
        self._window = b""
        self._first = 0
        self._read = 0
        self.label = label

    @property
    def reached(self) -> int:
        """Bytes that are there for sure: those of the file, or those that came from the stream so far."""
        return self._read if self._size is None else self._size

    def read(self, at: int, count: int) -> bytes:
        """Bytes from a position on; see `Source`."""
        begin = at - self._first
        if begin + count <= len(self._window):
            return self._window[begin : begin + count]
        if self._size is not None and self._size - at < count:
            count = max(0, self._size - at)
        kept = self._window[begin:] if begin < len(self._window) else b""
        if not kept:
            self._pass_over(at)
        more = read_fully(self._stream, max(count - len(kept), WINDOW_BYTES))
        self._read += len(more)
        self._window, self._first = kept + more, at
        return self._window[:count]

    def broken(self, at: int, what: str) -> SampleError:
        """The error for something that is wrong at a position."""
        return SampleError(f"{self.label}, byte {at:,}: {what}; copy or write it again")

    def no_header(self, at: int) -> SampleError:
        """The error for a position where a header should stand: at the beginning it may be another kind of file."""
        return self.broken(at, NO_HEADER) if at else SampleError(f"{self.label}: this is no tar")

    def rest_is_zero(self, at: int) -> bool:
        """Whether only zeros follow, to the end of the stream."""
        while data := self.read(at, PASSED_BYTES):
            if data.strip(b"\0"):
                return False
            at += len(data)
        return True

    def _pass_over(self, at: int) -> None:
        if self._size is not None:
            self._stream.seek(min(at, self._size), os.SEEK_SET)
            return
        while self._read < at and (data := self._stream.read(min(at - self._read, PASSED_BYTES))):
            self._read += len(data)
