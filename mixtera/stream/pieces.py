"""Pieces: runs of granules of one chunk, and fetches: the pieces that a reader reads in one go.

A reader that needs n lanes has n pieces open at a time, one per lane. The first pieces of a round have lengths that
grow from lane to lane, so that later refills do not fall together. Short pieces that follow each other are fetched
together: each call into a file costs as much as a hundred samples.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Final

from mixtera.artifact.model import OrderParameters
from mixtera.stream.consumer import Consumer

AHEAD: Final = 2
"""Fetches beyond the open pieces that the budget has room for."""
FIRST_SAMPLES: Final = 256
"""Samples of the very first piece, about: small, so that the first batch comes soon."""

FIRST_ROWS: Final = 32
"""The same for rows of tokens, which take a hundred times as long to make."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Granules [first, last) of the chunk (round, lane)."""

    round: int
    lane: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Cutting:
    """How a reader cuts its chunks, and how much it reads in one go.

    Attributes:
        lanes: Lanes that it needs, in the order of first need.
        granules: Granules of a full piece.
        first_granules: Granules of its very first piece.
        fetch_granules: Granules of one fetch, at most.
        samples_per_granule: The reader's own samples in a granule, on average.
    """

    lanes: tuple[int, ...]
    granules: int
    first_granules: int
    fetch_granules: int
    samples_per_granule: float


def cutting(
    consumer: Consumer,
    order: OrderParameters,
    budget_samples: float,
    fetch_samples: float,
    first_samples: int = FIRST_SAMPLES,
) -> Cutting:
    """Choose lengths so that all open pieces and what is read ahead stay within a budget.

    Args:
        consumer: The reader.
        order: The plan's order.
        budget_samples: Samples that may be fetched and not yet delivered.
        fetch_samples: Samples of one fetch.
        first_samples: Samples of the very first piece.
    """
    lanes = consumer.lanes(order)
    readers = consumer.world_size * consumer.workers
    own = order.granule * order.lanes / (readers * max(1, len(lanes)))
    fetch = max(1, int(min(fetch_samples, budget_samples / (2 * AHEAD)) / own))
    share = (budget_samples - AHEAD * fetch * own) / max(1, len(lanes))
    granules = max(1, min(int(share / own), fetch, order.chunk_size // order.granule))
    first = max(1, min(int(first_samples / own), granules))
    return Cutting(tuple(lanes.tolist()), granules, first, fetch, own)


def fetches(pieces: Iterable[Piece], cut: Cutting, across_rounds: bool = True) -> Iterator[tuple[Piece, ...]]:
    """Pieces that are read together, of several rounds or of one; the first one alone, so that it comes soon."""
    group: list[Piece] = []
    granules, limit = 0, 0
    for piece in pieces:
        full = granules + piece.last - piece.first > limit
        if group and (full or not (across_rounds or piece.round == group[-1].round)):
            yield tuple(group)
            group, granules, limit = [], 0, cut.fetch_granules
        group.append(piece)
        granules += piece.last - piece.first
    if group:
        yield tuple(group)


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
