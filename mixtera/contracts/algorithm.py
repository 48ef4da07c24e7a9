"""Algorithm: what the weights of a mixture become, given the losses of the training. Pure functions over JSON values.

An algorithm has no clock, no file, no randomness but by a seed in its options, and no memory but its state: the same
feedback gives the same weights, after any restart. What is too slow for a training step is a fit: the algorithm says
what is to be fitted (`needs_fit`), anybody fits it anywhere (`fit`), and the result comes in (`apply`) at a step that
was named before.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol, TypeAlias, runtime_checkable

State: TypeAlias = dict[str, Any]
"""JSON values, nothing infinite or NaN. A state is never changed: an update makes a new one."""
Weights: TypeAlias = tuple[float, ...]
"""One per component: finite, not negative, with the sum 1."""


@dataclass(frozen=True, slots=True)
class Feedback:
    """What the training says of one step. All sequences have one entry per component.

    Attributes:
        step: The step, from 0.
        loss_sum: Sum of the losses of the tokens (or samples) that count.
        loss_count: How many count; 0 for a component that did not come.
        samples: Samples (sequences) of the batch.
        scalars: Other numbers by name, such as weights that are pushed.
    """

    step: int
    loss_sum: Sequence[float]
    loss_count: Sequence[float]
    samples: Sequence[float]
    scalars: Mapping[str, Sequence[float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FitTask:
    """Something slow to work out.

    Attributes:
        algorithm: Name of the algorithm whose `fit` does it.
        step: The step whose feedback was the last to go into it.
        data: JSON values, all that is needed.
    """

    algorithm: str
    step: int
    data: State


@dataclass(frozen=True, slots=True)
class FitResult:
    """What came out of a `FitTask`: its step, and JSON values."""

    step: int
    data: State


OptionKind: TypeAlias = Literal["number", "count", "flag", "choice", "numbers", "graph"]
_MOST: Final = 1e300
"""Numbers beyond it are as good as infinite."""
_EXPECTED: Final[dict[OptionKind, str]] = {
    "number": "a number",
    "count": "a whole number",
    "flag": "true or false",
    "choice": "one of some words",
    "numbers": "a mapping {component: number}",
    "graph": "a mapping {component: {component: number}}",
}


@dataclass(frozen=True, slots=True)
class Option:
    """An option of an algorithm.

    Attributes:
        name: Its key in the spec.
        kind: number, count (a whole number), flag, choice, numbers (by component), graph (by two components).
        meaning: What it says, in one sentence.
        default: Its value where none is given; None where `meaning` says what then holds.
        least: The least number.
        most: The greatest number.
        choices: The words of a choice.
        required: Whether it must be given.
    """

    name: str
    kind: OptionKind
    meaning: str
    default: object = None
    least: float = 0.0
    most: float = math.inf
    choices: tuple[str, ...] = ()
    required: bool = False

    def problem(self, value: object) -> str | None:
        """What is wrong with a value; None if nothing is."""
        match self.kind:
            case "flag":
                good = isinstance(value, bool)
            case "choice":
                good = value in self.choices
            case "numbers":
                good = _is_mapping(value) and all(map(self._is_number, value.values()))  # type: ignore[attr-defined]
            case "graph":
                good = _is_mapping(value) and all(
                    _is_mapping(row) and all(map(self._is_number, row.values()))
                    for row in value.values()  # type: ignore[attr-defined]
                )
            case "count":
                good = isinstance(value, int) and self._is_number(value)
            case "number":
                good = self._is_number(value)
        return None if good else f"expected {self.expected}"

    @property
    def expected(self) -> str:
        """What a value must be, in words."""
        if self.kind == "choice":
            return f"one of {', '.join(self.choices)}"
        if self.kind == "flag" or (self.least == -math.inf and self.most == math.inf):
            return _EXPECTED[self.kind]
        most = "" if self.most == math.inf else f" to {self.most:g}"
        return (
            f"{_EXPECTED[self.kind]}, {'each ' if self.kind in ('numbers', 'graph') else ''}from {self.least:g}{most}"
        )

    def _is_number(self, value: object) -> bool:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        return -_MOST <= value <= _MOST and self.least <= value <= self.most


def _is_mapping(value: object) -> bool:
    return isinstance(value, Mapping) and bool(value) and all(isinstance(key, str) for key in value)


@runtime_checkable
class Algorithm(Protocol):
    """A mixing algorithm: what an entry point of `mixtera.algorithms` names.

    Feedback that it gets is clean: steps ascend, each comes once, no loss, count or sample is infinite, NaN or
    negative, and a component whose loss is not known has the `loss_count` 0 (`mixtera.algorithms.steering` sees to it).
    Steps may be missing.

    Attributes:
        name: Its name.
        version: Version of its state: a state of another version is refused.
        meaning: What it does, in one sentence.
        options: Those it knows.
    """

    name: str
    version: int
    meaning: str
    options: tuple[Option, ...]

    def start(self, components: Sequence[str], weights: Sequence[float], options: Mapping[str, Any]) -> State:
        """The state before the first step.

        Args:
            components: Names of the components.
            weights: Their weights in the spec, with the sum 1.
            options: A value for every option that it has (None where there is no default).

        Raises:
            AlgorithmError: The options do not fit the components.
        """

    def update(self, state: State, feedback: Feedback) -> tuple[State, Weights | None]:
        """The state after a step, and the weights that it asks for; None for those before."""

    def needs_fit(self, state: State) -> FitTask | None:
        """What is to be fitted after the last update; None where nothing is."""

    def fit(self, task: FitTask) -> FitResult:
        """Do it: pure, slow, in any process.

        Raises:
            PluginError: It needs a package that is not installed.
        """

    def apply(self, state: State, result: FitResult) -> State:
        """The state with the result of a fit."""
