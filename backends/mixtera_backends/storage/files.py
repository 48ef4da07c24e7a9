"""A file object over something that is read in ranges, such as an object of S3."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

FIRST_AHEAD_BYTES: Final = 64 << 10
MOST_AHEAD_BYTES: Final = 16 << 20


class Ranges(Protocol):
    """What a `RangesFile` reads."""

    @property
    def size(self) -> int:
        """Bytes of it."""

    def between(self, start: int, stop: int) -> bytes:
        """The bytes of one range."""

    def close(self) -> None:
        """Release it."""


class RangesFile(io.RawIOBase):
    """A file over ranges. The longer it is read without a jump, the more is read ahead."""

    def __init__(self, source: Ranges, align: int = 1) -> None:
        """Use a source; windows begin and end at multiples of `align` bytes, or at the end of the file."""
        self._source, self._align = source, align
        self._position = 0
        self._window, self._window_start = b"", 0
        self._ahead = 0

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
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._source.size}[whence]
        if base + offset < 0:
            raise ValueError(f"position {base + offset} is before the beginning")
        self._position = base + offset
        return self._position

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Fill a buffer as far as the file goes."""
        target = memoryview(buffer).cast("B")
        wanted = max(0, min(len(target), self._source.size - self._position))
        done = 0
        while done < wanted:
            begin = self._position - self._window_start
            if not 0 <= begin < len(self._window):
                self._load(wanted - done)
                continue
            part = self._window[begin : begin + wanted - done]
            target[done : done + len(part)] = part
            done += len(part)
            self._position += len(part)
        return done

    def close(self) -> None:
        """Release the source."""
        if not self.closed:
            self._window = b""
            self._source.close()
        super().close()

    def _load(self, wanted: int) -> None:
        """Read what is wanted, and ahead of it where the last window was read to its end."""
        goes_on = self._position == self._window_start + len(self._window)
        self._ahead = min(max(2 * self._ahead, FIRST_AHEAD_BYTES), MOST_AHEAD_BYTES) if goes_on else 0
        last = self._position + max(wanted, self._ahead)
        start = self._position // self._align * self._align
        stop = min(self._source.size, -(-last // self._align) * self._align)
        self._window = self._source.between(start, stop)
        self._window_start = start


def requests(starts: Sequence[int], stops: Sequence[int], most: int) -> list[tuple[int, int]]:
    """Ranges cut into requests of at most so many bytes; empty ones need none."""
    return [
        (first, min(first + most, stop))
        for start, stop in zip(starts, stops, strict=True)
        for first in range(start, stop, most)
    ]
