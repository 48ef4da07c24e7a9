"""Plans made by hand: the tables of a plan from the labels of each file, without a catalog or an engine."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from mixtera.artifact.model import (
    ENTRIES,
    FILES,
    SEGMENTS,
    OrderParameters,
    PlanComponent,
    PlanData,
    PlanSource,
)
from mixtera.order.exhaustion import timeline

NOT_SELECTED = 255


def plan_data(
    labels: Sequence[np.ndarray],
    weights: Sequence[float],
    *,
    order: OrderParameters | None = None,
    epochs: Sequence[float | None] | None = None,
    on_exhaust: str = "stop",
    segment_rows: int = 16,
    record_bytes: int = 100,
) -> PlanData:
    """A plan over files without content.

    Args:
        labels: Per file the component of each row; 255 is not selected.
        weights: One per component.
        order: Parameters of the order; small ones by default.
        epochs: Epochs of each component at most; None for no limit.
        on_exhaust: For all components.
        segment_rows: Rows of a segment.
        record_bytes: Every record is this long.
    """
    segments = _segments(labels, segment_rows, record_bytes)
    entries, component_entries, rows = _entries(labels, len(weights), segment_rows)
    starts = [np.arange(n + 1, dtype=np.uint32) * record_bytes for n in segments.column("rows").to_pylist()]
    counts = [int(sum((file == c).sum() for file in labels)) for c in range(len(weights))]
    limits = [None if e is None else int(n * e) for n, e in zip(counts, epochs or [1] * len(weights), strict=True)]
    names = [f"c{c}" for c in range(len(weights))]
    return PlanData(
        name="synthetic",
        sources=(PlanSource("data", "jsonl", (("text", "text"),)),),
        components=tuple(
            PlanComponent(name, float(weight), count, limit, on_exhaust)  # type: ignore[arg-type]
            for name, weight, count, limit in zip(names, weights, counts, limits, strict=True)
        ),
        order=order or OrderParameters(7, "global", 64, 3, 16),
        timeline=timeline([float(w) for w in weights], limits, [on_exhaust] * len(weights)),
        files=_files(labels, record_bytes),
        segments=segments,
        entries=entries,
        component_entries=component_entries,
        rows=rows,
        starts=np.concatenate(starts),
    )


def _files(labels: Sequence[np.ndarray], record_bytes: int) -> pa.Table:
    sizes = [len(file) for file in labels]
    columns = {
        "source": np.zeros(len(labels), np.int32),
        "name": [f"part-{i}.jsonl" for i in range(len(labels))],
        "url": [f"/data/part-{i}.jsonl" for i in range(len(labels))],
        "file_id": np.arange(len(labels)) * 1000 + 5,
        "rows": sizes,
        "size": np.array(sizes) * record_bytes,
        "modified_ns": np.zeros(len(labels), np.int64),
        "etag": [""] * len(labels),
        "content_bytes": np.zeros(len(labels), np.int64),
    }
    return pa.table(columns, schema=FILES)


def _segments(labels: Sequence[np.ndarray], segment_rows: int, record_bytes: int) -> pa.Table:
    table: dict[str, list[int]] = {name: [] for name in SEGMENTS.names}
    start = 0
    for file, values in enumerate(labels):
        for row in range(0, len(values), segment_rows):
            rows = min(segment_rows, len(values) - row)
            values_of = (file, row, rows, len(table["group"]), row * record_bytes, start)
            for name, value in zip(SEGMENTS.names, values_of, strict=True):
                table[name].append(value)
            start += rows + 1
    return pa.table(table, schema=SEGMENTS)


def _entries(
    labels: Sequence[np.ndarray], components: int, segment_rows: int
) -> tuple[pa.Table, np.ndarray, np.ndarray]:
    pieces = [values[row : row + segment_rows] for values in labels for row in range(0, len(values), segment_rows)]
    segment, count, rows, bounds = [], [], [], [0]
    for c in range(components):
        for s, piece in enumerate(pieces):
            found = np.flatnonzero(piece == c)
            if len(found):
                segment.append(s)
                count.append(len(found))
                rows.append(found.astype(np.uint16))
        bounds.append(len(segment))
    table = pa.table({"segment": segment, "count": count}, schema=ENTRIES)
    return table, np.array(bounds), np.concatenate(rows)
