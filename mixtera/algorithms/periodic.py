"""Algorithms that change the weights once in a while, by the mean losses since the last time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Final

from mixtera.algorithms.numbers import Floats, Quick, floats, means
from mixtera.contracts.algorithm import Feedback, Option, State, Weights

PERIOD: Final = Option(
    "period", "count", "How many reports make a step of the algorithm: their losses are added up.", 1, least=1
)
SLOW_PERIOD: Final = Option(PERIOD.name, PERIOD.kind, PERIOD.meaning, 100, least=1)


class Periodic(Quick, ABC):
    """Adds reports up. Its state has `reports`, `sums`, `counts`, `samples` since the last step, and `losses`."""

    @abstractmethod
    def revise(self, state: State, sums: Floats, counts: Floats, samples: Floats) -> tuple[State, Weights | None]:
        """One step of the algorithm. `state["losses"]` are the newest mean losses; None where there never was one."""

    def update(self, state: State, feedback: Feedback) -> tuple[State, Weights | None]:
        """Add a report, and take a step when there are enough of them."""
        sums = floats(state["sums"]) + floats(feedback.loss_sum)
        counts = floats(state["counts"]) + floats(feedback.loss_count)
        samples = floats(state["samples"]) + floats(feedback.samples)
        reports = state["reports"] + 1
        if reports < state["period"]:
            more = {"sums": sums.tolist(), "counts": counts.tolist(), "samples": samples.tolist(), "reports": reports}
            return state | more, None
        fresh = means(sums.tolist(), counts.tolist(), floats(float("nan"))).tolist()
        losses = [
            new if count else old for new, old, count in zip(fresh, state["losses"], counts.tolist(), strict=True)
        ]
        state = state | blank(len(losses), state["period"]) | {"losses": losses}
        return self.revise(state, sums, counts, samples)


def blank(components: int, period: int) -> State:
    """What `Periodic` keeps, before the first report of a period."""
    nothing = [0.0] * components
    return {"period": period, "reports": 0, "sums": nothing, "counts": nothing, "samples": nothing}


def fresh(components: int, period: int) -> State:
    """What `Periodic` keeps, before the first report of all."""
    return blank(components, period) | {"losses": [None] * components}
