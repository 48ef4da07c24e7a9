"""`odm` and `exp3`: the components are the arms of a bandit, and a high loss is a high reward."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from mixtera.algorithms.numbers import Floats, floats, smoothed, softmax, weights_of
from mixtera.algorithms.periodic import PERIOD, Periodic, fresh
from mixtera.contracts.algorithm import Option, State, Weights

_MOST_EXPONENT: Final = 700.0
"""exp of more has no place in a float64."""


class Odm(Periodic):
    """Online data mixing (arXiv 2312.02406), as its authors' code has it.

    Of every component that came: R ← d·R + (1 − d)·exp(loss). With t steps so far and K components,
    ε_t = min(1/K, sqrt(ln K / (K·t))). `single`: w = (1 − K·ε_t)·softmax(ε_(t−1)·R) + ε_t. `group`: R / ΣR instead of
    the softmax. ε_0 is 1/K.
    """

    name: Final = "odm"
    version: Final = 1
    meaning: Final = "Online data mixing: a bandit whose exploration fades."
    options: Final = (
        Option(
            "rule",
            "choice",
            "`single`: exponential weights. `group`: linear ones.",
            "single",
            choices=("single", "group"),
        ),
        Option(
            "reward",
            "choice",
            "What is rewarded: the exponential of the loss, or the loss.",
            "exp",
            choices=("exp", "loss"),
        ),
        Option("decay", "number", "What is left of the older reward after a step.", 0.9, 0.0, 1.0),
        Option("warmup", "count", "Steps of the algorithm before it gives weights.", 0),
        PERIOD,
    )

    def start(self, components: Sequence[str], weights: Sequence[float], options: Mapping[str, Any]) -> State:
        """No reward yet."""
        chosen = {name: options[name] for name in ("rule", "reward", "decay", "warmup")}
        rewards = [0.0] * len(components)
        return (
            fresh(len(components), options["period"])
            | chosen
            | {"rewards": rewards, "turns": 0, "left": options["warmup"]}
        )

    def revise(self, state: State, sums: Floats, counts: Floats, samples: Floats) -> tuple[State, Weights | None]:
        """Pay the rewards."""
        came = counts > 0
        losses = np.where(came, sums / np.where(came, counts, 1.0), 0.0)
        paid = np.exp(np.minimum(losses, _MOST_EXPONENT)) if state["reward"] == "exp" else losses
        old = floats(state["rewards"])
        rewards = np.where(came, state["decay"] * old + (1 - state["decay"]) * paid, old)
        state = state | {"rewards": rewards.tolist()}
        if state["left"] > 0:
            return state | {"left": state["left"] - 1}, None
        arms, turns = len(rewards), state["turns"] + 1
        state = state | {"turns": turns}
        if not rewards.any():
            return state, None
        before, now = _exploration(arms, turns - 1), _exploration(arms, turns)
        chosen = softmax(before * rewards) if state["rule"] == "single" else rewards / rewards.sum()
        return state, weights_of((1 - arms * now) * chosen + now)


def _exploration(arms: int, turns: int) -> float:
    return 1 / arms if turns == 0 else min(1 / arms, math.sqrt(math.log(arms) / (arms * turns)))


class Exp3(Periodic):
    """EXP3 over batches.

    p = (1 − γ)·softmax(ln w) + γ/K. The reward of a component is its loss / `scale`, at most 1, times its share of the
    batch, divided by p (the textbook's importance weight, averaged over the samples); ln w ← ln w + η·reward / K.
    """

    name: Final = "exp3"
    version: Final = 1
    meaning: Final = "The textbook's adversarial bandit, over batches."
    options: Final = (
        Option("gamma", "number", "The part that is spread evenly.", 0.1, 0.0, 1.0),
        Option("eta", "number", "Step size.", 0.3),
        Option("scale", "number", "The loss that counts as the reward 1.", 10.0, least=1e-9),
        PERIOD,
    )

    def start(self, components: Sequence[str], weights: Sequence[float], options: Mapping[str, Any]) -> State:
        """Begins at the weights of the spec."""
        logarithms = np.log(np.maximum(floats(weights), 1e-12))
        chosen = {name: options[name] for name in ("gamma", "eta", "scale")}
        return fresh(len(components), options["period"]) | chosen | {"logarithms": logarithms.tolist()}

    def revise(self, state: State, sums: Floats, counts: Floats, samples: Floats) -> tuple[State, Weights | None]:
        """Pay the rewards."""
        batch = samples if samples.sum() > 0 else counts
        if batch.sum() <= 0:
            return state, None
        logarithms = floats(state["logarithms"])
        chances = smoothed(softmax(logarithms), state["gamma"])
        losses = np.where(counts > 0, sums / np.where(counts > 0, counts, 1.0), 0.0)
        rewards = np.minimum(losses / state["scale"], 1.0) * batch / batch.sum() / np.maximum(chances, 1e-12)
        logarithms = logarithms + state["eta"] * rewards / len(rewards)
        logarithms -= logarithms.max()
        return state | {"logarithms": logarithms.tolist()}, weights_of(smoothed(softmax(logarithms), state["gamma"]))
