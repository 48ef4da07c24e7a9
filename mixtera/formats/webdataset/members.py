"""Members of a tar one after the other, and the samples that they make.

What follows the library webdataset: the key of a member is its name up to the first dot behind the last slash, its
extension is the rest, in lower case. Consecutive members of one key are a sample. Members that are no files, that have
no dot or begin with one, and what lies in folders such as `__index__` belong to none.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from mixtera.formats.webdataset.header import (
    BLOCK,
    LONG_LINK,
    LONG_NAME,
    LONGEST_EXTENSION,
    PAX,
    PAX_FOR_ALL,
    REGULAR,
    SOLARIS_PAX,
    SPARSE,
    WITHOUT_DATA,
    ZEROS,
    Header,
    header_of,
    padded,
    pax_records,
)
from mixtera.formats.webdataset.source import Source

_NOT_OF_A_SAMPLE: Final = re.compile(rb"__[^/]*__($|/)")
LARGEST_BYTES: Final = 1 << 30
"""Bytes that a member which is read may have."""

_OF_SAMPLES: Final = REGULAR | {ord("1"), ord("2"), SPARSE}
_SPARSE_KEYS: Final = b"GNU.sparse."
_UNUSABLE: Final = {
    ord("1"): "is a hard link to another member (pack with `tar --hard-dereference`)",
    ord("2"): "is a symbolic link (pack with `tar --dereference`)",
    SPARSE: "is sparse (pack without `tar --sparse`)",
}
_CUT_SHORT: Final = "the tar is cut short: "


class Member(NamedTuple):
    """A member.

    Attributes:
        name: Its name, with folders.
        start: First byte of its header, and of what belongs to the header.
        data: First byte of its data.
        size: Bytes of its data.
        kind: What kind of member it is.
    """

    name: bytes
    start: int
    data: int
    size: int
    kind: int

    @property
    def stop(self) -> int:
        """Byte after its last block."""
        return self.data + padded(self.size)


@dataclass(slots=True)
class Sample:
    """Consecutive members of one key.

    Attributes:
        key: The key.
        start: First byte of the first member's header.
        stop: Byte after the last block of the last member.
        members: By extension, first byte and bytes of the data.
        data: By extension, the data of those that were asked for.
        unusable: By extension, why a member cannot be delivered.
    """

    key: bytes
    start: int
    stop: int
    members: dict[bytes, tuple[int, int]] = field(default_factory=dict)
    data: dict[bytes, bytes] = field(default_factory=dict)
    unusable: dict[bytes, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The key as text."""
        return self.key.decode("utf-8", "replace")

    def find(self, extensions: Sequence[bytes]) -> bytes | None:
        """The first of some extensions that it has a member of, usable or not."""
        return next((one for one in extensions if one in self.members or one in self.unusable), None)

    def add(self, extension: bytes, member: Member) -> None:
        """Take in its next member."""
        self.stop = member.stop
        if extension in self.members or extension in self.unusable:
            self.unusable[extension] = "is there twice"
        elif member.size > LARGEST_BYTES:
            self.unusable[extension] = f"has more than {LARGEST_BYTES >> 30} GiB"
        elif member.kind in REGULAR:
            self.members[extension] = (member.data, member.size)
        else:
            self.unusable[extension] = _UNUSABLE.get(member.kind, "is of an unknown kind")


class End(NamedTuple):
    """The end of a tar: the first byte of its zeros; −1 where its bytes just end."""

    at: int


def samples(source: Source, wanted: Collection[bytes], at: int = 0) -> Iterator[Sample | End]:
    """All samples from a header on, the last thing is the end.

    Args:
        source: The tar.
        wanted: Extensions of members of which the data are read.
        at: First byte of a header.

    Raises:
        SampleError: It is no tar, or broken.
        StorageError: It cannot be read.
    """
    sample: Sample | None = None
    for member in members(source, at):
        if isinstance(member, End):
            if sample is not None:
                yield sample
            yield member
            return
        named = split_name(member.name) if member.kind in _OF_SAMPLES else None
        if named is None:
            continue
        key, extension = named
        if sample is None or sample.key != key:
            if sample is not None:
                yield sample
            sample = Sample(key, member.start, member.stop)
        sample.add(extension, member)
        if extension in wanted and extension in sample.members and extension not in sample.unusable:
            data = source.read(member.data, member.size)
            if len(data) < member.size:
                raise cut_short(source, member)
            sample.data[extension] = data


