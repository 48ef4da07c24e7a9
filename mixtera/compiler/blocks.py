"""Long arrays are worked on in blocks of whole segments, so that memory stays bounded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mixtera.compiler.files import Segments

BLOCK_ROWS = 1 << 20


@dataclass(frozen=True)
class Block:
    """Consecutive segments, and the dense numbers of their rows."""

    segments: slice
    rows: slice


def blocks(segments: Segments, rows: int = BLOCK_ROWS) -> Iterator[Block]:
    """Cut all segments into blocks of about so many rows, at least one segment each."""
    first, count = segments.first, len(segments.rows)
    start = 0
    while start < count:
        stop = max(int(np.searchsorted(first, first[start] + rows, "right")) - 1, start + 1)
        yield Block(slice(start, stop), slice(int(first[start]), int(first[stop])))
        start = stop
