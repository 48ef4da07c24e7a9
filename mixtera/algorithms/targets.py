"""`sheared` and `velocity`: more of what is far from the loss that it should reach."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from mixtera.algorithms.numbers import Floats, by_component, floats, smoothed, softmax, weights_of
from mixtera.algorithms.periodic import SLOW_PERIOD, Periodic, fresh
from mixtera.contracts.algorithm import Option, State, Weights
from mixtera.errors import AlgorithmError

_TARGETS: Final = Option("targets", "numbers", "The loss that each component should reach.", required=True)
_ETA: Final = Option("eta", "number", "Step size.", 1.0)


class Sheared(Periodic):
    """Dynamic batch loading of Sheared LLaMA (arXiv 2310.06694), as in DoReMi with given reference losses.

    excess = loss − target, of a component that did not come its last one. `doremi`: ln p ← ln p + η·excess, softmax,
    then p ← (1 − c)·p + c/K. `bandit`: p ← softmax(p + η·excess). With `clip`, an excess below 0 counts as 0.
    """

    name: Final = "sheared"
    version: Final = 1
    meaning: Final = "More of what is above its target loss (DoReMi, Sheared LLaMA)."
    options: Final = (
        _TARGETS,
        Option("rule", "choice", "`doremi` or `bandit`, see above.", "doremi", choices=("doremi", "bandit")),
        _ETA,
        Option("smoothing", "number", "The part that is spread evenly (`doremi`).", 1e-4, 0.0, 1.0),
        Option("clip", "flag", "Whether being below a target counts as being at it.", False),
        SLOW_PERIOD,
    )

    def start(self, components: Sequence[str], weights: Sequence[float], options: Mapping[str, Any]) -> State:
        """Begins at the weights of the spec."""
        chosen = {name: options[name] for name in ("rule", "eta", "smoothing", "clip")}
        own = {"targets": targets_of(components, options), "shares": list(map(float, weights))}
        return fresh(len(components), options["period"]) | chosen | own

    def revise(self, state: State, sums: Floats, counts: Floats, samples: Floats) -> tuple[State, Weights | None]:
        """Weigh by the excess."""
        targets = state["targets"]
        known = [target if loss is None else loss for loss, target in zip(state["losses"], targets, strict=True)]
        excess = floats(known) - floats(targets)
        excess = np.maximum(excess, 0.0) if state["clip"] else excess
        before = floats(state["shares"])
        if state["rule"] == "bandit":
            now = softmax(before + state["eta"] * excess)
        else:
            now = smoothed(softmax(np.log(np.maximum(before, 1e-300)) + state["eta"] * excess), state["smoothing"])
        return state | {"shares": now.tolist()}, weights_of(now)


class Velocity(Periodic):
    """Velocitune (arXiv 2411.14318): more of what learns slowly.

    left = (loss − target) / (initial − target), from 1 at the start to 0 at the target; ln w ← ln w + η·left, softmax.
    `initial` is the first loss that is seen, where it is not given. A component that is not above its target at the
    start has nothing left.
    """

    name: Final = "velocity"
    version: Final = 1
    meaning: Final = "More of what has come less far from its initial to its target loss."
    options: Final = (
        _TARGETS,
        Option("initial", "numbers", "The loss of each component at the start. Default: the first that is seen."),
        _ETA,
        SLOW_PERIOD,
    )

    def start(self, components: Sequence[str], weights: Sequence[float], options: Mapping[str, Any]) -> State:
        """Begins at the weights of the spec."""
        own = {
            "eta": options["eta"],
            "targets": targets_of(components, options),
            "initial": by_component(components, options["initial"], None),
            "shares": list(map(float, weights)),
        }
        return fresh(len(components), options["period"]) | own

    def revise(self, state: State, sums: Floats, counts: Floats, samples: Floats) -> tuple[State, Weights | None]:
        """Weigh by what is left."""
        pairs = zip(state["initial"], state["losses"], strict=True)
        initial = [loss if first is None else first for first, loss in pairs]
        left = [
            0.0 if loss is None or first is None or first <= target else (loss - target) / (first - target)
            for loss, first, target in zip(state["losses"], initial, state["targets"], strict=True)
        ]
        logarithms = np.log(np.maximum(floats(state["shares"]), 1e-300))
        now = softmax(logarithms + state["eta"] * floats(left))
        return state | {"initial": initial, "shares": now.tolist()}, weights_of(now)


def targets_of(components: Sequence[str], options: Mapping[str, Any]) -> list[float]:
    """The target of every component.

    Raises:
        AlgorithmError: One has none.
    """
    targets = by_component(components, options["targets"], None)
    if missing := [name for name, target in zip(components, targets, strict=True) if target is None]:
        raise AlgorithmError(
            f"targets: the loss that {', '.join(missing)} should reach is missing; name every component"
        )
    return targets
