"""Small arithmetic that the algorithms share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mixtera.contracts.algorithm import Feedback, FitResult, FitTask, State, Weights

Floats = npt.NDArray[np.float64]


def floats(values: object) -> Floats:
    """An array of float64."""
    return np.asarray(values, np.float64)


def shares(values: Floats) -> Floats:
    """Values divided by their sum."""
    result: Floats = values / values.sum()
    return result


def weights_of(values: Floats) -> Weights:
    """Shares as plain numbers."""
    return tuple(shares(values).tolist())


def softmax(logarithms: Floats) -> Floats:
    """Shares whose logarithms differ as these do; safe for any size."""
    return shares(np.exp(logarithms - logarithms.max()))


def smoothed(values: Floats, part: float) -> Floats:
    """Shares of which a part is spread evenly."""
    result: Floats = (1 - part) * values + part / len(values)
    return result


def means(sums: Sequence[float], counts: Sequence[float], otherwise: Floats) -> Floats:
    """Means where something was counted, other values elsewhere."""
    counted = floats(counts)
    seen = counted > 0
    return np.where(seen, floats(sums) / np.where(seen, counted, 1.0), otherwise)


def realised(feedback: Feedback) -> Floats | None:
    """The shares of a batch: of its samples, or of what its losses count where no samples are given."""
    counted = floats(feedback.samples)
    if counted.sum() <= 0:
        counted = floats(feedback.loss_count)
    return shares(counted) if counted.sum() > 0 else None


class Quick:
    """An algorithm without fits."""

    def needs_fit(self, state: State) -> FitTask | None:
        """Nothing ever is."""
        return None

    def fit(self, task: FitTask) -> FitResult:
        """Nothing is fitted."""
        return FitResult(task.step, {})

    def apply(self, state: State, result: FitResult) -> State:
        """Nothing comes in."""
        return state


def by_component(components: Sequence[str], given: dict[str, Any] | None, otherwise: float | None) -> list[Any]:
    """The values of a mapping in the order of the components."""
    return [(given or {}).get(name, otherwise) for name in components]
