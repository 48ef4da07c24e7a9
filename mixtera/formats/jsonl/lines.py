"""Lines: blocks of whole lines from a stream, and where each line of a block starts and ends."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import BinaryIO, Final

import numpy as np
import numpy.typing as npt

Positions = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]

BYTE_ORDER_MARK: Final = codecs.BOM_UTF8

LONGEST_LINE: Final = 256 << 20
"""Bytes that a line may have: one without an end must not fill the memory."""

_NEWLINE: Final = 10
_RETURN: Final = 13
_OPEN: Final = 123
_CLOSE: Final = 125


def line_blocks(
    stream: BinaryIO, block_bytes: int, longest: int = LONGEST_LINE
) -> Iterator[tuple[int, memoryview, bool]]:
    """Blocks of whole lines; a line longer than a block makes it larger, and one that is too long is passed over.

    Yields:
        Offset and bytes of a block, and whether they are whole lines: if not, they are the beginning of one line that
        is longer than `longest`. The view is valid until the next block is asked for.
    """
    buffer = bytearray(block_bytes)
    offset = filled = 0
    while True:
        view = memoryview(buffer)
        end = _fill(stream, view, filled)
        ended = end < len(buffer)
        cut = end if ended else buffer.rfind(b"\n", filled, end) + 1
        if cut:
            yield offset, view[:cut], True
        if ended:
            return
        if not cut and len(buffer) >= longest:
            yield offset, view[:block_bytes], False
            offset += end
            del view  # a buffer of that size is not kept
            buffer = bytearray(block_bytes)
            passed, rest = _pass_over(stream, buffer)
            if rest is None:
                return
            offset += passed
            filled = len(rest)
            buffer[:filled] = rest
            continue
        offset += cut
        filled = end - cut
        rest = bytes(view[cut:end])
        if not cut:
            buffer = bytearray(2 * len(buffer))
            view = memoryview(buffer)
        view[:filled] = rest


def _pass_over(stream: BinaryIO, buffer: bytearray) -> tuple[int, bytes | None]:
    """Read to the end of the line: how many bytes that were, and what was read of the next ones; None at the end."""
    passed = 0
    view = memoryview(buffer)
    while count := _fill(stream, view, 0):
        newline = buffer.find(b"\n", 0, count)
        if newline >= 0:
            return passed + newline + 1, bytes(view[newline + 1 : count])
        passed += count
    return passed, None


def _fill(stream: BinaryIO, view: memoryview, filled: int) -> int:
    while filled < len(view) and (count := stream.readinto(view[filled:])):  # type: ignore[attr-defined]
        filled += count
    return filled


def line_edges(data: Bytes) -> tuple[Positions, Positions]:
    """First byte of each line and the byte after its line end; the last line may have none."""
    stops = np.flatnonzero(data == _NEWLINE) + 1
    if not len(stops) or stops[-1] != len(data):
        stops = np.append(stops, len(data))
    starts = np.empty_like(stops)
    starts[0] = 0
    starts[1:] = stops[:-1]
    return starts, stops


def without_line_ends(data: Bytes, starts: Positions, stops: Positions) -> Positions:
    """The byte after each line's last one, when its newline and carriage return are taken off."""
    ends: Positions = stops - (data[stops - 1] == _NEWLINE)
    ends -= (ends > starts) & (data[ends - 1] == _RETURN)
    return ends


def look_like_objects(data: Bytes, starts: Positions, ends: Positions) -> bool:
    """Whether each line begins with an opening and ends with a closing brace.

    If so, and if a JSON parser finds as many values in all the lines as there are lines, then each line is exactly
    one value: a value can only span lines through one that does not begin with a brace.
    """
    return bool((data[starts] == _OPEN).all() and (data[ends - 1] == _CLOSE).all())
