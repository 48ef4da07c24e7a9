"""The pages of the service, as HTML: no script, nothing loaded, plots as SVG, new every few seconds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from mixtera.explanation import numbers, plots
from mixtera.explanation.drawing import fitted
from mixtera.explanation.escaping import shown
from mixtera.registry import missing
from mixtera.service.seen import SERIES, JobSeen
from mixtera.stream.statistics import SAYS

if TYPE_CHECKING:
    from markupsafe import Markup

REFRESH_SECONDS: Final = 10
_WIDTH: Final = 1000
_MOST_BARS: Final = 12


def overview(jobs: Sequence[JobSeen], problems: Sequence[tuple[str, str]]) -> bytes:
    """The page of all jobs.

    Args:
        jobs: The jobs that can be opened.
        problems: (name, why not) of the others.

    Raises:
        PluginError: The packages of the extra `report` are not installed.
    """
    _check_extra()
    return _rendered("jobs.html.jinja", jobs=jobs, problems=problems, title="jobs")


def page(job: JobSeen) -> bytes:
    """The page of a job.

    Raises:
        PluginError: The packages of the extra `report` are not installed.
    """
    _check_extra()
    readers = [reader for reader in job.readers if reader.lately is not None][:_MOST_BARS]
    waits = [
        plots.Bar(
            f"rank {reader.rank}" + (f", worker {reader.worker}" if reader.worker else ""),
            f"{numbers.percent(reader.lately.wait_share)} waiting",
            (plots.Piece(0.0, reader.lately.wait_share, "kept", f"{reader.lately.limit} sets its pace"),),
        )
        for reader in readers
        if reader.lately is not None
    ]
    drawn = {
        "weights": _drawn(_weights(job), "Shares asked for over the positions of the run, stacked"),
        "losses": _drawn(_losses(job), "Mean loss of each component over the steps") if job.loss_curve else None,
        "throughput": _drawn(_throughput(job), "Samples a second over the steps") if job.throughput else None,
        "waits": _drawn(plots.bars(waits, _WIDTH, 1.0), "Share of its time in which a rank waits") if waits else None,
    }
    legend = [(job.components[number], _colour(place)) for place, number in enumerate(job.named)]
    if len(job.components) > SERIES:
        legend.append((f"{len(job.components) - SERIES} others", "var(--others)"))
    return _rendered("job.html.jinja", job=job, plots=drawn, legend=legend, title=job.job)


def _weights(job: JobSeen) -> plots.Vega:
    points = [*job.weights, (job.until, job.weights[-1][1])]
    values = [{"x": x, "y": shares[number], "series": place} for x, shares in points for place, number in _named(job)]
    if len(job.components) > SERIES:
        rest = [1.0 - sum(shares[number] for number in job.named) for _, shares in points]
        values += [{"x": x, "y": max(0.0, y), "series": SERIES} for (x, _), y in zip(points, rest, strict=True)]
    share = {"stack": "zero", "title": "share", "scale": {"domain": [0, 1]}, "axis": {"format": "%", "tickCount": 5}}
    area = _layer(values, {"type": "area", "interpolate": "step-after", "aria": False}, "position", share)
    area["encoding"]["order"] = {"field": "series", "type": "quantitative", "sort": "descending"}
    return plots.plot(_WIDTH, 240, [area])


def _losses(job: JobSeen) -> plots.Vega:
    values = [
        {"x": step, "y": losses[number], "series": place}
        for step, losses in job.loss_curve
        for place, number in _named(job)
        if losses[number] is not None
    ]
    y = {"title": "loss", "scale": {"zero": False}}
    return plots.plot(_WIDTH, 220, [_layer(values, {"type": "line", "strokeWidth": 2, "aria": False}, "step", y)])


def _throughput(job: JobSeen) -> plots.Vega:
    values = [{"x": step, "y": rate, "series": 0} for step, rate in job.throughput]
    y = {"title": "samples a second", "axis": {"format": "~s"}}
    mark = {"type": "line", "strokeWidth": 2, "point": len(values) < 3, "aria": False}
    return plots.plot(_WIDTH, 160, [_layer(values, mark, "step", y)])


def _layer(values: list[dict[str, Any]], mark: plots.Vega, x: str, y: plots.Vega) -> plots.Vega:
    scale = {"domain": list(range(SERIES + 1)), "range": [_colour(number) for number in range(SERIES + 1)]}
    axis = {"format": "~s", "tickCount": 6, "grid": False, "labelBound": True}
    return {
        "data": {"values": values},
        "mark": mark,
        "encoding": {
            "x": {
                "field": "x",
                "type": "quantitative",
                "title": x,
                "scale": {"nice": False, "zero": False},
                "axis": axis,
            },
            "y": {"field": "y", "type": "quantitative", **y},
            "color": {"field": "series", "type": "nominal", "scale": scale, "legend": None},
            "detail": {"field": "series"},
        },
    }


def _named(job: JobSeen) -> list[tuple[int, int]]:
    return list(enumerate(job.named))


def _colour(place: int) -> str:
    return f"var(--series-{place + 1})" if place < SERIES else "var(--others)"


def _drawn(specification: plots.Vega, label: str) -> Markup:
    from markupsafe import Markup

    # Safe: the SVG is written by an XML writer, which escapes every text and attribute in it.
    return Markup(f'<div class="plot">{fitted(plots.svg(specification), label)}</div>')


def _check_extra() -> None:
    try:
        import jinja2  # noqa: F401 - makes pages
        import vl_convert  # noqa: F401 - drawn with in plots.py
    except ImportError as error:
        raise missing("the dashboard", "report", error) from error


def _rendered(template: str, **values: Any) -> bytes:  # noqa: ANN401 - what the template names
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    styles = PackageLoader("mixtera.explanation", ".").get_source(Environment(autoescape=True), "page.css")[0]
    environment = Environment(
        loader=PackageLoader("mixtera.service", "."),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=lambda value: shown(value) if type(value) is str else value,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": numbers.count, "percent": numbers.percent, "bytes": numbers.bytes_text}
    text = environment.get_template(template).render(
        styles=Markup(styles), refresh=REFRESH_SECONDS, says=SAYS, **values
    )
    return (text + "\n").encode()
