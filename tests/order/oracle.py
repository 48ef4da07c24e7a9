"""Executable definition of seats, chunks and lanes: slow and plain, to test the real ones against."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise

import numpy as np


def split(weights: list[float]) -> list[tuple[list[int], list[int]]]:
    """The splits of a mixture into the components of its lighter and its heavier side, in exact arithmetic.

    The two lightest parts are put together until one is left; of equal ones those made first, components before others.
    """
    parts = [(Fraction(w), n, [n]) for n, w in enumerate(weights) if w > 0]
    found = []
    while len(parts) > 1:
        (light, _, lighter), (heavy, _, heavier), *rest = sorted(parts, key=lambda part: part[:2])
        found.append((lighter, heavier))
        parts = [*rest, (light + heavy, len(weights) + len(found), lighter + heavier)]
    return found


def seats(total: int, weights: list[float], digits: int | None = 64) -> list[int]:
    """Each split gives its lighter side ⌊n · p + ½⌋ of its n seats, the heavier one the others: in exact arithmetic.

    Args:
        total: Seats of all.
        weights: The weights.
        digits: Binary digits that p is rounded up to; None for none.
    """
    exact = list(map(Fraction, weights))
    held = {frozenset(n for n, w in enumerate(weights) if w > 0): total}
    for lighter, heavier in reversed(split(weights)):
        n = held[frozenset(lighter + heavier)]
        light, heavy = (sum((exact[c] for c in side), Fraction()) for side in (lighter, heavier))
        part = light / (light + heavy)
        part = part if digits is None else Fraction(math.ceil(part * 2**digits), 2**digits)
        held[frozenset(lighter)] = math.floor(n * part + Fraction(1, 2))
        held[frozenset(heavier)] = n - held[frozenset(lighter)]
    return [held.get(frozenset([n]), 0) for n in range(len(weights))]


def sequence(total: int, weights: list[float]) -> list[int]:
    """At each position the component that has one seat more after it."""
    filled = [seats(t, weights) for t in range(total + 1)]
    steps = [[b - a for a, b in zip(before, after, strict=True)] for before, after in pairwise(filled)]
    assert all(sorted(step) == [0] * (len(weights) - 1) + [1] for step in steps), "a component lost a seat"
    return [step.index(1) for step in steps]


def webster_seats(total: int, weights: list[float]) -> list[int]:
    """Order version 1: takes the smallest key ((2i + 1) / w_c, c) one by one, in double division."""
    filled = [0] * len(weights)
    for c in webster_sequence(total, weights):
        filled[c] += 1
    return filled


def webster_sequence(total: int, weights: list[float]) -> list[int]:
    """Order version 1."""
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
