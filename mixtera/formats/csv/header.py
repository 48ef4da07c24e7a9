"""The header row of delimited text: the names of the fields and what stands between them."""

from __future__ import annotations

import codecs
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa

from mixtera.contracts.format import ContentColumn
from mixtera.contracts.storage import FileInfo
from mixtera.errors import SampleError
from mixtera.formats.csv.decode import decode
from mixtera.formats.csv.records import field_counts, find_records
from mixtera.formats.paths import split_elements

LONGEST_HEADER: Final = 1 << 20
"""Bytes a header may have."""

_DELIMITERS: Final = {",": "a comma", "\t": "a tab", ";": "a semicolon"}
_WIDE_MARKS: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(frozen=True, slots=True)
class Header:
    """The header of a file.

    Attributes:
        names: Names of the fields, in their order.
        delimiter: What stands between fields.
        length: Bytes before the first record: a byte order mark, the header and its line end.
    """

    names: tuple[str, ...]
    delimiter: str
    length: int

    def find(self, path: str) -> int | None:
        """The place of a field, by its name as it stands in the header or by a path with that one key; or None."""
        if path in self.names:
            return self.names.index(path)
        keys, *elements = split_elements(path)
        if elements:
            raise SampleError(f"{path!r} takes the elements of a list, and a field of a CSV file holds no list")
        return self.names.index(keys[0]) if len(keys) == 1 and keys[0] in self.names else None

    def content(self, file: FileInfo, content: Sequence[ContentColumn]) -> list[int]:
        """The places of the content fields.

        Raises:
            SampleError: One is not in the header.
        """
        places = []
        for column in content:
            place = self.find(column.path)
            if place is None:
                shown = ", ".join(repr(name) for name in self.names[:20])
                raise SampleError(
                    f"{file.url}: the header names no field {column.path!r}; it names {shown} (with "
                    f"{_DELIMITERS[self.delimiter]} between fields). The first row of a file must be its header"
                )
            places.append(place)
        return places


def parse_header(head: bytes, whole: bool, file: FileInfo) -> Header | None:
    """The header at the beginning of a file.

    Args:
        head: The first bytes of the file.
        whole: Whether they are all of it.
        file: The file, for messages.

    Returns:
        The header; None where the bytes do not hold all of it, or where the whole file is empty.

    Raises:
        SampleError: It is no header.
    """
    if head.startswith(_WIDE_MARKS):
        raise SampleError(f"{file.url} is UTF-16 by its byte order mark: write it again as UTF-8")
    mark = len(codecs.BOM_UTF8) if head.startswith(codecs.BOM_UTF8) else 0
    stop = _record_stop(head, mark)
    if stop is None and len(head) > LONGEST_HEADER:
        raise SampleError(f"{file.url}: the header does not end within 1 MiB: is a quote never closed?")
    if stop is None and not whole:
        return None
    line = head[mark:stop]
    if not line:
        return None
    delimiter = _delimiter(line, file)
    return Header(_names(line, delimiter, file), delimiter, mark + len(line))


def _record_stop(head: bytes, first: int) -> int | None:
    """The byte after the first newline outside of quotes."""
    place = head.find(b"\n", first)
    quotes, counted = 0, first
    while place >= 0:
        quotes += head.count(b'"', counted, place)
        if quotes % 2 == 0:
            return place + 1
        counted, place = place, head.find(b"\n", place + 1)
    return None


def _delimiter(line: bytes, file: FileInfo) -> str:
    """The suffix's own delimiter where the header holds it, else the only one that it holds, else a comma.

    Raises:
        SampleError: It holds several, and not that of the suffix.
    """
    unquoted = b"".join(line.split(b'"')[::2])
    held = [candidate for candidate in _DELIMITERS if candidate.encode() in unquoted]
    own = "\t" if ".tsv" in file.url.lower().rsplit("/", 1)[-1] else ","
    if own in held or not held:
        return own
    if len(held) > 1:
        names = " and ".join(_DELIMITERS[candidate] for candidate in held)
        raise SampleError(
            f"{file.url}: the header holds {names}, so what stands between fields is not clear: put names that hold "
            "one of them in quotes"
        )
    return held[0]


def _names(line: bytes, delimiter: str, file: FileInfo) -> tuple[str, ...]:
    data = np.frombuffer(line, np.uint8)
    records = find_records(data, delimiter, True)
    if records.broken:
        raise SampleError(f"{file.url}: the header cannot be read: {next(iter(records.broken.values()))}")
    if not line.strip():
        raise SampleError(f"{file.url}: the first line is blank; it must be the header, which names the fields")
    try:
        count = int(field_counts(data, records, delimiter)[0])
        fields = decode(pa.py_buffer(line), count, delimiter, range(count), pa.string())
    except pa.ArrowInvalid as error:
        raise SampleError(f"{file.url}: the header is not valid UTF-8: write the file again as UTF-8") from error
    names = tuple(field[0].as_py() or "" for field in fields)
    twice = [name for name, count in Counter(names).items() if name and count > 1]
    if twice:
        raise SampleError(f"{file.url}: the header names {twice[0]!r} more than once: give the fields different names")
    return names