def split_name(name: bytes) -> tuple[bytes, bytes] | None:
    """The key and the extension of a member; None if it belongs to no sample."""
    folder, slash, base = name.rpartition(b"/")
    stem, dot, extension = base.partition(b".")
    if not dot or not stem or (name.startswith(b"__") and is_meta(name)):
        return None
    return folder + slash + stem, extension.lower()


def is_meta(name: bytes) -> bool:
    """Whether a name is that of something about the whole tar, such as `__index__/x.json`."""
    return _NOT_OF_A_SAMPLE.match(name) is not None or (b"/" not in name and name.endswith(b"__"))


def members(source: Source, at: int = 0) -> Iterator[Member | End]:
    """All members from a header on, the last thing is the end.

    Raises:
        SampleError: It is no tar, or broken.
        StorageError: It cannot be read.
    """
    while True:
        block = source.read(at, BLOCK)
        if len(block) < BLOCK:
            if block:
                raise source.broken(at, f"{_CUT_SHORT}it ends within a header")
            yield End(-1)
            return
        if block == ZEROS:
            yield End(at)
            return
        header = header_of(block)
        if header is None:
            raise source.no_header(at)
        if header.kind in REGULAR:
            member = Member(header.name, at, at + BLOCK, header.size, header.kind)
        else:
            member = _special(source, at, header)
        yield member
        at = member.data + padded(member.size)


def _special(source: Source, start: int, header: Header) -> Member:
    """A member that is no plain file, or one whose header is more than a block."""
    at, name, records = start, b"", dict[bytes, bytes]()
    while header.kind in (LONG_NAME, LONG_LINK, PAX, SOLARIS_PAX, PAX_FOR_ALL):
        data = _data(source, at, header)
        if header.kind == LONG_NAME:
            name = data.partition(b"\0")[0]
        elif header.kind != LONG_LINK:
            found = _records(source, at, data)
            if header.kind != PAX_FOR_ALL:
                records |= found
            elif {b"path", b"size"} & found.keys():
                raise source.broken(at, "a PAX header for all members sets their path or size, which is not read")
        at += BLOCK + padded(header.size)
        header = _next_header(source, at)
    size = 0 if header.kind in WITHOUT_DATA else header.size
    kind = SPARSE if any(key.startswith(_SPARSE_KEYS) for key in records) else header.kind
    try:
        size = int(records.get(b"size", size)) if header.kind in REGULAR else size
    except ValueError as error:
        raise source.broken(start, f"the size in a PAX header is broken: {records[b'size']!r}") from error
    return Member(records.get(b"path") or name or header.name, start, at + BLOCK, size, kind)


def _data(source: Source, at: int, header: Header) -> bytes:
    if header.size > LONGEST_EXTENSION:
        raise source.broken(at, f"a header has {header.size:,} bytes of names, more than {LONGEST_EXTENSION:,}")
    data = source.read(at + BLOCK, header.size)
    if len(data) < header.size:
        raise source.broken(at, f"{_CUT_SHORT}it ends within a header")
    return data


def _records(source: Source, at: int, data: bytes) -> dict[bytes, bytes]:
    try:
        return pax_records(data)
    except ValueError as error:
        raise source.broken(at, str(error)) from error


def _next_header(source: Source, at: int) -> Header:
    block = source.read(at, BLOCK)
    if len(block) < BLOCK:
        raise source.broken(at, f"{_CUT_SHORT}it ends within a header")
    header = None if block == ZEROS else header_of(block)
    if header is None:
        raise source.broken(at, "no header of a tar stands here, behind that of a long name")
    return header


def cut_short(source: Source, member: Member) -> Exception:
    """The error for a member whose data are not all there."""
    name = member.name.decode("utf-8", "replace")
    return source.broken(member.start, f"{_CUT_SHORT}not all {member.size:,} bytes of {name!r} are there")
