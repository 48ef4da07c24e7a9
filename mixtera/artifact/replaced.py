"""Replaced: pointers of positions whose samples could not be read, and of what a job delivered there instead."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from mixtera.order.keys import key_of, keys

if TYPE_CHECKING:
    from mixtera.artifact.pointers import PointerMap, Pointers
    from mixtera.order.seats import Int64s

_DRAWN: Final = 0x534B4950
"""Tells these keys from those of the order."""
_FIELDS: Final = ("file", "row", "start", "stop", "sample")


class Replaced:
    """The skips of a plan, ready to be put into pointers."""

    def __init__(self, pointers: PointerMap) -> None:
        """Find the samples that were delivered.

        Args:
            pointers: The plan's pointers.

        Raises:
            PlanError: The plan has not chosen one of them.
        """
        self._skips = sorted(pointers.data.skips, key=lambda skip: skip.position)
        self._positions = np.array([skip.position for skip in self._skips], np.int64)
        self._instead = pointers.of([skip.instead for skip in self._skips])

    def put(self, found: Pointers) -> Pointers:
        """Pointers with what was delivered at their positions."""
        at = np.minimum(np.searchsorted(self._positions, found.position), len(self._positions) - 1)
        hit = np.flatnonzero(self._positions[at] == found.position)
        return spliced(found, hit, self._instead, at[hit]) if len(hit) else found

    def located(self, sample: int, positions: list[int], limit: int) -> list[int]:
        """The positions of a sample, among those before a limit, once skips are taken into account."""
        without = {skip.position for skip in self._skips if skip.sample == sample}
        also = {skip.position for skip in self._skips if skip.instead == sample and skip.position < limit}
        return sorted((set(positions) - without) | also)


def spliced(found: Pointers, hit: Int64s, others: Pointers, which: Int64s) -> Pointers:
    """Pointers of which some lead to other samples, at the same positions.

    Args:
        found: The pointers.
        hit: The places in them that change.
        others: Pointers to the other samples.
        which: For each of `hit`, the place in `others`.
    """
    changed = {}
    for name in _FIELDS:
        changed[name] = getattr(found, name).copy()
        changed[name][hit] = getattr(others, name)[which]
    return replace(found, **changed)


def drawn(pointers: PointerMap, position: Int64s, component: Int64s, attempt: int) -> tuple[Pointers, Int64s]:
    """Other samples of the same components, as a hash of the position says: any sample as likely as any other.

    Args:
        pointers: The plan's pointers.
        position: [n] positions.
        component: [n] their components.
        attempt: Which draw it is, from 0.

    Returns:
        The samples, and the places among `position` that they are for: a sample that is excluded is none.
    """
    permutation, edges = pointers.permutation, pointers.data.component_entries
    first = permutation.sample_first[edges]
    key = key_of(pointers.data.order.seed, _DRAWN, attempt)
    size = (first[component + 1] - first[component]).astype(np.uint64)
    number = first[component] + (keys(key, position) % size).astype(np.int64)
    excluded = pointers.data.variation.excluded
    kept = np.arange(len(number)) if excluded is None else np.flatnonzero(~excluded.holds(number))
    entry = np.searchsorted(permutation.sample_first, number[kept], side="right") - 1
    rank = number[kept] - permutation.sample_first[entry]
    return pointers.documents(position[kept], component[kept], entry, rank), kept


def some(found: Pointers, places: Int64s) -> Pointers:
    """Some of the pointers."""
    return replace(found, **{field.name: getattr(found, field.name)[places] for field in fields(found)})
