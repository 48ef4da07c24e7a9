"""A simulation as one page: weights and epochs over time as plots, and the tables of the text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from mixtera.explanation import plots
from mixtera.explanation.drawing import fitted
from mixtera.explanation.escaping import shown
from mixtera.registry import missing
from mixtera.simulation.run import Simulation
from mixtera.simulation.text import course, rows, summary

if TYPE_CHECKING:
    from markupsafe import Markup

MOST: Final = 8
"""Components that have a colour of their own; the others share one."""
_WIDTH: Final = 1000


def html(found: Simulation, name: str) -> str:
    """The page.

    Args:
        found: What came out.
        name: Name of the spec.

    Raises:
        PluginError: The packages of the extra `report` are not installed.
    """
    try:
        import vl_convert  # noqa: F401 - drawn with in plots.py
        from jinja2 import Environment, PackageLoader, StrictUndefined
    except ImportError as error:
        raise missing("the HTML page", "report", error) from error
    styles = PackageLoader("mixtera.explanation", ".").get_source(Environment(autoescape=True), "page.css")[0]
    loader = PackageLoader("mixtera.simulation", ".")
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    page: str = environment.get_template("page.html.jinja").render(
        name=shown(name),
        summary=summary(found),
        styles=_safe(styles),
        legend=[(shown(each.name), _colour(number)) for number, each in enumerate(found.components)],
        weights=_drawn(_weights(found), "Weights of the components over the steps, stacked; the table has the numbers"),
        delivered=_drawn(
            _delivered(found), "Samples of the components over the steps, or epochs where sizes are known"
        ),
        counted="Epochs" if _sized(found) else "Samples delivered",
        rows=rows(found),
        course=course(found),
        found=found,
    )
    return page + "\n"


def _sized(found: Simulation) -> bool:
    return all(component.size for component in found.components)


def _colour(number: int) -> str:
    return f"var(--series-{number + 1})" if number < MOST else "var(--others)"


def _weights(found: Simulation) -> plots.Vega:
    values = [
        {"x": point.step, "y": weight, "series": number}
        for point in found.points
        for number, weight in enumerate(point.weights)
    ]
    share = {"stack": "zero", "title": "weight", "scale": {"domain": [0, 1]}, "axis": {"format": "%", "tickCount": 5}}
    mark = {"type": "area", "interpolate": "step-after", "aria": False}
    area = _layer(found, values, mark, share)
    area["encoding"]["order"] = {"field": "series", "type": "quantitative", "sort": "descending"}
    return plots.plot(_WIDTH, 260, [area, *_marks(found)])


def _delivered(found: Simulation) -> plots.Vega:
    sizes = [component.size or 1 for component in found.components] if _sized(found) else [1] * len(found.components)
    values = [
        {"x": point.step, "y": delivered / size, "series": number}
        for point in found.points
        for number, (delivered, size) in enumerate(zip(point.delivered, sizes, strict=True))
    ]
    title = "epochs" if _sized(found) else "samples"
    line = _layer(found, values, {"type": "line", "strokeWidth": 2.5, "aria": False}, {"title": title})
    return plots.plot(_WIDTH, 220, [line, *_marks(found)])


def _layer(found: Simulation, values: list[dict[str, Any]], mark: plots.Vega, y: plots.Vega) -> plots.Vega:
    numbers = list(range(len(found.components)))
    scale = {"domain": numbers, "range": [_colour(number) for number in numbers]}
    steps = {"domain": [0, max(1, found.steps)], "nice": False}
    return {
        "data": {"values": values},
        "mark": mark,
        "encoding": {
            "x": {"field": "x", "type": "quantitative", "title": "step", "scale": steps, "axis": {"grid": False}},
            "y": {"field": "y", "type": "quantitative", **y},
            "color": {"field": "series", "type": "nominal", "scale": scale, "legend": None},
            "detail": {"field": "series"},
        },
    }


def _marks(found: Simulation) -> Sequence[plots.Vega]:
    """A dashed line where a component runs out."""
    if not found.exhausted:
        return []
    values = [{"x": each.step, "says": shown(f"{each.component} runs out")} for each in found.exhausted]
    rule = {"type": "rule", "color": "var(--ink)", "strokeDash": [4, 3], "strokeWidth": 1.5}
    encoding = {"x": {"field": "x", "type": "quantitative"}, "description": {"field": "says"}}
    return [{"data": {"values": values}, "mark": rule, "encoding": encoding}]


def _drawn(specification: plots.Vega, label: str) -> Markup:
    # Safe: the SVG is written by an XML writer, which escapes every text and attribute in it.
    return _safe(f'<div class="plot">{fitted(plots.svg(specification), label)}</div>')


def _safe(text: str) -> Markup:
    from markupsafe import Markup

    return Markup(text)
