"""Fits scaling laws to losses: the slow part of `ado`.

L(n) = exp(e) + exp(a)·n^(−α), fitted in logarithms with a Huber loss of width 0.001, summed over the points, and four
soft penalties of weight 1: α above 0.8, α below 0.001, e below 0.5, a above 6.5. The start is the best of a grid.
"""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np

from mixtera.algorithms.numbers import Floats, floats
from mixtera.registry import missing

HUBER: Final = 1e-3
MOST_ITERATIONS: Final = 200
TOLERANCE: Final = 1e-5
STARTS: Final = 8 * 8 * 8


@cache
def grid() -> Floats:
    """[512, 3] a, e, α: where the search begins."""
    axes = np.meshgrid(np.arange(-2.0, 6.0), np.arange(-2.0, 2.0, 0.5), np.arange(8) / 10, indexing="ij")
    return np.stack([axis.ravel() for axis in axes], axis=1)


def law(parameters: Floats, n: Floats) -> Floats:
    """The losses that laws [K, 3] say after n samples [K]."""
    a, e, alpha = parameters.T
    result: Floats = np.exp(e) + np.exp(a - alpha * np.log(n))
    return result


def objective(parameters: Floats, log_n: Floats, target: Floats, weight: float = 1.0) -> tuple[float, Floats]:
    """What is minimised, and its gradient.

    Args:
        parameters: [3] a, e, α.
        log_n: [P] logarithms of n.
        target: [P] logarithms of the losses.
        weight: How often each point counts.
    """
    a, e, alpha = parameters
    falling = a - alpha * log_n
    predicted = np.logaddexp(falling, e)
    part = np.exp(falling - predicted)  # d predicted / d falling
    difference = predicted - target
    size = np.abs(difference)
    value = np.where(size > HUBER, HUBER * (size - 0.5 * HUBER), 0.5 * size**2).sum()
    slope = np.clip(difference, -HUBER, HUBER)
    gradient = floats([(slope * part).sum(), (slope * (1 - part)).sum(), -(slope * part * log_n).sum()])
    penalty = max(alpha - 0.8, 0.0) - min(alpha, 0.001) - min(e - 0.5, 0.0) + max(a - 6.5, 0.0)
    pull = floats([float(a > 6.5), -float(e < 0.5), float(alpha > 0.8) - float(alpha < 0.001)])
    return float(weight * value + penalty), weight * gradient + pull


def fitted(n: Floats, losses: Floats, weight: float, starts: int) -> list[float] | None:
    """The law that fits some points best; None where none can be found.

    Args:
        n: [P] samples at each point.
        losses: [P] losses there.
        weight: How often each point counts.
        starts: From how many points of the grid the search begins: those that fit best as they are, of each α in turn.

    Raises:
        PluginError: scipy is not installed.
    """
    try:
        from scipy.optimize import minimize
    except ImportError as error:
        raise missing("the algorithm 'ado', which fits scaling laws,", "ado", error) from error

    log_n, target = np.log(np.maximum(n, 1.0)), np.log(np.maximum(losses, 1e-12))
    values = floats([objective(start, log_n, target, weight)[0] for start in grid()])
    chosen = grid()[_order(values)[:starts]]
    options = {"maxiter": MOST_ITERATIONS, "gtol": TOLERANCE, "ftol": 1e-12}
    found: tuple[float, Floats] | None = None
    for start in chosen:
        with np.errstate(all="ignore"):  # a search may run into overflow; its value is then not the least
            result = minimize(objective, start, (log_n, target, weight), "L-BFGS-B", jac=True, options=options)
        if np.isfinite(result.fun) and np.isfinite(result.x).all() and (found is None or result.fun < found[0]):
            found = float(result.fun), result.x
    return None if found is None else [float(value) for value in found[1]]


def _order(values: Floats) -> list[int]:
    """The points of the grid: the best of each α, then the second best of each, and so on.

    Laws of different α fit a short curve nearly as well as each other, and a search hardly leaves its own.
    """
    by_alpha = values.reshape(64, 8)
    ranks = np.argsort(np.argsort(by_alpha, axis=0, kind="stable"), axis=0, kind="stable").ravel()
    order: list[int] = np.lexsort((values, ranks)).tolist()
    return order
