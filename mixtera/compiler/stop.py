"""Where a run stands in its plan: what of each component is delivered, and what is not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mixtera.artifact.pointers import PointerMap
from mixtera.artifact.sequences import packer_of
from mixtera.cached import cached_property
from mixtera.compiler.cursors import Cursor, SequenceCursor
from mixtera.compiler.files import Int64s
from mixtera.order.concat import Concatenation
from mixtera.plan import Plan
from mixtera.stream.state import PlanIdentity


@dataclass(frozen=True)
class Stop:
    """A plan, and the position at which another one takes over.

    Attributes:
        plan: The plan.
        position: Position in the run.
    """

    plan: Plan
    position: int

    @classmethod
    def of(cls, plan: Plan, state: Mapping[str, object]) -> Stop:
        """Where a resume state stands in its plan.

        Raises:
            StateError: It is not a state, or one of another plan.
        """
        return cls(plan, PlanIdentity.of(plan.data, plan.digest).position_of(state))

    @cached_property
    def map(self) -> PointerMap:
        """The plan's pointers."""
        return PointerMap(self.plan.data)

    @cached_property
    def cursors(self) -> tuple[Cursor, ...]:
        """Where each component of the plan stands."""
        lanes, timeline = self.map.lanes, self.plan.data.timeline
        position = self.position - self.plan.start
        size = lanes.round_size
        last = position if position % size == 0 else (position // size + 1) * size
        filled = timeline.filled(np.array([position, last]))
        open_ = lanes.range(position, last)
        order = np.lexsort((open_.place, open_.component))
        component, place = open_.component[order], open_.place[order]
        edges = np.searchsorted(component, np.arange(filled.shape[1] + 1))
        return tuple(
            self._cursor(number, given, place[edges[number] : edges[number + 1]], end)
            for number, (given, end) in enumerate(filled.T.tolist())
        )

    def _cursor(self, component: int, given: int, waiting: Int64s, end: int) -> Cursor:
        if self._packer is None:
            return Cursor(self.map, component, given, waiting, end)
        return SequenceCursor(self.map, self._packer, component, given, waiting, end)

    @cached_property
    def _packer(self) -> Concatenation | None:
        """What the plan's sequences consist of; None where samples are positions."""
        tokens = self.plan.data.tokens
        packer = packer_of(tokens, self.map.permutation) if tokens is not None and tokens.packs else None
        assert packer is None or isinstance(packer, Concatenation)
        return packer
