"""What an explanation says of the order."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class OrderSummary:
    """How samples are ordered.

    Attributes:
        shuffle: `global` or `none`.
        seed: Seed of the permutations.
        chunk_size: Samples of a chunk.
        lanes: Chunks that are open at a time.
        granule: Samples taken from a lane before the next.
        window_samples: Samples that are shuffled among themselves, on average over the components.
        round_samples: Samples of a round: chunk_size × lanes.
        curricula: Components that are sorted.
        in_file_order: Components that are not shuffled although others are.
    """

    shuffle: str
    seed: int
    chunk_size: int
    lanes: int
    granule: int
    window_samples: int
    round_samples: int
    curricula: tuple[str, ...] = ()
    in_file_order: tuple[str, ...] = ()
