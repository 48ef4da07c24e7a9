"""Floors and ceilings of shares: the shares nearest to those asked for that keep them.

The bounded shares are min(ceiling, max(floor, c · asked)) with one c for all, such that their sum is 1: what is beyond
a bound is set to it, and the rest keep their proportions. There is exactly one such set of shares, and it is the
nearest to the asked ones in the sense of the Kullback–Leibler divergence. It is found in fractions, so it is the same
on every machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

_ONE = Fraction(1)


def bounded(
    weights: Sequence[float], floors: Sequence[float | None], ceilings: Sequence[float | None]
) -> tuple[float, ...]:
    """Weights whose shares keep their bounds; the weights themselves where their shares keep them already.

    Args:
        weights: Not negative, any scale. A weight of 0 stays 0, whatever its bounds.
        floors: The least share of each, from 0 to 1; None for no bound.
        ceilings: The largest share of each, likewise, not below its floor.

    Returns:
        One number per weight. The bounds of those with a weight can be kept: their floors have at most the sum 1, and
        their ceilings at least.
    """
    active = [place for place, weight in enumerate(weights) if weight]
    asked = _shares([weights[place] for place in active])
    low = [_fraction(floors[place], Fraction(0)) for place in active]
    high = [_fraction(ceilings[place], _ONE) for place in active]
    if all(least <= share <= most for least, share, most in zip(low, asked, high, strict=True)):
        return tuple(weights)
    result = [0.0] * len(weights)
    for place, share in zip(active, _filled(asked, low, high), strict=True):
        result[place] = float(share)
    return tuple(result)


def _fraction(value: float | None, otherwise: Fraction) -> Fraction:
    """A number as it is written in decimals."""
    return otherwise if value is None else Fraction(repr(value))


def _shares(weights: Sequence[float]) -> list[Fraction]:
    exact = [Fraction(repr(weight)) for weight in weights]
    total = sum(exact)
    return [weight / total for weight in exact]


def _filled(asked: Sequence[Fraction], low: Sequence[Fraction], high: Sequence[Fraction]) -> list[Fraction]:
    """Shares with the sum 1 inside their bounds.

    Round by round, what is free gets what is left in proportion. If the ceilings would take off more than the floors
    add, c is too small: whoever is above its ceiling will stay there, and is set to it; the other way round likewise
    (Bitran & Hax 1981). Each round settles at least one.
    """
    result = list(asked)
    free = list(range(len(asked)))
    left = _ONE
    while free:
        scale = left / sum(asked[n] for n in free)
        over = [n for n in free if asked[n] * scale > high[n]]
        under = [n for n in free if asked[n] * scale < low[n]]
        taken = sum(asked[n] * scale - high[n] for n in over)
        added = sum(low[n] - asked[n] * scale for n in under)
        settled = {n: high[n] for n in over if taken >= added} | {n: low[n] for n in under if added >= taken}
        if not settled:
            for n in free:
                result[n] = asked[n] * scale
            break
        for n, share in settled.items():
            result[n] = share
            left -= share
        free = [n for n in free if n not in settled]
    return result
