"""`make bench-scale`: what compiling costs against size, with fitted growth exponents and a plot.

Catalogs are synthetic, but lie as `mixtera index` writes them. Every measurement is a process of its own; the
reference is the engine's answers to the same questions, taken and dropped. Processor seconds count, since they are the
same on a busy machine; the clock's seconds stand beside them.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.catalogs import Shape, write_catalog
from benchmarks.processes import Task, run
from benchmarks.scale_plot import drawn

HERE = Path(__file__).parent
MILLION = 1_000_000
BILLION = 1_000 * MILLION
WIDE = Shape(10 * MILLION, files=100_000, sources=2_000, components=500)
EXPONENT = 1.05
COMPILE_SECONDS, COMPILE_BYTES = 25, 2_000 * MILLION
OPEN_SECONDS, OPEN_BYTES = 0.2, 500 * MILLION


@dataclass(frozen=True)
class Point:
    """What was measured at one size.

    Attributes:
        shape: The size.
        labels: The reference.
        compiled: A compilation of everything.
        grown: One after the catalog grew by a hundredth; None where it was not measured.
    """

    shape: Shape
    labels: dict[str, Any]
    compiled: dict[str, Any]
    grown: dict[str, Any] | None = None


def measure(work: Path, shape: Shape, rounds: int, grow: bool) -> Point:
    """Measure one size; its catalog is removed afterwards."""
    print(f"{shape.rows:,} rows, {shape.files:,} files, {shape.sources:,} sources …", file=sys.stderr)
    directory = work / f"{shape.rows}-{shape.sources}"
    try:
        write_catalog(directory, shape)
        given = {"spec": str(directory / "spec.yaml"), "catalog": str(directory / "catalog")}
        compiling = Task("scale_figures.compile", {**given, "plan": str(directory / "plan")})
        found: tuple[list[dict[str, Any]], list[dict[str, Any]]] = ([], [])
        for _ in range(rounds):
            found[0].append(run(Task("scale_figures.labels", given)))
            found[1].append(run(compiling))
        grown = _grown(directory, shape, compiling) if grow else None
        labels, compiled = (min(rows, key=lambda row: float(row["cpu_seconds"])) for rows in found)
        return Point(shape, labels, compiled, grown)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _grown(directory: Path, shape: Shape, compiling: Task) -> dict[str, Any]:
    """Compile, keep the labels, add a hundredth of the files, and compile again."""
    keeping = replace(compiling, arguments={**compiling.arguments, "reuse": True})
    run(keeping)
    write_catalog(directory, replace(shape, rows=shape.rows * 101 // 100, files=shape.files * 101 // 100))
    again = run(keeping)
    whole = run(compiling)
    if again["digest"] != whole["digest"]:
        raise SystemExit("the plan with kept labels is another one")
    return {**again, "whole_cpu_seconds": whole["cpu_seconds"], "whole_seconds": whole["seconds"]}


def exponent(points: Sequence[Point], name: str) -> float:
    """The slope of a figure over rows where both are logarithms: by least squares over all sizes."""
    x = [math.log(point.shape.rows) for point in points]
    y = [math.log(point.compiled[name]) for point in points]
    middle, level = sum(x) / len(x), sum(y) / len(y)
    return sum((a - middle) * (b - level) for a, b in zip(x, y, strict=True)) / sum((a - middle) ** 2 for a in x)


def opened(work: Path) -> dict[str, Any]:
    """The best of some looks at a plan of a billion samples, whose arrays are holes in files."""
    from benchmarks import billion

    plan = work / "billion"
    try:
        size = billion.write(str(plan), BILLION)
        looks = [run(Task("billion.first", {"plan": str(plan)})) for _ in range(5)]
        return size | min(looks, key=lambda look: float(look["cpu_seconds"]))
    finally:
        shutil.rmtree(plan, ignore_errors=True)


def page(points: Sequence[Point], wide: Point | None, first: dict[str, Any], command: str) -> str:
    """The page `SCALE.md`."""
    facts = "\n".join(f"- {name}: {value}" for name, value in machine.describe().items())
    rows = [_line(point) for point in points]
    slopes = [exponent(points, name) for name in ("cpu_seconds", "peak_bytes")] if len(points) > 1 else [0.0, 0.0]
    head = ("rows", "files", "labels alone, CPU s (clock)", "compile, CPU s (clock)", "ratio", "peak RSS", "plan")
    grown = [_grown_line(point) for point in points if point.grown is not None]
    grown_head = ("rows", "asked about", "compile again, CPU s (clock)", "without kept labels, CPU s (clock)", "ratio")
    return "\n".join(
        [
            f"# Compiling against size\n\n{facts}\n- command: `{command}`\n",
            "8 components over 22 domains, DuckDB on 2 threads. The reference is the engine's answers alone, taken and",
            "dropped. Each figure is the best of its rounds, in processor seconds.\n",
            *_table(head, rows),
            f"\nAsked for 100 M rows: {COMPILE_SECONDS} s and {COMPILE_BYTES / MILLION:,.0f} MB. Growth exponent over "
            f"these sizes: processor time {slopes[0]:.2f}, peak RSS {slopes[1]:.2f} (asked: at most {EXPONENT}, and "
            "RSS below linear).\n",
            "![processor time and peak RSS against rows](scale.svg)\n",
            "## A catalog that grew by 1 %\n",
            *_table(grown_head, grown),
            "\nThe digest is that of the compilation without kept labels. What is left is the writing of the plan,",
            "which has a few bytes for every sample.\n",
            *([] if wide is None else _wide(wide)),
            "## A plan of a billion samples\n",
            f"{first['samples']:,} samples in {first['segments']:,} segments and {first['entries']:,} entries; "
            f"`Plan.open` and the first pointer: {first['cpu_seconds'] * 1000:.0f} ms of processor time "
            f"({first['seconds'] * 1000:.0f} ms; asked: {OPEN_SECONDS * 1000:.0f} ms), peak RSS "
            f"{first['peak_bytes'] / MILLION:.0f} MB (asked: {OPEN_BYTES / MILLION:.0f} MB). "
            "The plan's long arrays are holes in files here.\n",
        ]
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return ["| " + " | ".join(line) + " |" for line in (head, ["---"] * len(head), *rows)]


def _line(point: Point) -> tuple[str, ...]:
    labels, compiled = point.labels, point.compiled
    return (
        f"{point.shape.rows:,}",
        f"{point.shape.files:,}",
        f"{labels['cpu_seconds']:.1f} ({labels['seconds']:.1f})",
        f"{compiled['cpu_seconds']:.1f} ({compiled['seconds']:.1f})",
        f"{compiled['cpu_seconds'] / labels['cpu_seconds']:.2f}",
        f"{compiled['peak_bytes'] / MILLION:.0f} MB",
        f"{compiled['bytes'] / point.shape.rows:.1f} B a sample",
    )


def _grown_line(point: Point) -> tuple[str, ...]:
    found = point.grown or {}
    return (
        f"{point.shape.rows * 101 // 100:,}",
        f"{found['asked']:,}",
        f"{found['cpu_seconds']:.1f} ({found['seconds']:.1f})",
        f"{found['whole_cpu_seconds']:.1f} ({found['whole_seconds']:.1f})",
        f"{found['cpu_seconds'] / found['whole_cpu_seconds']:.2f}",
    )


def _wide(point: Point) -> list[str]:
    shape, compiled = point.shape, point.compiled
    return [
        "## Many sources and components\n",
        f"{shape.rows:,} rows of {shape.files:,} files in {shape.sources:,} sources, {shape.components:,} components: "
        f"{compiled['cpu_seconds']:.1f} s of processor time ({compiled['seconds']:.1f} s), peak RSS "
        f"{compiled['peak_bytes'] / MILLION:.0f} MB. One query for each source, without the rest of the work: "
        f"{point.labels['cpu_seconds']:.1f} s ({point.labels['seconds']:.1f} s).\n",
    ]


def _rows(text: str) -> int:
    units = {"K": 1_000, "M": MILLION, "B": BILLION}
    return int(text[:-1]) * units[text[-1]] if text[-1:] in units else int(text)


def main() -> None:
    """Measure, and write the page and the plot."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=_rows, default=10 * MILLION, help="largest catalog: 10M (default), 100M, 1B")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each size (default: 3)")
    parser.add_argument("--no-wide", action="store_true", help="leave out 2,000 sources with 500 components")
    parser.add_argument("--work", help="where catalogs and plans are written (default: a temporary directory)")
    parser.add_argument("--json", metavar="FILE", help="write the figures to a file as well")
    arguments = parser.parse_args()
    sizes = sorted({arguments.rows // part for part in (100, 30, 10, 3, 1)})
    command = " ".join(["python -m benchmarks.scale", *sys.argv[1:]])
    with tempfile.TemporaryDirectory(prefix="mixtera-scale-", dir=arguments.work) as directory:
        work = Path(directory)
        first = opened(work)
        last = sizes[-2:]
        points = [measure(work, Shape(rows // 1_000 * 1_000), arguments.rounds, rows in last) for rows in sizes]
        wide = None if arguments.no_wide else measure(work, WIDE, 1, grow=False)
    (HERE / "SCALE.md").write_text(page(points, wide, first, command))
    (HERE / "scale.svg").write_text(drawn([(p.shape.rows, p.labels, p.compiled) for p in points]))
    if arguments.json:
        found = {"points": [vars(p) | {"shape": vars(p.shape)} for p in points], "open": first}
        Path(arguments.json).write_text(json.dumps(found, indent=1))
    largest = points[-1].compiled
    print(f"{points[-1].shape.rows:,} rows: {largest['seconds']:.1f} s, {largest['peak_bytes'] / MILLION:.0f} MB")


if __name__ == "__main__":
    main()
