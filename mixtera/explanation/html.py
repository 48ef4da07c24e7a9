"""The report as one page: no script, nothing loaded, plots as SVG, every number that the text has and more."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from mixtera.explanation import bars, numbers, phrases, plots
from mixtera.explanation.drawing import fitted
from mixtera.explanation.escaping import shown
from mixtera.explanation.mixture import components
from mixtera.explanation.model import Part, Report
from mixtera.explanation.plots import Bar, Vega
from mixtera.explanation.series import Series, series
from mixtera.explanation.steered import sentences
from mixtera.registry import missing

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

WIDTHS: Final = {"wide": 1000, "narrow": 360}
"""Widths that each plot is drawn in, in pixels; the page shows the one that suits."""
_TEMPLATE: Final = "page.html.jinja"
_CODE: Final = re.compile(r"`([^`]*)`")


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table of components."""

    part: Part
    depth: int


def html(report: Report) -> str:
    """The page.

    Raises:
        PluginError: The packages of the extra `report` are not installed.
    """
    try:
        import vl_convert  # noqa: F401 - drawn with in plots.py
        from jinja2 import Environment, PackageLoader, StrictUndefined
    except ImportError as error:
        raise missing("the HTML page", "report", error) from error

    loader = PackageLoader("mixtera.explanation", ".")
    environment = Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalized,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= _filters()
    return _rendered(environment, report)


def _rendered(environment: Environment, report: Report) -> str:
    found = series(report)
    parts = components(report.mixture)
    page = environment.get_template(_TEMPLATE).render(
        report=report,
        rows=list(_rows(report.mixture, 0)),
        parts=parts,
        first_event=next(iter(report.events), None),
        unseen=sorted((part for part in parts if part.unseen), key=lambda part: -(part.unseen or 0)),
        series=found,
        colour=plots.colour,
        course=[(span, [sum(span.shares[name] for name in each.parts) for each in found]) for span in report.course],
        plots=_plots(report, found),
        marked=plots.marked(report),
        most_bars=bars.MOST,
        phrases=phrases,
        steered=[] if report.steered is None else list(sentences(report.steered, report.unit)),
    )
    return page + "\n"


def _plots(report: Report, found: Sequence[Series]) -> dict[str, Markup]:
    """Every plot of the page by name; empty where there is nothing to show."""
    drawn: dict[str, Callable[[int], Vega]] = {
        "shares": lambda width: plots.shares_over_time(report, found, width),
        "epochs": lambda width: plots.epochs_over_time(report, found, width),
    }
    listed: dict[str, tuple[Sequence[Bar], float | None]] = {
        "waterfall": (bars.waterfall(report), None),
        "final_epochs": (bars.final_epochs(report), 1.0),
        "sizes": (bars.sizes(report), None),
        "sources": (bars.sources(report), None),
    }
    for name, (rows, mark) in listed.items():
        if rows:
            drawn[name] = lambda width, rows=rows, mark=mark: plots.bars(rows, width, mark)  # type: ignore[misc]
    unit = report.unit.capitalize()
    return {name: _drawn(drawn.get(name), label.format(unit=unit)) for name, label in _LABELS.items()}


_LABELS: Final = {
    "shares": "Shares of the components over the positions of the run, stacked; the table below has the numbers",
    "epochs": "Epochs of the components over the positions of the run",
    "waterfall": "Samples in the catalog, kept by the filter, in a component, and delivered",
    "final_epochs": "Epochs of the components at the end of the run; the table of components has the numbers",
    "sizes": "{unit} of the components, delivered and never delivered; the table of components has the numbers",
    "sources": "Stored bytes of the sources; the table of sources has the numbers",
}


def _drawn(specification: Callable[[int], Vega] | None, label: str) -> Markup:
    from markupsafe import Markup

    if specification is None:
        return Markup("")
    # Safe: the SVG is written by an XML writer, which escapes every text and attribute in it.
    pieces = [
        f'<div class="plot {name}">{fitted(plots.svg(specification(width)), label)}</div>'
        for name, width in WIDTHS.items()
    ]
    return Markup("".join(pieces))


def _rows(parts: Sequence[Part], depth: int) -> Iterator[Row]:
    for part in parts:
        yield Row(part, depth)
        yield from _rows(part.parts, depth + 1)


def _finalized(value: object) -> object:
    """What every value of the template passes: a text of somebody else loses what could steer the page."""
    return shown(value) if type(value) is str else value


def _filters() -> dict[str, Callable[..., Any]]:
    return {
        "number": numbers.count,
        "samples": numbers.samples,
        "bytes": numbers.bytes_text,
        "percent": numbers.percent,
        "multiple": numbers.multiple,
        "weight": numbers.weight_text,
        "listed": numbers.listed,
        "coded": _coded,
    }


def _coded(text: str) -> Markup:
    """A text whose parts in backticks are code."""
    from markupsafe import Markup, escape

    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(shown(text)))))
