"""Random mixtures as users write them: trees of components over the values of one property, with everything in them."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any, Final

import hypothesis.strategies as st

Section = dict[str, Any]
"""A section of a spec, as YAML or JSON has it."""

_WEIGHTS: Final = st.sampled_from([0, 0.3, 1, 2, 7, 50])
_POLICIES: Final = st.sampled_from(["stop", "redistribute", "redistribute", "repeat", "error"])
_EPOCHS: Final = st.sampled_from([0.5, 1, 1.5, 2, 3.25])
_DEPTH: Final = 3
_HUNDREDTHS: Final = 100


@st.composite
def mixture_sections(draw: st.DrawFn, column: str, values: Sequence[int], samples: int) -> Section:
    """A `mixture` section: nested components, groups, bounds, schedules with ramps, policies, and mostly a budget.

    Args:
        draw: Given by hypothesis.
        column: An integer property.
        values: Its values, each with some samples.
        samples: Samples of all values together, about.
    """
    budget = draw(_budgets(samples))
    length = budget["samples"] if "samples" in budget else budget["steps"] * budget["batch"] if budget else samples
    section = draw(_parts(column, tuple(values), _DEPTH, length, bool(budget), False))
    section |= draw(_limits())
    return section | ({"budget": budget} if budget else {})


@st.composite
def _budgets(draw: st.DrawFn, samples: int) -> Section:
    kind = draw(st.sampled_from(["none", "samples", "steps"]))
    if kind == "none":
        return {}
    if kind == "samples":
        return {"samples": draw(st.integers(samples // 8, 2 * samples))}
    return {"steps": draw(st.integers(samples // 32, samples // 8)), "batch": draw(st.integers(1, 16))}


@st.composite
def _limits(draw: st.DrawFn) -> Section:
    found: Section = {}
    if draw(st.booleans()):
        found["on_exhaust"] = draw(_POLICIES)
    if draw(st.integers(0, 3)) == 0:
        found["max_epochs"] = draw(_EPOCHS)
    return found


@st.composite
def _parts(
    draw: st.DrawFn, column: str, values: tuple[int, ...], depth: int, length: int, budget: bool, scheduled: bool
) -> Section:
    """What divides some values: `by` with weights, or `components`, perhaps with a schedule."""
    if (depth < _DEPTH and draw(st.booleans())) or len(values) == 1:
        return {"by": column, "weights": draw(_group_weights(values, budget and not scheduled))}
    count = draw(st.integers(2, min(5, len(values))))
    cuts = sorted(draw(st.sets(st.integers(1, len(values) - 1), min_size=count - 1, max_size=count - 1)))
    pieces = [values[a:b] for a, b in zip((0, *cuts), (*cuts, len(values)), strict=True)]
    names = [f"c{number}" for number in range(count)]
    has_schedule = draw(st.integers(0, 2)) == 0
    points = [draw(_weights(count)) for _ in range(draw(st.integers(1, 4)) if has_schedule else 1)]
    bounds = draw(_bounds(points))
    components = [
        draw(_component(column, piece, depth, length, budget, scheduled or has_schedule)) | bound
        for piece, bound in zip(pieces, bounds, strict=True)
    ]
    for name, component in zip(names, components, strict=True):
        component["name"] = name
    if draw(st.booleans()):
        del components[-1]["where"]
    if has_schedule:
        return {"components": components, "schedule": draw(_schedule(names, points, length, budget))}
    for component, weight in zip(components, points[0], strict=True):
        component["weight"] = weight
    return {"components": components}


@st.composite
def _component(
    draw: st.DrawFn, column: str, values: tuple[int, ...], depth: int, length: int, budget: bool, scheduled: bool
) -> Section:
    found: Section = {"where": {column: list(values)}} | draw(_limits())
    if depth > 1 and len(values) > 1 and draw(st.booleans()):
        found |= draw(_parts(column, values, depth - 1, length, budget, scheduled))
    return found


@st.composite
def _weights(draw: st.DrawFn, count: int) -> list[float]:
    return draw(st.lists(_WEIGHTS, min_size=count, max_size=count).filter(any))


@st.composite
def _bounds(draw: st.DrawFn, points: Sequence[Sequence[float]]) -> list[Section]:
    """Bounds that all points can keep: a floor only where there is always a weight."""
    found: list[Section] = [{} for _ in points[0]]
    if draw(st.booleans()):
        return found
    room = _HUNDREDTHS
    least = _HUNDREDTHS // min(sum(map(bool, point)) for point in points) + 1
    for place, bounds in enumerate(found):
        floor = 0
        if all(point[place] for point in points) and draw(st.booleans()):
            floor = draw(st.integers(0, min(room, 40)))
            room -= floor
            bounds["floor"] = floor / _HUNDREDTHS
        if draw(st.booleans()):
            bounds["ceiling"] = draw(st.integers(min(_HUNDREDTHS, max(floor, least)), _HUNDREDTHS)) / _HUNDREDTHS
    return found


@st.composite
def _schedule(
    draw: st.DrawFn, names: Sequence[str], points: Sequence[Sequence[float]], length: int, budget: bool
) -> list[Section]:
    entries: list[Section] = [{"at": 0, "weights": dict(zip(names, points[0], strict=True))}]
    position = 0
    for weights in points[1:]:
        position += draw(st.integers(1, length // 2 + 1))
        entry: Section = {"at": position, "weights": dict(zip(names, weights, strict=True))}
        ramp = draw(st.sampled_from(["", "linear", "cosine"]))
        if ramp:
            position += draw(st.integers(1, length))
            entry |= {"ramp": ramp, "until": position}
        entries.append(_written(draw, entry, length, budget))
    return entries


def _written(draw: st.DrawFn, entry: Section, length: int, budget: bool) -> Section:
    """The same entry, perhaps in steps or in parts of the budget where these can say it."""
    ends = [name for name in ("at", "until") if name in entry]
    kind = draw(st.sampled_from(["at", "step", "percent"]))
    if kind == "step":
        steps = {"at": "step", "until": "until_step"}
        return {steps.get(name, name): value for name, value in entry.items()} | {"batch": 1}
    if kind == "percent" and budget and all(entry[name] <= length for name in ends):
        parts = {name: Fraction(entry[name] * 100, length) for name in ends}
        exact = {name: f"{float(part):.4f}" for name, part in parts.items()}
        if all(int(Fraction(text) * length / 100) == entry[name] for name, text in exact.items()):
            return entry | {name: f"{text}%" for name, text in exact.items()}
    return entry


@st.composite
def _group_weights(draw: st.DrawFn, values: tuple[int, ...], budget: bool) -> str | Section:
    kind = draw(st.sampled_from(["natural", "uniform", "temperature", "values", *(["unimax"] if budget else [])]))
    found: Section = {}
    groups = len(values)
    if kind == "uniform":
        return "uniform"
    if kind == "temperature":
        found["temperature"] = draw(st.sampled_from([0.5, 1, 2, 5.5]))
    if kind == "unimax":
        found["unimax"] = {"max_epochs": draw(st.sampled_from([1, 2.5, 4]))}
    if kind == "values":
        named = draw(st.integers(1, len(values)))
        weights = draw(_weights(named))
        groups = sum(map(bool, weights))
        found["values"] = {str(value): weight for value, weight in zip(values, weights, strict=False)}
        if named < len(values) and draw(st.booleans()):
            found["values"]["rest"] = draw(st.sampled_from([1, 3]))
            groups += len(values) - named
    if draw(st.booleans()):
        found["floor"] = draw(st.integers(0, _HUNDREDTHS // groups)) / _HUNDREDTHS
    if draw(st.booleans()):
        found["ceiling"] = draw(st.integers(min(_HUNDREDTHS, _HUNDREDTHS // groups + 1), _HUNDREDTHS)) / _HUNDREDTHS
    return found or "natural"
