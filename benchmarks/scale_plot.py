"""The plot of `benchmarks.scale`: two panels with logarithmic axes, drawn as SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_PANELS = (("cpu_seconds", 1.0, "processor seconds"), ("peak_bytes", 1e6, "peak RSS in MB"))


def drawn(points: Sequence[tuple[int, Mapping[str, Any], Mapping[str, Any]]]) -> str:
    """The plot as SVG.

    Args:
        points: Rows, what the reference took, and what the compilation took.
    """
    import vl_convert

    panels = [_panel(points, name, scale, title) for name, scale, title in _PANELS]
    spec = {"$schema": "https://vega.github.io/schema/vega-lite/v5.json", "background": "white", "hconcat": panels}
    return str(vl_convert.vegalite_to_svg(spec))


def _panel(
    points: Sequence[tuple[int, Mapping[str, Any], Mapping[str, Any]]], name: str, scale: float, title: str
) -> dict[str, Any]:
    values = [
        {"rows": rows, "value": found[name] / scale, "what": what}
        for rows, labels, compiled in points
        for what, found in (("labels alone", labels), ("compile", compiled))
    ]
    first = points[-1]
    linear = [
        {"rows": rows, "value": first[2][name] / scale * rows / first[0], "what": "linear"} for rows, _, _ in points
    ]
    return {
        "width": 320,
        "height": 240,
        "data": {"values": [*values, *linear]},
        "mark": {"type": "line", "point": True},
        "encoding": {
            "x": {"field": "rows", "type": "quantitative", "scale": {"type": "log"}, "axis": {"format": "~s"}},
            "y": {"field": "value", "type": "quantitative", "scale": {"type": "log"}, "title": title},
            "color": {"field": "what", "type": "nominal", "title": None},
            "strokeDash": {"field": "what", "type": "nominal", "title": None},
        },
    }
