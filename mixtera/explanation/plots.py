"""Plots of a report: Vega-Lite specifications, drawn as SVG by vl-convert, without a browser, network or script.

Colours are CSS variables of the page, so that one drawing serves light, dark and paper. What users wrote is only ever a
value: a text, or the description of a mark, which the page shows when a pointer rests on it.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from mixtera.explanation import phrases
from mixtera.explanation.escaping import shown
from mixtera.explanation.forecast import Event
from mixtera.explanation.model import Report
from mixtera.explanation.numbers import count, listed, percent
from mixtera.explanation.series import Series

Vega: TypeAlias = dict[str, Any]

EVENTS: Final = 16
"""Events that a plot marks; more would hide it."""
_ROW: Final = 38
"""Height of a bar with the line above it, in pixels."""
_PADDING: Final = 4
_FIGURES: Final = 210
"""Pixels that stay free for the figures of a bar."""
_DASHES: Final = ([1, 0], [6, 3], [2, 2], [8, 3, 2, 3])
_CONFIG: Final[Vega] = {
    "background": "transparent",
    "font": "system-ui, sans-serif",
    "view": {"stroke": None},
    "axis": {
        "labelColor": "var(--muted)",
        "titleColor": "var(--muted)",
        "titleFontWeight": "normal",
        "domainColor": "var(--line)",
        "tickColor": "var(--line)",
        "gridColor": "var(--line)",
        "labelFontSize": 12,
        "titleFontSize": 12,
    },
}


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a bar.

    Attributes:
        first: Where it begins.
        last: Where it ends.
        colour: Name of the page's colour.
        says: What is shown when a pointer rests on it.
    """

    first: float
    last: float
    colour: str
    says: str


@dataclass(frozen=True, slots=True)
class Bar:
    """A line of text with a bar below it.

    Attributes:
        name: Stands to the left.
        figures: Stands to the right.
        pieces: The bar.
    """

    name: str
    figures: str
    pieces: tuple[Piece, ...]


def colour(number: int, found: Series) -> str:
    """The page's colour of a series."""
    return "var(--others)" if found.others else f"var(--series-{number + 1})"


def shares_over_time(report: Report, found: Sequence[Series], width: int) -> Vega:
    """Stacked shares of the positions between the sampled ones."""
    positions = report.progress.positions
    values = [
        {"x": x, "y": share, "series": number}
        for number, each in enumerate(found)
        for x, share in zip(positions, _to_the_end(each.shares(positions)), strict=True)
    ]
    area = {
        "data": {"values": values},
        "mark": {
            "type": "area",
            "interpolate": "step-after",
            "aria": False,
            "stroke": "var(--paper)",
            "strokeWidth": 0.5,
        },
        "encoding": {
            "x": _positions(report),
            "y": {
                "field": "y",
                "type": "quantitative",
                "stack": "zero",
                "title": "share",
                "scale": {"domain": [0, 1]},
                "axis": {"format": "%", "tickCount": 5},
            },
            "color": _colours(found),
            "order": {"field": "series", "type": "quantitative", "sort": "descending"},
        },
    }
    said = [[percent(share) for share in each.shares(positions)] for each in found]
    return plot(width, 260, [area, *_marked_events(report), _windows(report, found, said)])


def epochs_over_time(report: Report, found: Sequence[Series], width: int) -> Vega:
    """Epochs of each series."""
    values = [
        {"x": x, "y": epochs, "series": number}
        for number, each in enumerate(found)
        for x, epochs in zip(report.progress.positions, each.epochs, strict=True)
    ]
    dashes = {"domain": list(range(len(found))), "range": [_DASHES[n % len(_DASHES)] for n in range(len(found))]}
    line = {
        "data": {"values": values},
        "mark": {"type": "line", "strokeWidth": 2.5, "aria": False},
        "encoding": {
            "x": _positions(report),
            "y": {"field": "y", "type": "quantitative", "title": "epochs", "axis": {"tickCount": 5}},
            "color": _colours(found),
            "strokeDash": {"field": "series", "type": "nominal", "scale": dashes, "legend": None},
        },
    }
    once = {
        "data": {"values": [{"y": 1}]},
        "mark": {"type": "rule", "color": "var(--muted)", "strokeDash": [3, 3], "aria": False},
        "encoding": {"y": {"field": "y", "type": "quantitative"}},
    }
    said = [[f"{epochs:.2f} epochs" for epochs in each.epochs[1:]] for each in found]
    return plot(width, 220, [line, once, *_marked_events(report), _windows(report, found, said)])


