"""Pieces: what a reader fetches in one go. A piece is a run of granules of one chunk.

A reader that needs n lanes has n pieces open at a time, one per lane. The first pieces of a round have lengths that
grow from lane to lane, so that later refills do not fall together.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Final

from mixtera.artifact.model import OrderParameters
from mixtera.stream.consumer import Consumer

SPARE_PIECES: Final = 2
"""Pieces beyond the open ones that the budget has room for: they are fetched ahead."""
FIRST_SAMPLES: Final = 256
"""Samples of the very first piece, about: small, so that the first batch comes soon."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Granules [first, last) of the chunk (round, lane)."""

    round: int
    lane: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Cutting:
    """How a reader cuts its chunks.

    Attributes:
        lanes: Lanes that it needs, in the order of first need.
        granules: Granules of a full piece.
        first_granules: Granules of its very first piece.
        samples: The reader's own samples in a full piece, about.
    """

    lanes: tuple[int, ...]
    granules: int
    first_granules: int
    samples: int


def cutting(consumer: Consumer, order: OrderParameters, budget_samples: int) -> Cutting:
    """Choose the length of pieces so that all open ones and a few more hold about `budget_samples`."""
    lanes = consumer.lanes(order)
    slots = len(lanes) + SPARE_PIECES
    readers = consumer.world_size * consumer.workers
    own_per_granule = order.granule * order.lanes / (readers * max(1, len(lanes)))
    chunk = order.chunk_size // order.granule
    granules = min(max(1, int(budget_samples / slots / own_per_granule)), chunk)
    first = min(max(1, int(FIRST_SAMPLES / own_per_granule)), granules)
    return Cutting(tuple(lanes.tolist()), granules, first, max(1, int(granules * own_per_granule)))


def pieces(consumer: Consumer, order: OrderParameters, cut: Cutting) -> Iterator[Piece]:
    """The pieces of a reader, in the order of their first positions; some may hold none of its samples."""
    round_granules = order.chunk_size // order.granule * order.lanes
    skipped = consumer.first // order.granule
    end = None if consumer.end is None else -(-consumer.end // order.granule)
    for round_ in count(skipped // round_granules):
        before = round_ * round_granules
        if not cut.lanes or (end is not None and before >= end):
            return
        limit = round_granules if end is None else min(round_granules, end - before)
        yield from _round_pieces(round_, max(0, skipped - before), limit, order, cut)


def _round_pieces(round_: int, skipped: int, limit: int, order: OrderParameters, cut: Cutting) -> list[Piece]:
    """Pieces of one round whose granules, counted in the round, lie in [skipped, limit)."""
    found: list[Piece] = []
    for index, lane in enumerate(cut.lanes):
        first, stop = -((lane - skipped) // order.lanes), -((lane - limit) // order.lanes)
        length = -(-(index + 1) * cut.granules // len(cut.lanes))
        if index == 0:
            length = min(length, cut.first_granules)
        while first < stop:
            found.append(Piece(round_, lane, first, min(first + length, stop)))
            first, length = first + length, cut.granules
    return sorted(found, key=lambda piece: piece.first * order.lanes + piece.lane)
