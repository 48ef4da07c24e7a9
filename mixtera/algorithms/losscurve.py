"""Losses over time as `ado` fits them: smoothed, thinned, and never the whole history.

A Savitzky–Golay filter over the whole history is, away from its ends, a filter over a window. So the points that are a
window's half old are final, and kept thinned; only the last window is kept raw. The result is that of the filter over
everything, with the ends fitted as `scipy.signal.savgol_filter` does by default.
"""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np

from mixtera.algorithms.numbers import Floats, floats
from mixtera.contracts.algorithm import State

WINDOW: Final = 101
ORDER: Final = 3
HALF: Final = WINDOW // 2


@cache
def smoother() -> Floats:
    """[WINDOW, WINDOW] row i: weights of the rows of a window in the polynomial's value at i."""
    x = np.linspace(-1.0, 1.0, WINDOW)
    basis, _ = np.linalg.qr(np.vander(x, ORDER + 1))
    result: Floats = basis @ basis.T
    return result


def empty() -> State:
    """No history. `rows` are the last [samples, losses] by component; `points` are final; `stride` thins them more."""
    return {"length": 0, "rows": [], "points": [], "stride": 1}


def extended(curve: State, samples: list[float], losses: list[float], ignore: int, thin: int, most: int) -> State:
    """The curve with one more row.

    Args:
        curve: The curve.
        samples: Samples of each component so far.
        losses: Loss of each.
        ignore: Rows at the start that are not fitted.
        thin: Every how manieth row after them is.
        most: Points that are kept; with more, every second goes, and the others count twice as much.
    """
    length = curve["length"] + 1
    rows = [*curve["rows"][-(WINDOW - 1) :], [samples, losses]]
    curve = curve | {"length": length, "rows": rows}
    if length < WINDOW:
        return curve
    first = length - WINDOW
    final = range(HALF + 1) if first == 0 else (HALF,)
    fresh = [place for place in final if _chosen(first + place, ignore, thin * curve["stride"])]
    if not fresh:
        return curve
    points = [*curve["points"], *_smoothed(rows, first, fresh)]
    stride = curve["stride"]
    while len(points) > most:
        stride *= 2
        points = [point for point in points if _chosen(point[0], ignore, thin * stride)]
    return curve | {"points": points, "stride": stride}


def points(curve: State, ignore: int, thin: int) -> list[list[object]]:
    """Every point to fit, [row, samples, losses]: the final ones, and those at the end as they look now."""
    first = curve["length"] - WINDOW
    if first < 0:
        return []
    last = [place for place in range(HALF + 1, WINDOW) if _chosen(first + place, ignore, thin * curve["stride"])]
    return [*curve["points"], *_smoothed(curve["rows"], first, last)]


def _chosen(row: int, ignore: int, step: int) -> bool:
    return row >= ignore and (row - ignore) % step == 0


def _smoothed(rows: list[list[list[float]]], first: int, places: list[int]) -> list[list[object]]:
    if not places:
        return []
    losses = (smoother()[places] @ floats([row[1] for row in rows])).tolist()
    return [[first + place, rows[place][0], found] for place, found in zip(places, losses, strict=True)]
