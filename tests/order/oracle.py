"""Executable definition of seats, chunks and lanes: slow and plain, to test the real ones against."""

from __future__ import annotations

from fractions import Fraction

import numpy as np


def seats(total: int, weights: list[float]) -> list[int]:
    """Takes the smallest key ((2i + 1) / w_c, c) one by one, in double division."""
    filled = [0] * len(weights)
    for _ in range(total):
        key, c = min(((2 * n + 1) / w, c) for c, (n, w) in enumerate(zip(filled, weights, strict=True)))
        assert key > 0
        filled[c] += 1
    return filled


def sequence(total: int, weights: list[float]) -> list[int]:
    filled = [0] * len(weights)
    result = []
    for _ in range(total):
        _, c = min(((2 * n + 1) / w, c) for c, (n, w) in enumerate(zip(filled, weights, strict=True)))
        filled[c] += 1
        result.append(c)
    return result


def places(component: list[int], chunk: int, lanes: int, granule: int) -> list[int]:
    """Place of each position, given the component of each: lane by lane inside each round."""
    total, components = len(component), max(component) + 1
    place = np.full(total, -1)
    next_place = np.zeros(components, np.int64)
    for round_start in range(0, total, chunk * lanes):
        for lane in range(lanes):
            for j in range(chunk // granule):
                first = round_start + (j * lanes + lane) * granule
                for t in range(first, min(first + granule, total)):
                    place[t] = next_place[component[t]]
                    next_place[component[t]] += 1
    return place.tolist()


def largest_error(component: list[int], weights: list[float]) -> float:
    """Largest distance of a count from its exact share, over every prefix and component."""
    share = np.array([float(Fraction(w) / sum(map(Fraction, weights))) for w in weights])
    one_hot = np.eye(len(weights))[component]
    prefix = np.arange(1, len(component) + 1)[:, None]
    return float(np.abs(np.cumsum(one_hot, axis=0) - prefix * share).max())
