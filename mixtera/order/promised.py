"""A timeline that becomes known while it is read: a window of it, up to what is promised."""

from __future__ import annotations

from collections.abc import Sequence

from mixtera.order.seats import Int64s
from mixtera.order.timeline import ORDER_VERSION, Phase, Timeline


class Promised(Timeline):
    """The phases that cover what one reader still needs. Only positions before `known` may be asked for.

    `total` is None as long as the end does not lie before `known`. What was promised never changes, so whoever has
    asked for a position keeps the answer.
    """

    _state: tuple[Timeline, int]
    _version: int

    def __init__(self, order_version: int = ORDER_VERSION) -> None:
        """Nothing is promised yet."""
        object.__setattr__(self, "_version", order_version)
        self.extend((), None, 0)

    def extend(self, phases: Sequence[Phase], total: int | None, known: int) -> None:
        """Take a promise over.

        Args:
            phases: Those that cover what is still needed, ascending; the first may begin before it.
            total: The end, where it lies before `known`.
            known: Position after the last that is promised.
        """
        # One assignment, so that another thread sees the old state or the new one.
        object.__setattr__(self, "_state", (Timeline(tuple(phases), total), known))

    def __reduce__(self) -> tuple[type[Promised], tuple[int]]:
        return Promised, (self.order_version,)

    @property
    def known(self) -> int:
        """Position after the last that is promised."""
        return self._state[1]

    @property
    def phases(self) -> tuple[Phase, ...]:
        """The phases of the window."""
        return self._now.phases

    @property
    def total(self) -> int | None:
        """The end, where it is known."""
        return self._now.total

    @property
    def order_version(self) -> int:
        """Version of the order."""
        return self._version

    def filled(self, totals: Int64s) -> Int64s:
        """See `Timeline.filled`."""
        return self._now.filled(totals)

    def components(self, starts: Int64s, stops: Int64s) -> Int64s:
        """See `Timeline.components`."""
        return self._now.components(starts, stops)

    @property
    def _now(self) -> Timeline:
        return self._state[0]
