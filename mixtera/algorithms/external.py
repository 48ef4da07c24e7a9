"""`external`: the trainer decides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from mixtera.algorithms.numbers import Quick, floats, weights_of
from mixtera.contracts.algorithm import Feedback, Option, State, Weights

SCALAR: Final = "weights"


class External(Quick):
    """Weights that the trainer pushes with a step, as the scalars `weights`; on any scale.

    Weights that are not finite, negative, or without a sum are as good as none.
    """

    name: Final = "external"
    version: Final = 1
    meaning: Final = "Weights that the trainer pushes, as the scalars `weights` of its feedback."
    options: Final[tuple[Option, ...]] = ()

    def start(self, components: Sequence[str], weights: Sequence[float], options: Mapping[str, Any]) -> State:
        """There is nothing to remember."""
        return {}

    def update(self, state: State, feedback: Feedback) -> tuple[State, Weights | None]:
        """Hand the weights on."""
        pushed = floats(feedback.scalars.get(SCALAR, ()))
        if len(pushed) != len(feedback.samples) or not (pushed >= 0).all() or not 0 < pushed.sum() < float("inf"):
            return state, None
        return state, weights_of(pushed)
