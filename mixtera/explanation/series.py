"""Series: what of a mixture a plot shows: few parts, all of it together, the same in all plots."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from mixtera.explanation.mixture import components
from mixtera.explanation.model import Part, Report
from mixtera.explanation.numbers import count
from mixtera.order.seats import Int64s

MOST: Final = 8
"""Series of a plot: as many as there are colours that people can tell apart."""


@dataclass(frozen=True)
class Series:
    """A part of the mixture along the positions of `Report.progress`.

    Attributes:
        name: Full name, or how many others it stands for.
        parts: Full names of the components in it.
        others: Whether it stands for everything that has no series of its own.
        samples: Samples in it.
        held: [P] seats before each position.
    """

    name: str
    parts: tuple[str, ...]
    others: bool
    samples: int
    held: Int64s

    @property
    def epochs(self) -> list[float]:
        """[P] seats per sample before each position."""
        found: list[float] = (self.held / max(1, self.samples)).tolist()
        return found

    def shares(self, positions: Sequence[int]) -> list[float]:
        """[P − 1] share of the positions from each to the next."""
        found: list[float] = (np.diff(self.held) / np.maximum(1, np.diff(positions))).tolist()
        return found


def series(report: Report) -> list[Series]:
    """The series of a report, in the order of the mixture; the others stand last."""
    held = {track.full_name: np.array(track.held, np.int64) for track in report.progress.tracks}
    frontier = _frontier(report.mixture)
    if len(frontier) <= MOST:
        return [_of([part], held, part.full_name) for part in frontier]
    total = {id(part): int(_of([part], held, "").held[-1]) for part in frontier}
    largest = {id(part) for part in sorted(frontier, key=lambda part: -total[id(part)])[: MOST - 1]}
    others = [part for part in frontier if id(part) not in largest]
    shown = [_of([part], held, part.full_name) for part in frontier if id(part) in largest]
    return [*shown, _of(others, held, f"{count(len(others))} others", True)]


def _frontier(parts: Sequence[Part]) -> list[Part]:
    """The finest parts that cover everything and are few: large groups are opened first, as far as there is room."""
    found = list(parts)
    while True:
        fitting = [part for part in found if part.parts and len(found) - 1 + len(part.parts) <= MOST]
        if not fitting:
            return found
        at = found.index(max(fitting, key=lambda part: part.share))
        found[at : at + 1] = found[at].parts


def _of(parts: Iterable[Part], held: dict[str, Int64s], name: str, others: bool = False) -> Series:
    leaves = components(list(parts))
    every: Int64s = np.sum([held[leaf.full_name] for leaf in leaves], axis=0)
    return Series(name, tuple(leaf.full_name for leaf in leaves), others, sum(leaf.samples for leaf in leaves), every)
