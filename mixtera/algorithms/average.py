"""`loss_average`: weights in proportion to the losses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from mixtera.algorithms.numbers import Quick, floats, weights_of
from mixtera.contracts.algorithm import Feedback, Option, State, Weights


class LossAverage(Quick):
    """w ∝ mean loss, over all tokens so far, older ones counting less and less.

    After each step S ← d·S + loss sum and C ← d·C + count, and w ∝ S / C. A component whose loss was never seen counts
    as the mean of those that were, so that it keeps its chance.
    """

    name: Final = "loss_average"
    version: Final = 1
    meaning: Final = "Weights in proportion to the mean loss of each component."
    options: Final = (
        Option("decay", "number", "What is left of older losses after each step; 1 forgets nothing.", 0.99, 0.0, 1.0),
    )

    def start(self, components: Sequence[str], weights: Sequence[float], options: Mapping[str, Any]) -> State:
        """Nothing seen yet."""
        nothing = [0.0] * len(components)
        return {"decay": options["decay"], "sums": nothing, "counts": nothing}

    def update(self, state: State, feedback: Feedback) -> tuple[State, Weights | None]:
        """Add the losses."""
        came = floats(feedback.loss_count) > 0
        sums = state["decay"] * floats(state["sums"]) + np.where(came, floats(feedback.loss_sum), 0.0)
        counts = state["decay"] * floats(state["counts"]) + floats(feedback.loss_count)
        # The mean outlives its decay: what is too small to be divided is as good as never seen.
        seen = counts > np.finfo(np.float64).tiny
        state = state | {"sums": sums.tolist(), "counts": counts.tolist()}
        losses = np.where(seen, sums / np.where(seen, counts, 1.0), 0.0)
        if not losses.any():
            return state, None
        return state, weights_of(np.where(seen, losses, losses[seen].mean()))
