"""Where the records of delimited text end, in one vectorised pass: a newline inside quotes ends none.

In well-formed text (RFC 4180) a newline is inside quotes exactly if an odd number of quotes stands before it. That each
quote stands where it may (an opening one at the beginning of a field, a closing one at its end, or two side by side) is
checked for all of them. At the first one that does not, the record that holds it is broken; it ends with the next
newline, whatever quotes say, and counting starts afresh behind it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

import numpy as np
import numpy.typing as npt

from mixtera.contracts.storage import FileInfo
from mixtera.errors import SampleError
from mixtera.formats.opening import read_fully

LONGEST_RECORD: Final = 256 << 20
"""Bytes a record may have: a quote that is never closed must not fill the memory."""

_QUOTE: Final = ord('"')
_NEWLINE: Final = ord("\n")
_RETURN: Final = ord("\r")

Positions = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Records:
    """Records of some bytes.

    Attributes:
        starts: First byte of each.
        ends: The byte after its last one, without its line end.
        stops: The byte after its line end.
        broken: For those that cannot be taken apart, their number → why.
    """

    starts: Positions
    ends: Positions
    stops: Positions
    broken: dict[int, str]

    @property
    def consumed(self) -> int:
        """Bytes that belong to the records."""
        return int(self.stops[-1]) if len(self.stops) else 0


def find_records(data: Bytes, delimiter: str, ended: bool) -> Records:
    """The whole records at the beginning of some bytes.

    Args:
        data: The bytes; a record begins with the first.
        delimiter: What stands between fields, one ASCII character.
        ended: Whether the file ends with them: then the last record needs no line end.
    """
    stops, broken = _record_stops(data, delimiter, ended)
    starts = np.concatenate([np.zeros(1, np.int64), stops[:-1]]) if len(stops) else stops
    ends = stops - (data[stops - 1] == _NEWLINE)
    ends -= (ends > starts) & (data[ends - 1] == _RETURN) & (stops > ends)
    found = Records(starts, ends, stops, broken)
    _mark(found, np.flatnonzero(data[: found.consumed] == 0), "it holds a NUL byte: is the file UTF-16, or binary?")
    _mark(found, _bare_returns(data, found), "it holds a carriage return outside of quotes that is no line end")
    return found


def field_counts(data: Bytes, records: Records, delimiter: str) -> Positions:
    """How many fields each record has; broken ones count as they may."""
    quotes = np.flatnonzero(data == _QUOTE)
    delimiters = np.flatnonzero(data == ord(delimiter))
    outside = delimiters[_outside(quotes, records, delimiters)]
    counts: Positions = np.searchsorted(outside, records.stops) - np.searchsorted(outside, records.starts) + 1
    return counts


def record_blocks(
    stream: BinaryIO, before: bytes, delimiter: str, block_bytes: int, file: FileInfo
) -> Iterator[tuple[bytes, Records]]:
    """Blocks of whole records of a stream; a record longer than a block makes it larger.

    Args:
        stream: The stream.
        before: What was read of it already and holds records.
        delimiter: What stands between fields.
        block_bytes: Bytes to read at once.
        file: The file, for messages.

    Raises:
        SampleError: A record does not end.
    """
    rest, wanted, ended = before, block_bytes, False
    while not ended:
        piece = read_fully(stream, wanted)
        ended = len(piece) < wanted
        data = rest + piece
        records = find_records(np.frombuffer(data, np.uint8), delimiter, ended)
        if len(records.stops):
            yield data, records
        rest = data[records.consumed :]
        wanted = max(block_bytes, len(rest))
        if len(rest) > LONGEST_RECORD:
            raise SampleError(
                f"{file.url}: a record does not end within {LONGEST_RECORD >> 20} MiB; it begins "
                f"{rest[:60].decode('utf-8', 'replace')!r}: is a quote never closed?"
            )


def _record_stops(data: Bytes, delimiter: str, ended: bool) -> tuple[Positions, dict[int, str]]:
    newlines = np.flatnonzero(data == _NEWLINE)
    quotes = np.flatnonzero(data == _QUOTE)
    if not len(quotes):
        stops = newlines + 1
        if ended and len(data) and (not len(stops) or stops[-1] != len(data)):
            stops = np.append(stops, len(data))
        return stops, {}
    return _stops_by_quotes(data, _Marks.of(data, delimiter, quotes, newlines), ended)


@dataclass(frozen=True, slots=True)
class _Marks:
    """Quotes and newlines, and what is right about each.

    Attributes:
        quotes: Positions of the quotes.
        newlines: Positions of the newlines.
        quotes_before: For each newline, the quotes before it.
        may_open: For each quote, whether a field may begin with it.
        may_close: For each quote, whether a field may end with it.
    """

    quotes: Positions
    newlines: Positions
    quotes_before: Positions
    may_open: npt.NDArray[np.bool_]
    may_close: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, data: Bytes, delimiter: str, quotes: Positions, newlines: Positions) -> _Marks:
        around = np.zeros(256, np.bool_)
        around[[ord(delimiter), _NEWLINE, _QUOTE]] = True
        may_open = around[data[quotes - 1]]
        may_open[quotes == 0] = True
        around[_RETURN] = True
        may_close = around[data[np.minimum(quotes + 1, len(data) - 1)]]
        return cls(quotes, newlines, np.searchsorted(quotes, newlines), may_open, may_close)

    def first_wrong(self, first: int) -> int | None:
        """The first quote that stands where it may not, when quote number `first` opens a field."""
        opening, closing = self.may_open[first::2], self.may_close[first + 1 :: 2]
        wrong = []
        if not opening.all():
            wrong.append(first + 2 * int(np.argmin(opening)))
        if not closing.all():
            wrong.append(first + 1 + 2 * int(np.argmin(closing)))
        return min(wrong, default=None)


def _stops_by_quotes(data: Bytes, marks: _Marks, ended: bool) -> tuple[Positions, dict[int, str]]:
    parts: list[Positions] = []
    broken: dict[int, str] = {}
    count = quote = newline = stop = 0
    while True:
        wrong = marks.first_wrong(quote)
        last = len(marks.newlines)
        if wrong is not None:
            last = int(np.searchsorted(marks.newlines, marks.quotes[wrong]))
        outside = (marks.quotes_before[newline:last] - quote) % 2 == 0
        parts.append(marks.newlines[newline:last][outside] + 1)
        count += len(parts[-1])
        stop = int(parts[-1][-1]) if len(parts[-1]) else stop
        if wrong is None or (last == len(marks.newlines) and not ended):
            break
        broken[count] = _quote_reason(marks, wrong, quote)
        stop = int(marks.newlines[last]) + 1 if last < len(marks.newlines) else len(data)
        parts.append(np.array([stop]))
        count += 1
        newline = last + 1
        quote = int(np.searchsorted(marks.quotes, stop))
    if ended and stop < len(data):
        parts.append(np.array([len(data)]))
        if (len(marks.quotes) - quote) % 2:
            broken[count] = "a quote is never closed"
    return np.concatenate(parts), broken


def _quote_reason(marks: _Marks, wrong: int, first: int) -> str:
    if (wrong - first) % 2:
        return "bad quoting: text stands behind a closing quote (inside quotes, a quote is written twice)"
    return "bad quoting: a quote stands inside a field that does not begin with one (put the field in quotes)"


def _outside(quotes: Positions, records: Records, places: Positions) -> npt.NDArray[np.bool_]:
    """Which places are outside of quotes in their record."""
    inside = np.minimum(np.searchsorted(records.stops, places, side="right"), len(records.stops) - 1)
    before = np.searchsorted(quotes, places) - np.searchsorted(quotes, records.starts[inside])
    outside: npt.NDArray[np.bool_] = before % 2 == 0
    return outside


def _bare_returns(data: Bytes, records: Records) -> Positions:
    """Carriage returns outside of quotes that are not part of a line end."""
    returns = np.flatnonzero(data[: records.consumed] == _RETURN)
    if not len(returns):
        return returns
    following = data[np.minimum(returns + 1, len(data) - 1)]
    bare: Positions = returns[following != _NEWLINE]
    return bare[_outside(np.flatnonzero(data == _QUOTE), records, bare)] if len(bare) else bare


def _mark(records: Records, places: Positions, reason: str) -> None:
    """Call the records broken that hold some places."""
    for record in np.unique(np.searchsorted(records.stops, places, side="right")).tolist():
        records.broken.setdefault(record, reason)
