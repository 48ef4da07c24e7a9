"""The decompressed bytes of a file while it is indexed, and where its frames begin."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, Final, cast

import numpy as np
import numpy.typing as npt

from mixtera.contracts.storage import FileInfo
from mixtera.formats.compression import HEAD_BYTES, Compression, broken, plain_stream, sniff
from mixtera.formats.framed.codec import FRAMED, CodecError, Decoder, decoder, step

SMALLEST_BYTES: Final = 1 << 19
"""Decompressed bytes from which frames are a piece of their own; smaller ones that follow each other are one piece."""
LARGEST_BYTES: Final = 32 << 20
"""Files with a larger piece than this cannot be entered: a reader holds some pieces in memory."""

_FIRST_READ_BYTES: Final = 4 << 10
_READ_BYTES: Final = 256 << 10
_STEP_BYTES: Final = 1 << 20
"""Bytes that a step is to decompress, about: as much is read as gave that much before."""

Positions = npt.NDArray[np.int64]


class FrameStream:
    """Decompresses a file from its beginning and notes where its frames begin; a `BinaryIO` for those who read.

    Args:
        source: The open file, at its beginning.
        compression: One of `FRAMED`.
        file: The file, for messages.
    """

    def __init__(self, source: BinaryIO, compression: Compression, file: FileInfo) -> None:
        self._source, self._compression, self._file = source, compression, file
        self._decoder: Decoder | None = None
        self._rest = b""
        self._ready = memoryview(b"")
        self._read_bytes = _FIRST_READ_BYTES
        self._packed = self._plain = 0  # bytes taken from the file, and given by decoders
        self._starts: list[tuple[int, int]] = []
        self._rows: list[int] = []
        self._counted = 0  # the piece that the record counted last begins in

    def readinto(self, target: memoryview) -> int:
        """Fill some memory with the next bytes; returns how many, 0 at the end.

        Raises:
            SampleError: The compressed data are cut short or broken.
        """
        while not self._ready:
            if not self._advance():
                return 0
        count = min(len(target), len(self._ready))
        target[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        return count

    def read(self, size: int) -> bytes:
        """The next bytes, `size` at most; none at the end."""
        target = bytearray(size)
        return bytes(target[: self.readinto(memoryview(target))])

    def count(self, starts: Positions) -> None:
        """Count records by the piece that they begin in.

        Args:
            starts: First byte of each, ascending and behind those counted before; all of them were read.
        """
        pieces = np.array([plain for _, plain in self._starts[self._counted :]])
        inside = np.searchsorted(pieces, starts, side="right") - 1
        for piece, rows in enumerate(np.bincount(inside).tolist(), self._counted):
            self._rows[piece] += rows
        self._counted += int(inside[-1]) if len(inside) else 0

    def pieces(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """After the end: rows of each piece that has some, and the pairs of `FileFacts.frames`.

        Both are empty where the file cannot be entered but at its beginning, or a piece is too large.
        """
        table = np.array([*self._starts, (self._packed, self._plain)], np.int64)
        table = table[np.diff(table[:, 1], append=self._plain + 1) > 0]  # what holds nothing goes with what is before
        if len(table) < 3 or int(np.diff(table[:, 1]).max()) > LARGEST_BYTES:
            return (), ()
        return tuple(rows for rows in self._rows if rows), tuple(table.ravel().tolist())

    def _advance(self) -> bool:
        """Decompress some more; False at the end of the file."""
        data = self._rest or self._source.read(self._read_bytes)
        try:
            if not data:
                if self._decoder is not None:
                    raise CodecError("the file ends inside a frame")
                return False
            self._check_follows(data)
            self._ready = memoryview(self._step(self._decoder or self._begun(), data))
        except CodecError as error:
            raise broken(self._file, error) from error
        return True

    def _check_follows(self, data: bytes) -> None:
        """Refuse what is no frame behind whole ones; a magic number of which less is there than is looked at passes."""
        behind = self._packed and self._decoder is None
        if behind and len(data) >= HEAD_BYTES and sniff(data[:HEAD_BYTES]) != self._compression:
            raise CodecError(
                f"behind byte {self._packed:,}, where the data end, stands something else: padding, or another file"
            )

    def _begun(self) -> Decoder:
        """Begin a frame."""
        if not self._starts or self._plain - self._starts[-1][1] >= SMALLEST_BYTES:
            self._starts.append((self._packed, self._plain))
            self._rows.append(0)
        return decoder(self._compression)

    def _step(self, frame: Decoder, data: bytes) -> bytes:
        plain = step(frame, data)
        self._decoder, self._rest = (None, frame.unused_data) if frame.eof else (frame, b"")
        taken = len(data) - len(self._rest)
        self._packed += taken
        self._plain += len(plain)
        wanted = taken * _STEP_BYTES // max(1, len(plain))
        self._read_bytes = min(max(wanted, _FIRST_READ_BYTES), _READ_BYTES)
        return plain


@contextmanager
def frame_stream(source: BinaryIO, file: FileInfo) -> Iterator[tuple[BinaryIO, Compression | None]]:
    """As `plain_stream`; the stream is a `FrameStream` where frames can be told apart.

    Raises:
        SampleError: The compressed data are cut short or broken; also while the stream is read inside the `with`.
        StorageError: The file cannot be read.
    """
    with plain_stream(source, file) as (stream, compression):
        if compression not in FRAMED:
            yield stream, compression
            return
        source.seek(0)
        yield cast(BinaryIO, FrameStream(source, compression, file)), compression
