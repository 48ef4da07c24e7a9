"""Sequences: the order applied to a plan of tokens, position → pieces of documents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from itertools import count
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from mixtera.artifact.model import PlanData, TokenLayout
from mixtera.artifact.pointers import PointerMap, Pointers
from mixtera.order.bestfit import BestFit
from mixtera.order.concat import Concatenation, Pieces
from mixtera.order.lanes import Chunk
from mixtera.order.permute import Permutation
from mixtera.order.seats import Int64s

KEPT_PIECES: Final = 1 << 20
"""Pieces that are kept over all lanes, about: they take 40 bytes each."""
LEAST_PIECES: Final = 1 << 12
"""Pieces that are found at a time, at least."""


@dataclass(frozen=True)
class Sequences:
    """What some positions of a plan of tokens consist of.

    Attributes:
        position: [n] int64, positions in the global order.
        component: [n] int64, index into the plan's components.
        sequence: [m] int64, which of the positions each piece belongs to, ascending.
        documents: [m] where the document of each piece lies.
        first: [m] int64, tokens of the document before the piece, with what stands before the document.
        last: [m] int64, tokens of the document up to the end of the piece.
        count: [m] int64, tokens of the whole document; −1 where they are not known ahead.
    """

    position: Int64s
    component: Int64s
    sequence: Int64s
    documents: Pointers
    first: Int64s
    last: Int64s
    count: Int64s


class Packer(Protocol):
    """Place of a component → pieces of documents."""

    def find(self, component: Int64s, place: Int64s) -> Pieces:
        """The pieces that some places are made of."""

    def places_of(self, epoch: int, component: int, entry: int, rank: int) -> Sequence[int]:
        """Places that a document has a part in, in one of its epochs."""


def packer_of(tokens: TokenLayout, permutation: Permutation) -> Packer:
    """What finds the documents of a plan's sequences."""
    parameters = tokens.parameters
    if tokens.windows is not None:
        shift = int(parameters.label_shift)
        return BestFit(permutation, tokens.counts, tokens.windows, parameters.row_tokens, shift)
    return Concatenation(permutation, tokens.counts, tokens.entry_counts, parameters.row_tokens, parameters.overlap)


class Mixed:
    """Place → pieces, where places of some components are samples as they are: a piece each, of no tokens."""

    def __init__(self, packer: Packer, permutation: Permutation, as_samples: npt.NDArray[np.bool_]) -> None:
        """Prepare.

        Args:
            packer: Finds the pieces of all other components.
            permutation: The order of the samples.
            as_samples: [K] components whose places are samples.
        """
        self.packer, self._permutation, self._as_samples = packer, permutation, as_samples

    def find(self, component: Int64s, place: Int64s) -> Pieces:
        """The pieces that some places are made of."""
        alone = self._as_samples[component]
        if not alone.any():
            return self.packer.find(component, place)
        entry, rank = self._permutation.find(component[alone], place[alone])
        nothing = np.zeros(len(entry), np.int64)
        samples = Pieces(np.flatnonzero(alone), entry, rank, nothing, nothing)
        if alone.all():
            return samples
        found = self.packer.find(component[~alone], place[~alone])
        packed = replace(found, sequence=np.flatnonzero(~alone)[found.sequence])
        both = _joined([samples, packed])
        order = np.argsort(both.sequence, kind="stable")
        return Pieces(*(getattr(both, field.name)[order] for field in fields(Pieces)))

    def places_of(self, epoch: int, component: int, entry: int, rank: int) -> Sequence[int]:
        """Places that a document has a part in, in one of its epochs."""
        if not self._as_samples[component]:
            return self.packer.places_of(epoch, component, entry, rank)
        place = self._permutation.place_of(epoch, component, entry, rank)
        return [] if place is None else [place]


