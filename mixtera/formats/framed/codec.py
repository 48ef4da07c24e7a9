"""One frame after the other: decoders that tell where a frame ends, and whole frames at once."""

from __future__ import annotations

import bz2
import lzma
import zlib
from typing import Final, Protocol, cast

import numpy as np
import numpy.typing as npt

from mixtera.formats.compression import Compression, sniff

FRAMED: Final[frozenset[Compression]] = frozenset({"gzip", "zstd", "bz2", "xz"})
"""Compressions whose frames (gzip members, bz2 and xz streams) are told apart; LZ4 is not among them."""

_GZIP_WINDOW: Final = 31

Bytes = npt.NDArray[np.uint8]


class CodecError(Exception):
    """Compressed bytes that are broken; says why."""


class Decoder(Protocol):
    """Decompresses one frame, and leaves what stands behind it."""

    def decompress(self, data: bytes) -> bytes:
        """What the next bytes of the frame hold, as far as it is known."""

    @property
    def eof(self) -> bool:
        """Whether the frame has ended."""

    @property
    def unused_data(self) -> bytes:
        """Bytes behind the end of the frame."""


def decoder(compression: Compression) -> Decoder:
    """A decoder for the next frame."""
    if compression == "gzip":
        return zlib.decompressobj(_GZIP_WINDOW)
    if compression == "bz2":
        return bz2.BZ2Decompressor()
    if compression == "xz":
        return lzma.LZMADecompressor(lzma.FORMAT_XZ)
    import zstandard

    return cast(Decoder, zstandard.ZstdDecompressor().decompressobj())


def step(of: Decoder, data: bytes) -> bytes:
    """`Decoder.decompress`, whatever the library calls its errors.

    Raises:
        CodecError: The bytes are broken.
    """
    import zstandard

    try:
        return of.decompress(data)
    except (zlib.error, lzma.LZMAError, OSError, zstandard.ZstdError) as error:
        raise CodecError(str(error)) from error


def unpack(data: memoryview, target: Bytes) -> None:
    """Decompress whole frames into memory of exactly their size.

    Raises:
        CodecError: They are cut short or broken, or have another size.
    """
    compression = sniff(bytes(data[:6]))
    if compression not in FRAMED:
        raise CodecError("no frame begins here")
    count = _unpack_zstd(data, target) if compression == "zstd" else _unpack(compression, data, target)
    if count != len(target):
        raise CodecError(f"they hold {count:,} bytes instead of {len(target):,}")


def _unpack_zstd(data: memoryview, target: Bytes) -> int:
    """Straight into the target: an intermediate copy costs a quarter of decompressing."""
    import zstandard

    room, filled = target.data, 0
    try:
        with zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True) as reader:
            while filled < len(room) and (count := reader.readinto(room[filled:])):
                filled += count
            return filled + len(reader.read(1))  # also reads the last frame's checksum
    except zstandard.ZstdError as error:
        raise CodecError(str(error)) from error


def _unpack(compression: Compression, data: memoryview, target: Bytes) -> int:
    room, filled = target.data, 0
    rest = bytes(data)
    while rest:
        frame = decoder(compression)
        plain = step(frame, rest)
        if not frame.eof or filled + len(plain) > len(room):
            raise CodecError("they are cut short" if not frame.eof else "they hold more bytes than before")
        room[filled : filled + len(plain)] = plain
        filled += len(plain)
        rest = frame.unused_data
    return filled
