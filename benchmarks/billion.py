"""A plan of a billion samples whose long arrays are holes in files: what opening it and its first batch cost."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks.scale_figures import peak_bytes
from mixtera.artifact import layout, pages
from mixtera.artifact.files import write_table
from mixtera.artifact.model import (
    ENTRIES,
    FILES,
    SEGMENT_ROWS,
    SEGMENTS,
    OrderParameters,
    PlanComponent,
    PlanData,
    PlanSource,
)
from mixtera.order.exhaustion import timeline

ORDER = OrderParameters(7, "global", 4096, 16, 32)


def write(
    directory: str,
    samples: int,
    files: int = 1_000,
    components: int = 8,
    order: OrderParameters = ORDER,
    sums: Callable[[Path], pages.Pages] | None = None,
) -> dict[str, float]:
    """Write such a plan: all samples selected, every component in every segment.

    Args:
        directory: Where to.
        samples: How many, about.
        files: Files that they lie in.
        components: Components of the mixture.
        order: Parameters of the order.
        sums: Writes the checksums of the pages of its arrays; None: it has none.
    """
    path = Path(directory)
    path.mkdir(parents=True)
    each = samples // files
    pieces = -(-each // SEGMENT_ROWS)
    row = np.tile(np.arange(pieces) * SEGMENT_ROWS, files)
    size = np.minimum(each - row, SEGMENT_ROWS)
    number = np.arange(len(row))
    count = np.stack([(size + c) // components for c in range(components)])
    weights = [1.0 + c % 5 for c in range(components)]
    sizes = count.sum(axis=1).tolist()
    columns = (number // pieces, row, size, number, row * 850, np.cumsum(size + 1) - size - 1)
    segments = dict(zip(SEGMENTS.names, columns, strict=True))
    entries = {"segment": np.tile(number, components), "count": count.ravel()}
    data = PlanData(
        name="billion",
        sources=(PlanSource("data", "jsonl", (("text", "text"),)),),
        components=tuple(
            PlanComponent(f"part-{c}", weight, size, None, "repeat")
            for c, (weight, size) in enumerate(zip(weights, sizes, strict=True))
        ),
        order=order,
        timeline=timeline(weights, [None] * components, ["repeat"] * components),
        files=_files(files, each),
        segments=pa.table(segments).cast(SEGMENTS),
        entries=pa.table(entries).cast(ENTRIES),
        component_entries=np.arange(components + 1) * len(number),
        rows=np.empty(0, np.uint16),
        starts=np.empty(0, np.uint32),
    )
    for name, schema in (("files", FILES), ("segments", SEGMENTS), ("entries", ENTRIES)):
        write_table(path / f"{name}.arrow", getattr(data, name).cast(schema))
    for name, bytes_ in (("rows.u16", 2 * sum(sizes)), ("starts.u32", 4 * int((size + 1).sum()))):
        with (path / name).open("wb") as hole:
            hole.truncate(bytes_)
    (path / layout.DOCUMENT).write_bytes(layout._encode(data, "sha256:" + "0" * 64, path, None, sums and sums(path)))
    return {"samples": sum(sizes), "segments": len(number), "entries": count.size}


def _files(files: int, rows: int) -> pa.Table:
    columns = {
        "source": np.zeros(files, np.int32),
        "name": [f"{number:06d}.jsonl" for number in range(files)],
        "url": [f"/nowhere/{number:06d}.jsonl" for number in range(files)],
        "file_id": np.arange(files) * 1000 + 5,
        "rows": np.full(files, rows),
        "size": np.full(files, rows * 850),
        "modified_ns": np.zeros(files, np.int64),
        "etag": [""] * files,
        "content_bytes": np.zeros(files, np.int64),
    }
    return pa.table(columns, schema=FILES)


def first(plan: str, position: int = 0) -> dict[str, float]:
    """Open a plan and find the samples of a first batch, in a process that has imported what that needs."""
    import mixtera
    import mixtera.artifact.pointers
    from mixtera.plan import Plan

    assert mixtera
    begin, before = time.perf_counter(), time.process_time()
    opened = Plan.open(plan)
    at = time.perf_counter()
    found = opened.pointers.range(position, position + 1)
    seconds, cpu = time.perf_counter() - begin, time.process_time() - before
    return {
        "seconds": seconds,
        "cpu_seconds": cpu,
        "open_seconds": at - begin,
        "sample": int(found.sample[0]),
        "peak_bytes": peak_bytes(),
    }
