"""Draw what a run of `torch_ado.py` or `jax_ado.py` has written with `--losses`: weights and losses, as SVG or JSON.

::

    python examples/ado_plot.py losses.jsonl --svg following.svg --json following.json
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

COLOURS = ("#2a6f97", "#c0392b", "#2d936c", "#8e5ea2", "#d68910", "#5d6d7e")


def points(lines: list[dict], every: int) -> Iterator[dict]:
    """A point for every few steps: the weights asked for, the share that came, and the mean loss per token."""
    for first in range(0, len(lines), every):
        part = lines[first : first + every]
        counts = {name: sum(line["loss_count"][name] for line in part) for name in part[-1]["weights"]}
        for name, count in counts.items():
            total = sum(line["loss_sum"][name] for line in part)
            yield {
                "step": part[-1]["step"],
                "component": name,
                "weight": round(part[-1]["weights"][name], 4),
                "share": round(count / sum(counts.values()), 4),
                "loss": round(total / count, 4) if count else None,
            }


def panel(field: str, title: str, names: list[str], format: str) -> dict:
    """Lines over steps."""
    return {
        "width": 640,
        "height": 220,
        "mark": {"type": "line", "interpolate": "monotone" if field == "loss" else "step-after", "strokeWidth": 2},
        "encoding": {
            "x": {"field": "step", "type": "quantitative", "title": "step"},
            "y": {"field": field, "type": "quantitative", "title": title, "axis": {"format": format}},
            "color": {
                "field": "component",
                "title": None,
                "scale": {"domain": names, "range": list(COLOURS[: len(names)])},
            },
        },
    }


def main() -> None:
    """Draw."""
    parser = argparse.ArgumentParser(description="Draw the weights and losses of a run.")
    parser.add_argument("losses", type=Path, help="what the run has written")
    parser.add_argument("--every", type=int, default=20, help="steps of a point")
    parser.add_argument("--svg", type=Path)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    lines = [json.loads(line) for line in arguments.losses.read_text(encoding="utf-8").splitlines()]
    found = list(points(lines, arguments.every))
    if arguments.json:
        rows = ",\n".join(json.dumps(point) for point in found)
        arguments.json.write_text(f"[\n{rows}\n]\n", encoding="utf-8")
    if arguments.svg:
        import vl_convert  # the extra `report`

        names = list(lines[0]["weights"])
        drawing = {
            "data": {"values": found},
            "vconcat": [panel("weight", "weight asked for", names, "%"), panel("loss", "loss per token", names, "")],
            "config": {"view": {"stroke": None}, "font": "sans-serif"},
        }
        arguments.svg.write_text(vl_convert.vegalite_to_svg(drawing, allowed_base_urls=[]), encoding="utf-8")


if __name__ == "__main__":
    main()
