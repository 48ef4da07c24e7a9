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

_NEWLINE: Final = 10
_RETURN: Final = 13
_OPEN: Final = 123
_CLOSE: Final = 125


def line_blocks(stream: BinaryIO, block_bytes: int) -> Iterator[tuple[int, memoryview]]:
    """Blocks of whole lines, with the offset of each block; a line longer than a block makes it larger.

    The view is valid until the next block is asked for.
    """
    buffer = bytearray(block_bytes)
    offset = filled = 0
    while True:
        view = memoryview(buffer)
        end = _fill(stream, view, filled)
        ended = end < len(buffer)
        cut = end if ended else buffer.rfind(b"\n", filled, end) + 1
        if cut:
            yield offset, view[:cut]
        if ended:
            return
        offset += cut
        filled = end - cut
        rest = bytes(view[cut:end])
        if not cut:
            buffer = bytearray(2 * len(buffer))
            view = memoryview(buffer)
        view[:filled] = rest


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
