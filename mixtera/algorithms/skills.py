"""`skill_it`: components teach each other, by a given graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from mixtera.algorithms.numbers import Floats, floats, softmax, weights_of
from mixtera.algorithms.periodic import SLOW_PERIOD, Periodic, fresh
from mixtera.contracts.algorithm import Option, State, Weights


class SkillIt(Periodic):
    """Skill-It (arXiv 2307.14430) with a graph that is given.

    p_i ∝ exp(η · Σ_j A_ij · Σ of the last `window` losses of j): more of what teaches that which is not learned yet.
    A_ij says how much i teaches j. A component whose loss was never seen adds nothing.
    """

    name: Final = "skill_it"
    version: Final = 1
    meaning: Final = "More of what teaches components whose loss is high, by a given graph."
    options: Final = (
        Option(
            "graph",
            "graph",
            "A_ij as {i: {j: number}}: how much i teaches j. What is not named is 0, and 1 from each to itself. "
            "Default: each teaches itself.",
        ),
        Option("eta", "number", "Step size.", 0.2),
        Option("window", "count", "How many steps of the algorithm the losses are added over.", 3, least=1),
        Option("normalise", "flag", "Divide each loss by the first one of its component.", False),
        SLOW_PERIOD,
    )

    def start(self, components: Sequence[str], weights: Sequence[float], options: Mapping[str, Any]) -> State:
        """No losses yet."""
        given = options["graph"] or {}
        graph = [[float(given.get(i, {}).get(j, i == j)) for j in components] for i in components]
        chosen = {name: options[name] for name in ("eta", "window", "normalise")}
        return fresh(len(components), options["period"]) | chosen | {"graph": graph, "recent": [], "first": None}

    def revise(self, state: State, sums: Floats, counts: Floats, samples: Floats) -> tuple[State, Weights | None]:
        """Weigh by the losses that each would lower."""
        losses = state["losses"]
        first = [
            loss if old is None else old
            for loss, old in zip(losses, state["first"] or [None] * len(losses), strict=True)
        ]
        recent = [*state["recent"], [loss or 0.0 for loss in losses]][-state["window"] :]
        state = state | {"first": first, "recent": recent}
        added = floats(recent).sum(axis=0)
        if state["normalise"]:
            added = added / floats([loss or 1.0 for loss in first])
        return state, weights_of(softmax(state["eta"] * floats(state["graph"]) @ added))
