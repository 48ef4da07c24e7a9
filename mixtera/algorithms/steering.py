"""Steers a mixture: hands clean feedback to an algorithm, keeps floors and ceilings, and takes fits in at their step.

Everything is a pure function of a state, which is JSON. What happens to feedback:

- A step that is not after the last one (late, or said twice) changes nothing.
- Steps may be missing: an algorithm counts what it gets.
- A loss that is NaN, infinite or negative, or whose count is, makes its component one that did not come.
- Feedback of another number of components is an error.

A fit that a step asks for is applied before the first feedback at or after `step + lag`; whoever hands that feedback in
must have handed the fit in before. So the weights depend on the feedback alone, and not on how long a fit took. While a
fit is open, no other is asked for.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from mixtera.algorithms.options import completed
from mixtera.contracts.algorithm import Algorithm, Feedback, FitResult, FitTask, State, Weights
from mixtera.errors import AlgorithmError
from mixtera.order.bounds import bounded
from mixtera.registry import algorithm_named

VERSION: Final = 1
_LEAST: Final = 1e-9
"""What a weight of 0 counts as where there is a floor: for a bound, 0 is none at all."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a spec says of a mixture that follows the training.

    Attributes:
        algorithm: Its name.
        options: Its options.
        floor: The least share of every component, from 0 to 1.
        ceiling: The largest.
        every: Weights are given at multiples of this many steps.
        lag: Steps between the one that asks for a fit and the one at which it counts.
    """

    algorithm: str
    options: Mapping[str, Any] = field(default_factory=dict)
    floor: float | None = None
    ceiling: float | None = None
    every: int = 1
    lag: int = 1


@dataclass(frozen=True, slots=True)
class Outcome:
    """The state after some feedback, and new weights; None where they stay."""

    state: State
    weights: Weights | None


def begin(settings: Settings, components: Sequence[str], weights: Sequence[float]) -> State:
    """The state before the first step.

    Args:
        settings: What the spec says.
        components: Names of the components.
        weights: Their weights in the spec, on any scale, each above 0.

    Raises:
        PluginError: There is no such algorithm.
        AlgorithmError: The options or the bounds do not fit.
    """
    algorithm, total = algorithm_named(settings.algorithm), sum(weights)
    if len(components) != len(weights) or not components or not all(0 < weight < math.inf for weight in weights):
        raise AlgorithmError(f"every component needs a weight above 0 to start from; found {list(weights)}")
    _check_bounds(settings, len(components))
    options = completed(algorithm, settings.options, components)
    start = tuple(weight / total for weight in weights)
    return {
        "version": VERSION,
        "algorithm": algorithm.name,
        "algorithm_version": algorithm.version,
        "components": list(components),
        **{name: getattr(settings, name) for name in ("floor", "ceiling", "every", "lag")},
        "step": -1,
        "weights": list(_kept(start, settings.floor, settings.ceiling)),
        "asked": None,
        "open": None,
        "own": algorithm.start(components, start, options),
    }


def update(state: State, feedback: Feedback) -> Outcome:
    """Take feedback in.

    Raises:
        AlgorithmError: It is of other components, or a fit must be handed in before; see `is_waiting`.
    """
    algorithm = _of(state)
    _check_shape(state, feedback)
    if feedback.step <= state["step"]:
        return Outcome(state, None)
    if is_waiting(state, feedback.step):
        asked = state["open"]["task"]["step"]
        raise AlgorithmError(
            f"the fit of step {asked} counts from step {feedback.step} on; hand it in before (`given`)"
        )
    state = _with_fit(algorithm, state, feedback.step)
    own, asked = algorithm.update(state["own"], _clean(feedback))
    task = algorithm.needs_fit(own) if state["open"] is None else None
    crossed = feedback.step // state["every"] > state["step"] // state["every"]
    state = state | {"own": own, "step": feedback.step}
    if asked is not None:
        state = state | {"asked": list(_checked(algorithm, asked, len(state["components"])))}
    if task is not None:
        state = state | {"open": {"at": task.step + state["lag"], "task": asdict(task), "result": None}}
    if not crossed or state["asked"] is None:
        return Outcome(state, None)
    weights = _kept(state["asked"], state["floor"], state["ceiling"])
    changed = list(weights) != state["weights"]
    return Outcome(state | {"weights": list(weights), "asked": None}, weights if changed else None)


def task(state: State) -> FitTask | None:
    """The fit that is to be done now; None where there is none, or its result is there."""
    waiting = state["open"]
    return None if waiting is None or waiting["result"] is not None else FitTask(**waiting["task"])


def fitted(task: FitTask) -> FitResult:
    """Do a fit: in any process, as the task says all.

    Raises:
        PluginError: The algorithm needs a package that is not installed.
    """
    return algorithm_named(task.algorithm).fit(task)


def given(state: State, result: FitResult) -> State:
    """The state with the result of its fit; one that is not asked for, or comes twice, changes nothing."""
    waiting = state["open"]
    if waiting is None or waiting["result"] is not None or waiting["task"]["step"] != result.step:
        return state
    return state | {"open": waiting | {"result": asdict(result)}}


def is_waiting(state: State, step: int) -> bool:
    """Whether a fit must be handed in before the feedback of a step."""
    waiting = state["open"]
    return waiting is not None and waiting["result"] is None and step >= waiting["at"]


def _of(state: State) -> Algorithm:
    """The algorithm of a state.

    Raises:
        AlgorithmError: The state is of another version.
    """
    algorithm = algorithm_named(state["algorithm"])
    found, known = (state["version"], state["algorithm_version"]), (VERSION, algorithm.version)
    if found != known:
        raise AlgorithmError(
            f"a state of {algorithm.name} in version {found[0]}.{found[1]}, and this release reads "
            f"{known[0]}.{known[1]}; go on with the release that wrote it"
        )
    return algorithm


def _with_fit(algorithm: Algorithm, state: State, step: int) -> State:
    waiting = state["open"]
    if waiting is None or step < waiting["at"]:
        return state
    return state | {"open": None, "own": algorithm.apply(state["own"], FitResult(**waiting["result"]))}


def _check_shape(state: State, feedback: Feedback) -> None:
    wanted = len(state["components"])
    vectors = {"loss_sum": feedback.loss_sum, "loss_count": feedback.loss_count, "samples": feedback.samples}
    for name, values in (vectors | dict(feedback.scalars)).items():
        if len(values) != wanted:
            raise AlgorithmError(
                f"feedback of step {feedback.step}: {name} has {len(values)} numbers, and there are {wanted} "
                f"components: {', '.join(state['components'])}"
            )


def _clean(feedback: Feedback) -> Feedback:
    """The feedback without what is no number: a component with such a loss did not come."""
    sums, counts = map(float, feedback.loss_sum), map(float, feedback.loss_count)
    good = [
        (total, count) if 0 <= total < math.inf and 0 < count < math.inf else (0.0, 0.0)
        for total, count in zip(sums, counts, strict=True)
    ]
    samples = tuple(float(value) if 0 <= value < math.inf else 0.0 for value in feedback.samples)
    scalars = {name: tuple(map(float, values)) for name, values in feedback.scalars.items()}
    return Feedback(
        feedback.step, tuple(total for total, _ in good), tuple(count for _, count in good), samples, scalars
    )


def _checked(algorithm: Algorithm, weights: Weights, components: int) -> Weights:
    """The weights of an algorithm, which may be somebody's plugin."""
    if len(weights) != components or not all(0 <= weight < math.inf for weight in weights) or not sum(weights):
        raise AlgorithmError(f"the algorithm {algorithm.name} gave weights that are none: {list(weights)}")
    return weights


def _kept(weights: Sequence[float], floor: float | None, ceiling: float | None) -> Weights:
    """The nearest shares that keep the bounds."""
    if floor is None and ceiling is None:
        total = sum(weights)
        return tuple(weight / total for weight in weights)
    least = _LEAST if floor or ceiling is not None else 0.0
    raised = [max(float(weight), least) for weight in weights]
    total = sum(raised)
    shares = [weight / total for weight in raised]
    return bounded(shares, [floor] * len(shares), [ceiling] * len(shares))


def _check_bounds(settings: Settings, components: int) -> None:
    if settings.floor is not None and settings.floor * components > 1 + 1e-12:
        raise AlgorithmError(
            f"floor: {components} components with {settings.floor:g} each come to more than 1; it can be "
            f"{math.floor(1e4 / components) / 1e4:g} at most"
        )
    if settings.ceiling is not None and settings.ceiling * components < 1 - 1e-12:
        raise AlgorithmError(
            f"ceiling: {components} components with {settings.ceiling:g} each come to less than 1: nobody may have the "
            f"rest; it must be {math.ceil(1e4 / components) / 1e4:g} at least"
        )
