"""What a file's content looks like, for the messages of errors: when a suffix lies, they say which format to write."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from mixtera.contracts.storage import FileInfo, Storage
from mixtera.errors import MixteraError, SampleError
from mixtera.formats.compression import Compression, plain_stream
from mixtera.formats.opening import open_unchanged, read_fully
from mixtera.registry import split_format

HEAD_BYTES: Final = 4096


@dataclass(frozen=True, slots=True)
class Look:
    """What the first bytes of a file tell.

    Attributes:
        words: What it looks like, in words.
        format: The name of the format that reads it; empty where none does.
        certain: Whether a magic number says so, and not just the way it looks.
    """

    words: str
    format: str = ""
    certain: bool = True


_MAGIC: Final = (
    (b"PAR1", Look("Parquet", "parquet")),
    (b"ARROW1", Look("an Arrow file", "arrow")),
    (b"\xff\xff\xff\xff", Look("an Arrow stream", "arrow")),
    (b"FEA1", Look("Feather version 1 (read it with pandas and write it again)")),
    (b"\x93NUMPY", Look("a numpy array", "tokens")),
    (b"MMIDIDX\0\0", Look("the index of a Megatron dataset (name the .bin beside it)", "megatron")),
    (b"PK\x03\x04", Look("a ZIP archive (unpack it)")),
    (b"\x02\x21\x4c\x18", Look("LZ4 of the legacy kind (compress it again without -l)")),
    (b"\x5d\x00\x00", Look("LZMA without a container (compress it again as .xz)")),
    (b"\xff\x06\x00\x00sNaPpY", Look("Snappy (compress it again with zstd)")),
    (b"\x78\x01", Look("zlib data (compress it again with gzip)")),
    (b"\x78\x9c", Look("zlib data (compress it again with gzip)")),
    (b"\x78\xda", Look("zlib data (compress it again with gzip)")),
    (b"7z\xbc\xaf\x27\x1c", Look("a 7-Zip archive (unpack it)")),
    (b"%PDF-", Look("a PDF document")),
    (b"Obj\x01", Look("an Avro file")),
    (b"ORC", Look("an ORC file")),
    (b"\x89HDF\r\n", Look("an HDF5 file")),
    (b"SQLite format 3\x00", Look("an SQLite database")),
    (b"\xff\xfe\0\0", Look("UTF-32 text (write it again as UTF-8)")),
    (b"\xff\xfe", Look("UTF-16 text (write it again as UTF-8)")),
    (b"\xfe\xff", Look("UTF-16 text (write it again as UTF-8)")),
    (
        b"version https://git-lfs.github.com/spec/",
        Look("a pointer of Git LFS, not the file (run `git lfs pull`)"),
    ),
)
_ALIKE: Final = {("csv", "text"), ("text", "csv"), ("text", "jsonl")}
"""(format named, what it looks like) that do not contradict each other."""
_TAR_AT: Final = 257
_READ_COMPRESSED: Final = ("webdataset",)
"""Formats with a magic number of which files are also read when they are compressed as a whole."""


def look_at(head: bytes) -> Look | None:
    """What decompressed first bytes look like; None where they say nothing."""
    if head[_TAR_AT : _TAR_AT + 5] == b"ustar" or _is_old_tar(head):
        return Look("a tar archive", "webdataset")
    found = next((look for magic, look in _MAGIC if head.startswith(magic)), None)
    return found or _text(head)


def _is_old_tar(head: bytes) -> bool:
    """Whether it is a tar of the kind that has no magic number, but a checksum."""
    from mixtera.formats.webdataset.header import is_header

    return is_header(head)


def _text(head: bytes) -> Look | None:
    text = head.decode("utf-8", "ignore").removeprefix("\ufeff")
    if not text.strip() or "\0" in text or len(text.encode()) < len(head) - 4:
        return None
    if text.lstrip().startswith("{"):
        return _json(text)
    if text.lstrip().startswith("["):
        return Look("one JSON array (write one object a line)", certain=False)
    if text.lstrip().lower().startswith(("<!doctype html", "<html")):
        return Look("an HTML page: was it downloaded behind a login?", certain=False)
    lines = text.splitlines()
    whole = lines[:-1] if len(head) == HEAD_BYTES else lines
    counts = {mark: {line.count(mark) for line in whole} for mark in "\t,;"}
    delimited = len(whole) > 1 and any(len(found) == 1 and found != {0} for found in counts.values())
    return Look("delimited text", "csv", False) if delimited else Look("plain text", "text", False)


def _json(text: str) -> Look:
    first = text.lstrip().partition("\n")[0]
    try:
        json.loads(first)
    except ValueError:
        if "\n" in text and first.rstrip().endswith(("{", "[", ",")):
            return Look("JSON over several lines (write one object a line)", certain=False)
    return Look("JSON lines", "jsonl", False)


def hint(storage: Storage, file: FileInfo, format_name: str, only_certain: bool = False) -> str:
    """A clause for an error message: what a file looks like, and what to write; empty if that is the format named.

    Args:
        storage: Where the file lies.
        file: The file.
        format_name: The format that it was read as.
        only_certain: Leave out what is only guessed.
    """
    look, compression = _looked(storage, file)
    format_name = split_format(format_name)[0]
    if look is None or (only_certain and not look.certain) or (format_name, look.format) in _ALIKE:
        return ""
    packed = f", compressed with {compression} as a whole" if compression else ""
    if look.format == format_name:
        unread = packed and look.certain and format_name not in _READ_COMPRESSED
        return f"its content is {look.words}{packed}: decompress it" if unread else ""
    advice = f": write `format: {look.format}` for the source" if look.format else ""
    return f"its content looks like {look.words}{packed}{advice}"


def unread_hint(storage: Storage, file: FileInfo) -> str:
    """The same clause where a text looks like what no format reads: a JSON array, a page of HTML; else empty."""
    look, _ = _looked(storage, file)
    return "" if look is None or look.format or look.certain else f"its content looks like {look.words}"


def _looked(storage: Storage, file: FileInfo) -> tuple[Look | None, Compression | None]:
    """What a file looks like, and how it is compressed; nothing of a file that cannot be read."""
    try:
        with open_unchanged(storage, file) as source, plain_stream(source, file) as (stream, compression):
            return look_at(read_fully(stream, HEAD_BYTES)), compression
    except MixteraError:
        return None, None


@contextmanager
def naming_the_content(storage: Storage, file: FileInfo, format_name: str) -> Iterator[None]:
    """Add to the error for a file that is not of its format what it looks like."""
    try:
        yield
    except SampleError as error:
        said = hint(storage, file, format_name)
        if not said:
            raise
        raise SampleError(f"{error}; {said}") from error
