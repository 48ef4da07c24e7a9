"""Stretches of a file that are wanted whole, cut into stripes: what one request reads, and what is kept together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Positions = npt.NDArray[np.int64]


class Cells:
    """A file cut at all edges of its stripes: some cells are stripes, what lies between is none.

    Args:
        starts: First byte of each stretch, ascending.
        stops: Byte after the last of each; they do not overlap, and none is empty.
        size: Bytes of the file.
        stripe_bytes: Bytes of a stripe, at most.
    """

    def __init__(self, starts: Positions, stops: Positions, size: int, stripe_bytes: int) -> None:
        counts = -(-(stops - starts) // stripe_bytes)
        number = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
        first = np.repeat(starts, counts) + number * stripe_bytes
        self._edges = np.unique(np.concatenate([first, stops, [0, size]]))
        self._is_stripe = np.zeros(len(self._edges), np.bool_)
        self._is_stripe[np.searchsorted(self._edges, first)] = True

    def cut(self, starts: Positions, stops: Positions) -> Pieces:
        """Cut ranges where they cross an edge; none is empty."""
        first = np.searchsorted(self._edges, starts, side="right") - 1
        counts = np.searchsorted(self._edges, stops, side="left") - first
        if len(counts) == int(counts.sum()):
            return Pieces(first, starts, stops, self._is_stripe[first])
        number = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
        cell = np.repeat(first, counts) + number
        starts = np.maximum(np.repeat(starts, counts), self._edges[cell])
        stops = np.minimum(np.repeat(stops, counts), self._edges[cell + 1])
        return Pieces(cell, starts, stops, self._is_stripe[cell])

    def bounds(self, cells: Positions) -> tuple[Positions, Positions]:
        """First byte, and byte after the last, of some cells."""
        return self._edges[cells], self._edges[cells + 1]


@dataclass(frozen=True, slots=True)
class Pieces:
    """Parts of ranges, in the order of these; all arrays are [n].

    Attributes:
        cell: The cell that each lies in.
        starts: First byte of each.
        stops: Byte after the last of each.
        in_stripe: Whether the cell is a stripe.
    """

    cell: Positions
    starts: Positions
    stops: Positions
    in_stripe: npt.NDArray[np.bool_]

    def of(self, which: Positions) -> Pieces:
        """Some of them."""
        return Pieces(self.cell[which], self.starts[which], self.stops[which], self.in_stripe[which])
