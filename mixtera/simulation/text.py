"""A simulation as text and as JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from mixtera.explanation.escaping import shown
from mixtera.explanation.table import table
from mixtera.simulation.run import Simulation


def as_json(found: Simulation) -> dict[str, Any]:
    """JSON values: everything that is known."""
    names = [component.name for component in found.components]
    return {
        "algorithm": found.settings.algorithm,
        "settings": {name: value for name, value in asdict(found.settings).items() if name != "algorithm"},
        "batch": found.batch,
        "steps": found.steps,
        "ended": found.ended,
        "changes": found.changes,
        "components": [
            asdict(component) | {"delivered": delivered, "epochs": epochs}
            for component, delivered, epochs in zip(
                found.components, found.points[-1].delivered, found.epochs, strict=True
            )
        ],
        "points": [
            {
                "step": point.step,
                "weights": dict(zip(names, point.weights, strict=True)),
                "delivered": dict(zip(names, point.delivered, strict=True)),
            }
            for point in found.points
        ],
        "fits": [{"step": fit.step, **fit.data} for fit in found.fits],
        "exhausted": [asdict(each) for each in found.exhausted],
    }


def as_text(found: Simulation) -> str:
    """Tables for people."""
    lines = [*summary(found), "", "Components", *table(rows(found)), "", "Weights over time", *table(course(found))]
    return "\n".join(lines) + "\n"


def summary(found: Simulation) -> list[str]:
    """What was done, and what is to be known about it."""
    lines = [
        f"{found.settings.algorithm}: {found.steps:,} steps of {found.batch:,} samples, weights changed "
        f"{found.changes:,} times, {len(found.fits):,} fits"
    ]
    if found.ended:
        lines.append(f"The run ends there: {shown(found.ended)}.")
    if all(component.size is None for component in found.components):
        lines.append("Sizes are not known, so nothing runs out: index the spec, or give --size NAME=SAMPLES.")
    return lines


def rows(found: Simulation) -> list[tuple[str, ...]]:
    """The table of components, its head first."""
    out = {each.component: f"step {each.step:,}" for each in found.exhausted}
    first, last = found.points[0], found.points[-1]
    head = ("component", "weight at first", "at last", "samples", "delivered", "epochs", "runs out")
    below = [
        (
            shown(component.name),
            _percent(first.weights[number]),
            _percent(last.weights[number]),
            "" if component.size is None else f"{component.size:,}",
            f"{last.delivered[number]:,}",
            "" if epochs is None else f"{epochs:.2f}",
            out.get(component.name, ""),
        )
        for number, (component, epochs) in enumerate(zip(found.components, found.epochs, strict=True))
    ]
    return [head, *below]


def course(found: Simulation) -> list[tuple[str, ...]]:
    """The table of weights over time, its head first."""
    head = ("step", *(shown(component.name) for component in found.components))
    return [head, *((f"{point.step:,}", *map(_percent, point.weights)) for point in found.points)]


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"
