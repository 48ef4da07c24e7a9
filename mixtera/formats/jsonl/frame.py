"""The frame: what stands before and after the content of a record, the same for most records of a file.

A JSON parser looks at each byte of a record for its content only. Where the content comes first, a record begins with
the same bytes as the one before it (`{"text":"`), and goes on with the same bytes after the content (`","meta":`), so
its content is cut out by comparing and finding these. It is the content, for a record that was valid JSON when it was
indexed:

- The record begins with the opening of an object, the key and an opening quote: the string begins there.
- A string ends at its first quote that no escape precedes. `strings_at` refuses a text that holds such a quote, and one
  that ends within an escape. So whichever place is found, if it is not the end, it is refused, not delivered.
- What follows does not hold the key again, which would be the value that counts: neither as it stands, nor with a
  letter of it written by number.

What does not fit is left to the JSON parser, which names what is broken.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Final

import numpy as np
import numpy.typing as npt

from mixtera.contracts.format import ContentColumn
from mixtera.formats.jsonl.lines import without_line_ends
from mixtera.formats.paths import split_path
from mixtera.formats.ranges import every_second

Positions = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]

_PLAIN_KEY: Final = re.compile(r"[A-Za-z0-9_ .:-]+")
"""Keys whose letters can be escaped by number only."""
_LETTER_BY_NUMBER: Final = re.compile(rb"\\u00[2-7]")
_TEXT: Final = re.compile(rb'[^"\\]*(?:\\.[^"\\]*)*')
_REST: Final = re.compile(rb'"(?P<last>\s*\}\Z)|"\s*,\s*"[^"\\]*"\s*:')
_CLOSE: Final = ord("}")

_LENGTHS: Final = 6
"""Lengths that are tried at most, as long as each fits one of `_WORTH` records and more than a `_FEW` are left."""
_WORTH: Final = 8
_FEW: Final = 32


@dataclass(frozen=True, slots=True)
class Frame:
    """The bytes around the content of a record.

    Attributes:
        key: The content's key, in quotes.
        before: From the record's first byte to the content's opening quote.
        after: From the content's closing quote to the colon after the next key, or to the record's end.
        is_last: Whether `after` reaches to the record's end.
        from_end: Whether the end of the record is closer to `after` than the content's beginning.
    """

    key: bytes
    before: bytes
    after: bytes
    is_last: bool
    from_end: bool

    def contents(self, page: bytearray, starts: Positions, stops: Positions) -> tuple[Positions, Positions] | None:
        """Where the contents of some records begin and end, for `strings_at`; None if a record does not fit.

        Args:
            page: What holds the records.
            starts: First byte of each.
            stops: Byte after the last of each, its line end included.
        """
        data = np.frombuffer(page, np.uint8)
        ends = without_line_ends(data, starts, stops)
        firsts = starts + len(self.before)
        if (firsts + len(self.after) > ends).any() or not _all_equal(data, starts, self.before):
            return None
        if self.is_last:
            lasts = ends - len(self.after)
            return (firsts, lasts) if _all_equal(data, lasts, self.after) else None
        if (data[ends - 1] != _CLOSE).any():
            return None
        lasts = self._found_from_end(page, firsts, ends) if self.from_end else self._found(page, firsts, ends)
        if int(lasts.min()) < 0 or self._may_come_again(_joined(data, lasts, ends)):
            return None
        return firsts, lasts

    def _found(self, page: bytearray, firsts: Positions, ends: Positions) -> Positions:
        """For each record the first place of `after`, or −1."""
        return np.fromiter(map(page.find, repeat(self.after), firsts.tolist(), ends.tolist()), np.int64, len(firsts))

    def _found_from_end(self, page: bytearray, firsts: Positions, ends: Positions) -> Positions:
        """For each record a place of `after`, or −1.

        What follows the content is often as long as in another record, so a length that is found in one is tried on all
        that are left, at a third of what finding takes. One from their middle: the first ones of a file are shorter
        where records are numbered.
        """
        windows = _windows(np.frombuffer(page, np.uint8), len(self.after))
        after = np.void(self.after)
        found = np.full(len(firsts), -1)
        left = np.arange(len(firsts))
        for _ in range(_LENGTHS):
            middle = left[len(left) // 2]
            begin, end = int(firsts[middle]), int(ends[middle])
            places = np.maximum(ends[left] - (end - page.rfind(self.after, begin, end)), firsts[left])
            fits = windows[places] == after
            found[left[fits]] = places[fits]
            count, left = len(left), left[~fits]
            if len(left) < _FEW or len(left) > count - count // _WORTH:
                break
        rest = map(page.rfind, repeat(self.after), firsts[left].tolist(), ends[left].tolist())
        found[left] = np.fromiter(rest, np.int64, len(left))
        return found

    def _may_come_again(self, rests: bytes) -> bool:
        """Whether the key may stand in what follows the contents."""
        return self.key in rests or (b"\\" in rests and _LETTER_BY_NUMBER.search(rests) is not None)


def frame_of(record: bytes, content: Sequence[ContentColumn]) -> Frame | None:
    """Learn the frame from a record without its line end; None if its content does not come first.

    Content of several columns, or below an object, has none either.
    """
    if len(content) != 1:
        return None
    name, *below = split_path(content[0].path)
    if below or not _PLAIN_KEY.fullmatch(name):
        return None
    key = f'"{name}"'.encode()
    opened = re.match(rb"\{\s*" + re.escape(key) + rb'\s*:\s*"', record)
    text = opened and _TEXT.match(record, opened.end())
    rest = text and _REST.match(record, text.end())
    if not opened or not text or not rest:
        return None
    from_end = len(record) - rest.start() < len(text[0])
    return Frame(key, opened[0], rest[0], rest["last"] is not None, from_end)


def _all_equal(data: Bytes, starts: Positions, expected: bytes) -> bool:
    """Whether the same bytes stand at all places."""
    return _windows(data, len(expected))[starts].tobytes() == expected * len(starts)


def _windows(data: Bytes, length: int) -> npt.NDArray[np.void]:
    """The bytes from each place on, so many at a time; a view."""
    return np.ndarray(len(data) - length + 1, np.dtype((np.void, length)), data, strides=(1,))


def _joined(data: Bytes, starts: Positions, stops: Positions) -> bytes:
    edges = np.empty(2 * len(starts), np.int64)
    edges[0::2] = starts
    edges[1::2] = stops
    joined: bytes = every_second(data, edges).buffers()[2].to_pybytes()
    return joined
