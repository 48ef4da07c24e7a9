"""The content columns of samples in memory: each member is copied once, to where its column holds it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Final

import numpy as np
import pyarrow as pa

from mixtera.arrow import strings
from mixtera.contracts.format import ContentColumn
from mixtera.errors import SampleError
from mixtera.formats.jsonl.layout import column
from mixtera.formats.webdataset.fields import Field, field_of
from mixtera.formats.webdataset.locate import Bytes, Places, Positions, locate
from mixtera.formats.webdataset.members import End, Sample, samples
from mixtera.formats.webdataset.page import Page
from mixtera.formats.webdataset.samples import Document, documents
from mixtera.formats.webdataset.source import Piece

_LONGEST: Final = 2**31 - 1
"""Bytes that the offsets of `string` and `binary` reach."""

_field_of = lru_cache(field_of)


class _Located:
    """The samples of a page, and where their members lie."""

    def __init__(self, page: Page, extensions: Sequence[bytes]) -> None:
        self.page = page
        self.data = page.data[: page.filled]
        self.starts = np.concatenate([lot.starts for lot in page.lots])
        self.stops = np.concatenate([lot.stops for lot in page.lots])
        self._extensions = list(extensions)
        self._places: Places = locate(self.data, self.starts, self.stops, extensions)
        for number in np.flatnonzero(self._places.uncommon).tolist():
            self._follow(number)

    def sample(self, number: int) -> Sample:
        """A sample, followed header by header.

        Raises:
            SampleError: It is not as it was indexed.
        """
        start, stop = int(self.starts[number]), int(self.stops[number])
        found = next(samples(Piece(self.data.data[start:stop], self.named(number)), ()))
        if isinstance(found, End) or found.stop > stop - start:
            raise self.refused(number, "its members are not where they were")
        return found

    def places(self, found: Field) -> tuple[Positions, Positions]:
        """Where the members of a field begin and end.

        Raises:
            SampleError: A sample has none.
        """
        first = np.full(len(self.starts), -1)
        size = np.zeros(len(self.starts), np.int64)
        for extension in reversed(found.extensions):
            number = self._extensions.index(extension)
            has = self._places.first[number] >= 0
            first = np.where(has, self._places.first[number], first)
            size = np.where(has, self._places.size[number], size)
        if len(first) and int(first.min()) < 0:
            raise self.refused(int(first.argmin()), f"it has no member {found.label}")
        return first, first + size

    def named(self, number: int) -> str:
        """Which sample it is, in words."""
        for lot in self.page.lots:
            if number < len(lot.rows):
                return f"{lot.url}, sample {lot.rows[number] + 1}"
            number -= len(lot.rows)
        raise IndexError(number)

    def refused(self, number: int, why: str) -> SampleError:
        """The error for a sample that cannot be read."""
        return SampleError(
            f"{self.named(number)}: {why}; the file changed since it was indexed, or is broken: index it again"
        )

    def _follow(self, number: int) -> None:
        found = self.sample(number)
        for place, extension in enumerate(self._extensions):
            first, size = found.members.get(extension, (-1 - int(self.starts[number]), 0))
            self._places.first[place, number] = first + self.starts[number]
            self._places.size[place, number] = size


def contents(pages: Sequence[Page], content: Sequence[ContentColumn]) -> list[pa.Array]:
    """The content columns of the samples of some pages, in their order.

    Raises:
        SampleError: A sample is not as it was indexed.
    """
    fields = [_field_of(one.path) for one in content]
    extensions = sorted({extension for found in fields for extension in found.extensions})
    located = [_Located(page, extensions) for page in pages if page.lots]
    below = {name: values for document in documents(content, ()) for name, values in _below(located, document)}
    columns = []
    for one, found in zip(content, fields, strict=True):
        if found.is_key:
            columns.append(strings([lot.sample(n).name for lot in located for n in range(len(lot.starts))]))
        elif found.below:
            columns.append(below[one.name])
        else:
            columns.append(_whole(located, found))
    return columns


def _whole(located: Sequence[_Located], found: Field) -> pa.Array:
    """Members as they stand, as bytes or, where they are text, as strings."""
    views: list[Bytes] = []
    for one in located:
        firsts, lasts = one.places(found)
        views += [one.data[first:last] for first, last in zip(firsts.tolist(), lasts.tolist(), strict=True)]
    edges = np.zeros(len(views) + 1, np.int64)
    np.cumsum(np.fromiter(map(len, views), np.int64, len(views)), out=edges[1:])
    data = np.concatenate(views) if views else np.empty(0, np.uint8)
    large = int(edges[-1]) > _LONGEST
    kinds = (pa.string(), pa.large_string()) if found.is_text else (pa.binary(), pa.large_binary())
    buffers = [None, pa.py_buffer(edges if large else edges.astype(np.int32)), pa.py_buffer(data)]
    values = pa.Array.from_buffers(kinds[large], len(views), buffers)
    if found.is_text:
        _check_text(values, located, views)
    return values


def _check_text(values: pa.Array, located: Sequence[_Located], views: Sequence[Bytes]) -> None:
    try:
        values.validate(full=True)
    except pa.ArrowInvalid:
        numbered = iter(views)
        for one in located:
            for number, view in zip(range(len(one.starts)), numbered, strict=False):
                try:
                    bytes(view).decode()
                except UnicodeDecodeError as error:
                    raise one.refused(number, f"text is not valid UTF-8: {error.reason}") from error
        raise


def _below(located: Sequence[_Located], document: Document) -> Iterator[tuple[str, pa.Array]]:
    """The content columns that lie in one JSON member, by their names."""
    records = []
    for one in located:
        firsts, lasts = one.places(document.member)
        memory = one.data.data
        for number, (first, last) in enumerate(zip(firsts.tolist(), lasts.tolist(), strict=True)):
            try:
                records.append(document.decode(bytes(memory[first:last])))
            except ValueError as error:
                raise one.refused(number, str(error)) from error
    for place, attributes in zip(document.content, document.layout.content, strict=True):
        yield place.name, strings(column(records, attributes))