def bars(found: Sequence[Bar], width: int, mark: float | None = None) -> Vega:
    """Bars below each other, each under a line of text; `mark` is where a dashed line goes through all of them."""
    largest = max([piece.last for bar in found for piece in bar.pieces] + [mark or 0.0, 1e-9])
    pieces = [
        {"row": row, "x": piece.first, "x2": piece.last, "fill": f"var(--{piece.colour})", "says": shown(piece.says)}
        for row, bar in enumerate(found)
        for piece in bar.pieces
    ]
    texts = [{"row": row, "name": shown(bar.name), "figures": shown(bar.figures)} for row, bar in enumerate(found)]
    row = {"field": "row", "type": "ordinal", "axis": None, "scale": {"paddingInner": 0, "paddingOuter": 0}}
    x = {"field": "x", "type": "quantitative", "axis": None, "scale": {"domain": [0, largest], "nice": False}}
    layers: list[Vega] = [
        {
            "data": {"values": pieces},
            "mark": {"type": "bar", "height": 12, "yOffset": 8},
            "encoding": {
                "y": row,
                "x": x,
                "x2": {"field": "x2"},
                "description": {"field": "says"},
                "fill": {"field": "fill", "type": "nominal", "scale": None},
            },
        },
        _texts(texts, row, "name", {"align": "left", "limit": width - _FIGURES}, 0),
        _texts(texts, row, "figures", {"align": "right", "fill": "var(--muted)"}, width - 2 * _PADDING),
    ]
    if mark is not None:
        rule = {"type": "rule", "color": "var(--ink)", "strokeDash": [3, 3], "aria": False}
        layers.append({"data": {"values": [{"x": mark}]}, "mark": rule, "encoding": {"x": x}})
    return plot(width, _ROW * len(found), layers)


def svg(specification: Vega) -> str:
    """Draw a plot. Nothing is loaded from anywhere."""
    import vl_convert

    drawn: str = vl_convert.vegalite_to_svg(specification, allowed_base_urls=[])
    return drawn


def _texts(values: Sequence[Mapping[str, object]], row: Vega, field: str, mark: Vega, x: int) -> Vega:
    style = {"type": "text", "baseline": "middle", "yOffset": -8, "fontSize": 13, "fill": "var(--ink)", "aria": False}
    encoding = {"y": row, "x": {"value": x}, "text": {"field": field}}
    return {"data": {"values": list(values)}, "mark": style | mark, "encoding": encoding}


def plot(width: int, height: int, layers: Sequence[Vega]) -> Vega:
    """A plot of some layers, in the style of the page."""
    size = {"width": width, "height": height, "autosize": {"type": "fit-x", "contains": "padding"}}
    return {**size, "padding": _PADDING, "config": _CONFIG, "layer": list(layers)}


def _positions(report: Report) -> Vega:
    positions = report.progress.positions
    step = f" (a step is {count(report.batch)})" if report.batch else ""
    return {
        "field": "x",
        "type": "quantitative",
        "title": f"position{step}",
        "scale": {"domain": [positions[0], positions[-1]], "nice": False},
        "axis": {"format": "~s", "tickCount": 6, "grid": False, "labelBound": True},
    }


def _colours(found: Sequence[Series]) -> Vega:
    colours = [colour(number, each) for number, each in enumerate(found)]
    scale = {"domain": list(range(len(found))), "range": colours}
    return {"field": "series", "type": "nominal", "scale": scale, "legend": None}


def _to_the_end(shares: Sequence[float]) -> list[float]:
    return [*shares, shares[-1]]


def marked(report: Report) -> list[Event]:
    """The events that plots mark: places inside the run where a component has nothing left."""
    found = [event for event in report.events if event.kind == "leaves"]
    return found if len(found) <= EVENTS else []


def _marked_events(report: Report) -> list[Vega]:
    inside = marked(report)
    if not inside:
        return []
    values = [
        {"x": event.position, "says": shown(f"{listed(event.components)}: {phrases.event(event)}")} for event in inside
    ]
    rule = {"type": "rule", "color": "var(--ink)", "strokeDash": [4, 3], "strokeWidth": 1.5}
    encoding = {"x": {"field": "x", "type": "quantitative"}, "description": {"field": "says"}}
    return [{"data": {"values": values}, "mark": rule, "encoding": encoding}]


def _windows(report: Report, found: Sequence[Series], said: Sequence[Sequence[str]]) -> Vega:
    """Transparent columns over a plot, which say the values between two positions."""
    positions = report.progress.positions
    values = []
    for number, (first, last) in enumerate(itertools.pairwise(positions)):
        lines = [f"{each.name}: {texts[number]}" for each, texts in zip(found, said, strict=True)]
        values.append({"x": first, "x2": last, "says": "\n".join(map(shown, [_between(report, first, last), *lines]))})
    return {
        "data": {"values": values},
        "mark": {"type": "rect", "fill": "var(--ink)", "fillOpacity": 0},
        "encoding": {
            "x": {"field": "x", "type": "quantitative"},
            "x2": {"field": "x2"},
            "description": {"field": "says"},
        },
    }


def _between(report: Report, first: int, last: int) -> str:
    steps = "" if report.batch is None else f" (steps {count(first // report.batch)} to {count(last // report.batch)})"
    return f"positions {count(first)} to {count(last)}{steps}"
