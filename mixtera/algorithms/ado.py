"""`ado`: adaptive data optimization (arXiv 2410.11820)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from mixtera.algorithms import laws, losscurve
from mixtera.algorithms.numbers import Floats, floats, means, realised, shares, weights_of
from mixtera.contracts.algorithm import Feedback, FitResult, FitTask, Option, State, Weights

PROFILES: Final[dict[str, dict[str, Any]]] = {
    "official": {"history": "realised", "samples": "batch", "least_exponent": 0.05},
    "paper": {"history": "policy", "samples": "own", "least_exponent": 0.0},
}
_BY_PROFILE: Final = "Default: by the profile."
_KEPT: Final = (
    "gamma1", "gamma2", "credit", "least", "history", "samples", "least_exponent", "start", "ignore", "interval",
    "thin", "points", "starts",
)  # fmt: skip


class Ado:
    """Of each component a scaling law is fitted to its losses, and the one whose loss falls fastest gets more.

    With the law's L and ε, its exponent α, and n samples: ρ ∝ μ · max(α, least exponent) · (L − ε) / n · h^credit, not
    below `least` (raised, then normalised). π = γ2·ρ + (1 − γ2)·π̄, and then π̄ ← (1 − 1/(t+1))·π̄ + ρ/(t+1). μ are the
    weights of the spec, or even ones; h is a running mean of shares. Before the first fit the weights are those of the
    spec.
    """

    name: Final = "ado"
    version: Final = 1
    meaning: Final = "Adaptive data optimization: more of what a scaling law says will still fall fast."
    options: Final = (
        Option(
            "profile",
            "choice",
            "Whose formulas: those of the authors' code, or of the paper.",
            "official",
            choices=tuple(PROFILES),
        ),
        Option("prior", "choice", "μ: the spec's weights, or even ones.", "weights", choices=("weights", "uniform")),
        Option("gamma1", "number", "How fast h follows.", 0.1, 0.0, 1.0),
        Option("gamma2", "number", "How much of the weights is the newest preference.", 0.1, 0.0, 1.0),
        Option("credit", "number", "Exponent of h (s in the paper).", 0.5),
        Option("least", "number", "The least preference of a component (δ).", 0.01, 0.0, 1.0),
        Option(
            "history",
            "choice",
            f"What h follows: the shares of the batches, or the weights. {_BY_PROFILE}",
            choices=("realised", "policy"),
        ),
        Option(
            "samples",
            "choice",
            f"What n counts: the samples of all batches, or of the component's own. {_BY_PROFILE}",
            choices=("batch", "own"),
        ),
        Option("least_exponent", "number", f"The least α in the preference. {_BY_PROFILE}"),
        Option("start", "count", "First step at which laws may be fitted.", 1000),
        Option("ignore", "count", "Steps at the start that are not fitted.", 1000),
        Option("interval", "count", "Laws are fitted at multiples of this many steps.", 1000, least=1),
        Option("thin", "count", "Every how manieth step is fitted.", 10, least=1),
        Option("points", "count", "Points that are fitted at most: beyond it, every second goes.", 4096, least=2),
        Option("starts", "count", "Starts of the search: the best of the grid's 512.", 8, least=1, most=laws.STARTS),
    )  # fmt: skip

    def start(self, components: Sequence[str], weights: Sequence[float], options: Mapping[str, Any]) -> State:
        """No law yet."""
        profile = PROFILES[options["profile"]]
        chosen = {name: profile.get(name) if options[name] is None else options[name] for name in _KEPT}
        even = [1.0] * len(components)
        prior = shares(floats(even if options["prior"] == "uniform" else weights)).tolist()
        return {
            **chosen,
            "step": -1,
            "due": None,
            "law": None,
            "seen": [0.0] * len(components),
            "losses": None,
            "curve": losscurve.empty(),
            "prior": prior,
            "recent": prior,
            "average": prior,
        }

    def update(self, state: State, feedback: Feedback) -> tuple[State, Weights | None]:
        """Remember the losses, and weigh by the laws of the last fit."""
        before, batch = state["step"], realised(feedback)
        state = state | {"step": feedback.step, "due": None}
        if batch is None or not any(feedback.loss_count):
            return state, None
        state = _remembered(state, feedback, batch)
        interval = state["interval"]
        if feedback.step >= state["start"] and feedback.step // interval > before // interval:
            state = state | {"due": feedback.step}
        return (state, None) if state["law"] is None else _weighed(state)

    def needs_fit(self, state: State) -> FitTask | None:
        """The curve, at the steps where laws are fitted."""
        if state["due"] is None:
            return None
        points = losscurve.points(state["curve"], state["ignore"], state["thin"])
        if not points:
            return None
        _, samples, losses = zip(*points, strict=True)
        data = {"samples": list(samples), "losses": list(losses)}
        return FitTask(self.name, state["due"], data | {"weight": state["curve"]["stride"], "starts": state["starts"]})

    def fit(self, task: FitTask) -> FitResult:
        """A law for each component."""
        samples, losses = floats(task.data["samples"]).T, floats(task.data["losses"]).T
        found = [
            laws.fitted(n, each, task.data["weight"], task.data["starts"])
            for n, each in zip(samples, losses, strict=True)
        ]
        return FitResult(task.step, {"law": found})

    def apply(self, state: State, result: FitResult) -> State:
        """Take the laws; if one of them was not found, all stay as they were."""
        found = result.data["law"]
        return state if any(each is None for each in found) else state | {"law": found}


def _remembered(state: State, feedback: Feedback, batch: Floats) -> State:
    """The state with the losses and samples of a step."""
    whole = sum(feedback.loss_sum) / sum(feedback.loss_count)
    known = floats([whole] * len(batch) if state["losses"] is None else state["losses"])
    losses = means(feedback.loss_sum, feedback.loss_count, known).tolist()
    size = float(sum(feedback.samples)) or float(sum(feedback.loss_count))
    more = size * batch if state["samples"] == "own" else size
    seen = (floats(state["seen"]) + more).tolist()
    limits = state["ignore"], state["thin"], state["points"]
    curve = losscurve.extended(state["curve"], seen, losses, *limits)
    state = state | {"seen": seen, "losses": losses, "curve": curve}
    if state["history"] == "policy":
        return state
    gamma = state["gamma1"]
    return state | {"recent": ((1 - gamma) * floats(state["recent"]) + gamma * batch).tolist()}


def _weighed(state: State) -> tuple[State, Weights]:
    """The weights of the next step, by the laws."""
    law, seen = floats(state["law"]), np.maximum(floats(state["seen"]), 1.0)
    with np.errstate(all="ignore"):
        reducible = laws.law(law, seen) - np.exp(law[:, 1])
        speed = np.maximum(law[:, 2], state["least_exponent"]) * reducible / seen
        wanted = floats(state["prior"]) * speed * floats(state["recent"]) ** state["credit"]
    usable = np.isfinite(wanted).all() and wanted.sum() > 0
    preference = raised(shares(wanted) if usable else floats(state["prior"]), state["least"])
    average, turn = floats(state["average"]), state["step"] + 2  # t + 1, where t is the step that is weighed
    policy = (1 - state["gamma2"]) * average + state["gamma2"] * preference
    average = (1 - 1 / turn) * average + preference / turn
    state = state | {"average": average.tolist()}
    if state["history"] == "policy":
        gamma = state["gamma1"]
        state = state | {"recent": ((1 - gamma) * floats(state["recent"]) + gamma * policy).tolist()}
    return state, weights_of(policy)


def raised(preference: Floats, least: float) -> Floats:
    """Shares of which none is far below a bound: raised to it, then normalised, as the authors do.

    Where the bounds come to more than 1 the result is even.
    """
    return shares(np.maximum(preference, min(least, 1.0)))