class SequenceMap:
    """Positions → pieces of documents, for one plan of packed sequences. Cheap to make; caches what it found last."""

    def __init__(self, data: PlanData, map_: PointerMap | None = None) -> None:
        tokens = data.tokens
        assert tokens is not None
        self._tokens = tokens
        self._map = PointerMap(data) if map_ is None else map_
        self._lanes, self._granule = self._map.lanes, data.order.granule
        packer = packer_of(tokens, self._map.permutation)
        self._as_samples = np.array([bool(columns) for columns in data.columns])
        any_ = self._as_samples.any()
        self.packer: Packer = Mixed(packer, self._map.permutation, self._as_samples) if any_ else packer
        lanes = data.order.lanes
        wanted = max(LEAST_PIECES, KEPT_PIECES // (2 * lanes)) / (_pieces_per_row(tokens) * self._granule)
        self._block = max(1, min(int(wanted), data.order.chunk_size // self._granule))
        """Granules of a lane whose pieces are found at a time: each window that they touch is permuted whole."""
        self._found = lru_cache(maxsize=2 * lanes)(self._block_pieces)

    def range(self, start: int, stop: int) -> Sequences:
        """What the positions [start, stop) consist of, cut at the end of the plan."""
        chunk = self._lanes.range(start, stop)
        return self._sequences(chunk, self.packer.find(chunk.component, chunk.place))

    def lane(self, round_: int, lane: int, first_granule: int, last_granule: int) -> Sequences:
        """What granules [first, last) of the chunk (round, lane) consist of, cut at the end of the plan."""
        chunk = self._lanes.chunk(round_, lane)
        first, last = (min(g * self._granule, len(chunk.position)) for g in (first_granule, last_granule))
        parts: list[Pieces] = []
        size = self._block * self._granule
        for block in range(first // size, -(-last // size)):
            low, high = max(first, block * size), min(last, (block + 1) * size)
            part = self._found(round_, lane, block).part(low - block * size, high - block * size)
            parts.append(Pieces(part.sequence + low - first, part.entry, part.rank, part.first, part.last))
        return self._sequences(chunk.part(first, last), _joined(parts))

    def positions_of(self, sample: int, limit: int) -> list[int]:
        """The positions before a limit whose sequences hold a part of a sample, ascending.

        Args:
            sample: A sample id.
            limit: Only positions before this one.
        """
        found = self._map.entry_of(sample)
        if found is None:
            return []
        component, entry, rank = found
        tokens = self._tokens.counts[self._map.permutation.sample_first[entry] + rank]
        excluded = self._map.permutation.is_excluded(entry, rank)
        if not tokens and (excluded or not self._as_samples[component]):
            return []
        positions: set[int] = set()
        for epoch in count(self._map.first_epoch(component)):
            places = self.packer.places_of(epoch, component, entry, rank)
            if not len(places):
                continue  # an earlier plan has delivered it
            here = [self._lanes.position_of(component, place) for place in places]
            reached = [position for position in here if position is not None]
            positions.update(reached)
            # inside a round a later epoch may come first
            behind = [p - p % self._lanes.round_size >= limit for p in reached]
            if len(reached) < len(places) or all(behind):
                break
        return sorted(position for position in positions if position < limit)

    def _block_pieces(self, round_: int, lane: int, block: int) -> Pieces:
        chunk = self._lanes.chunk(round_, lane)
        size = self._block * self._granule
        part = chunk.part(block * size, (block + 1) * size)
        pieces = self.packer.find(part.component, part.place)
        self._map.expect(pieces.entry, pieces.rank)
        return pieces

    def _sequences(self, chunk: Chunk, pieces: Pieces) -> Sequences:
        at = pieces.sequence
        documents = self._map.documents(chunk.position[at], chunk.component[at], pieces.entry, pieces.rank)
        number = self._map.permutation.sample_first[pieces.entry] + pieces.rank
        whole = self._tokens.counts[number].astype(np.int64)
        return Sequences(chunk.position, chunk.component, at, documents, pieces.first, pieces.last, whole)


def chosen(sequences: Sequences, mask: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Sequences:
    """Some of the positions."""
    kept = mask[sequences.sequence]
    number = np.cumsum(mask) - 1
    documents = Pointers(*(getattr(sequences.documents, field.name)[kept] for field in fields(Pointers)))
    return Sequences(
        sequences.position[mask],
        sequences.component[mask],
        number[sequences.sequence[kept]],
        documents,
        sequences.first[kept],
        sequences.last[kept],
        sequences.count[kept],
    )


def _pieces_per_row(tokens: TokenLayout) -> float:
    documents = max(1, len(tokens.counts))
    mean = max(1.0, float(tokens.entry_counts.sum()) / documents)
    return 1 + tokens.parameters.row_tokens / mean


def _joined(parts: list[Pieces]) -> Pieces:
    if len(parts) == 1:
        return parts[0]
    names = [field.name for field in fields(Pieces)]
    empty = [np.empty(0, np.int64)]
    return Pieces(*(np.concatenate(empty + [getattr(part, name) for part in parts]) for name in names))
