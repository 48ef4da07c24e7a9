"""Places: from a place that the seats give out to an epoch, and a place in it.

A plan that is not a continuation gives place p of a component of N samples the epoch p // N. A continuation begins
where another plan stopped: a component that goes on as it was has a *head*, the places that the other plan had jumped
over, before it goes on at its *cursor*; one that has changed leaves out in its first epoch what was delivered.

Where samples are cut into sequences of tokens, places are sequences: head, cursor and `counted` hold for them as they
are, and `mixtera.order.concat` finds the epochs, whose edges lie inside sequences.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mixtera.cached import cached_property
from mixtera.order.seats import Int64s


@dataclass(frozen=True)
class Start:
    """Where each component of a continuation begins.

    Attributes:
        first_epoch: [K] int64, number of the first epoch.
        cursor: [K] int64, the place, counted from the first epoch's first, that follows the head.
        head: [sum of heads] int64, places before the cursor that come first, ascending for each component.
        head_sizes: [K] int64.
    """

    first_epoch: Int64s
    cursor: Int64s
    head: Int64s
    head_sizes: Int64s

    @classmethod
    def of_new(cls, components: int) -> Start:
        """All components at the beginning."""
        zeros = np.zeros(components, np.int64)
        return cls(zeros, zeros, np.empty(0, np.int64), zeros)


@dataclass(frozen=True)
class Places:
    """Place ↔ (epoch, place in the epoch), for all components.

    Attributes:
        sizes: [K] int64, places of an epoch.
        first_sizes: [K] int64, places of the first epoch.
        start: Where each component begins.
    """

    sizes: Int64s
    first_sizes: Int64s
    start: Start

    @cached_property
    def _head_first(self) -> Int64s:
        first: Int64s = np.cumsum(self.start.head_sizes) - self.start.head_sizes
        return first

    @cached_property
    def _plain(self) -> bool:
        start = self.start
        moved = start.first_epoch.any() or start.cursor.any() or len(start.head) > 0
        return not moved and bool((self.sizes == self.first_sizes).all())

    def split(self, component: Int64s, place: Int64s) -> tuple[Int64s, Int64s]:
        """Epoch, and place in it, of some places.

        Args:
            component: [n] int64.
            place: [n] int64, as the seats give them out.

        Returns:
            Two [n] int64 arrays.
        """
        if self._plain:
            return np.divmod(place, self.sizes[component])
        counted = self.counted(component, place)
        behind = counted - self.first_sizes[component]
        epoch, within = np.divmod(np.maximum(behind, 0), self.sizes[component])
        first = behind < 0
        return self.start.first_epoch[component] + np.where(first, 0, epoch + 1), np.where(first, counted, within)

    def counted(self, component: Int64s, place: Int64s) -> Int64s:
        """[n] places counted from the beginning of the first epoch: what the head jumps over has its number too."""
        size = self.start.head_sizes[component]
        counted = place - size + self.start.cursor[component]
        inside = place < size
        counted[inside] = self.start.head[(self._head_first[component] + place)[inside]]
        return counted

    def joined(self, component: int, epoch: int, within: int) -> int | None:
        """The place that holds a place of an epoch; None where it lies before the start."""
        later = epoch - int(self.start.first_epoch[component])
        if later < 0:
            return None
        before = int(self.first_sizes[component]) + (later - 1) * int(self.sizes[component]) if later else 0
        return self.uncounted(component, before + within)

    def lowest(self, component: int) -> int:
        """The first of the places that a component gives out, counted from the beginning of the first epoch."""
        first = int(self._head_first[component])
        return int(self.start.head[first]) if self.start.head_sizes[component] else int(self.start.cursor[component])

    def uncounted(self, component: int, counted: int) -> int | None:
        """The place that is counted so from the beginning of the first epoch; None where it lies before the start."""
        size, cursor = int(self.start.head_sizes[component]), int(self.start.cursor[component])
        if counted >= cursor:
            return size + counted - cursor
        first = int(self._head_first[component])
        head = self.start.head[first : first + size]
        at = int(np.searchsorted(head, counted))
        return at if at < size and int(head[at]) == counted else None
