"""Headers of a tar: what one block of 512 bytes says of a member, and the longer names that GNU and PAX write."""

from __future__ import annotations

import zlib
from typing import Final, NamedTuple

BLOCK: Final = 512
ZEROS: Final = bytes(BLOCK)

REGULAR: Final = frozenset(b"\x0007")
"""Kinds of members that are files with data."""
WITHOUT_DATA: Final = frozenset(b"123456")
"""Kinds of members that have none: links, devices, directories, pipes."""
LONG_NAME: Final = ord("L")
LONG_LINK: Final = ord("K")
PAX: Final = ord("x")
SOLARIS_PAX: Final = ord("X")
PAX_FOR_ALL: Final = ord("g")
SPARSE: Final = ord("S")

LONGEST_EXTENSION: Final = 1 << 20
"""Bytes that a long name, or PAX records, may have."""

_ADLER: Final = 65521
_MAGIC: Final = slice(257, 263)
_POSIX: Final = b"ustar\0"
_BINARY: Final = 0x80


class Header(NamedTuple):
    """One header block: the name as it stands there, the bytes of data that follow, the kind of member."""

    name: bytes
    size: int
    kind: int


def header_of(block: bytes) -> Header | None:
    """Read a header; None if the block is none: its checksum is another, or a number in it is broken.

    Args:
        block: 512 bytes that are not all zero.
    """
    try:
        if not _checksum_fits(block):
            return None
        size = number(block[124:136])
    except ValueError:
        return None
    name = block[:100].partition(b"\0")[0]
    if block[345] and block[_MAGIC] == _POSIX:
        name = block[345:500].partition(b"\0")[0] + b"/" + name
    return Header(name, size, block[156])


def number(field: bytes) -> int:
    """A number of a header: octal digits, or, with the highest bit set, binary.

    Raises:
        ValueError: It is none, or negative.
    """
    if field[0] & _BINARY:
        found = int.from_bytes(field, "big") - (_BINARY << 8 * (len(field) - 1))
        if field[0] != _BINARY:
            raise ValueError(f"{found} is out of range")
        return found
    found = int(field.partition(b"\0")[0].strip() or b"0", 8)
    if found < 0:
        raise ValueError(f"{found} is negative")
    return found


def padded(size: int) -> int:
    """Bytes of whole blocks."""
    return -(-size // BLOCK) * BLOCK


def is_header(block: bytes) -> bool:
    """Whether some bytes begin with a header of a tar, of any age: those of 1979 have no magic number."""
    if len(block) < BLOCK or not block[0]:
        return False
    return header_of(block[:BLOCK]) is not None


def _checksum_fits(block: bytes) -> bool:
    """Whether the bytes of a header add up to its checksum, in which its own eight count as blanks.

    `adler32` holds the sum of all bytes in its lower half, at a tenth of what `sum` takes.
    """
    field = block[148:156]
    told = number(field)
    blanks = 8 * ord(" ") - sum(field)
    if (zlib.adler32(block) & 0xFFFF) == (1 + told - blanks) % _ADLER:
        return True
    signed = sum(byte - 256 if byte > 127 else byte for byte in block[:148] + block[156:])
    return signed + 8 * ord(" ") == told  # some old writers took bytes for signed


def pax_records(data: bytes) -> dict[bytes, bytes]:
    """The records of a PAX header, `length key=value` each.

    Raises:
        ValueError: They are broken.
    """
    found: dict[bytes, bytes] = {}
    at = 0
    while at < len(data) and data[at]:
        blank = data.find(b" ", at)
        if blank < 0:
            raise ValueError("a record of a PAX header has no length")
        stop = at + int(data[at:blank])
        key, equals, value = data[blank + 1 : stop - 1].partition(b"=")
        if stop > len(data) or stop <= blank or not equals or data[stop - 1 : stop] != b"\n":
            raise ValueError("a record of a PAX header is broken")
        found[key] = value
        at = stop
    return found
