"""A tiny plan made by hand, with one of everything."""

from __future__ import annotations

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
from mixtera.order.timeline import ORDER_VERSION, Phase, Timeline


def tiny(order_version: int = ORDER_VERSION) -> PlanData:
    """Two sources, three files, two components, seven selected samples."""
    files = {
        "source": [0, 0, 1],
        "name": ["a.jsonl", "ü/b.jsonl", "c.parquet"],
        "url": ["/data/web/a.jsonl", "file:///data/web/ü/b.jsonl", "s3://bucket/code/c.parquet"],
        "file_id": [7, 2**32 - 1, 0],
        "rows": [3, 2, 4],
        "size": [30, 20, 400],
        "modified_ns": [1, 2, 0],
        "etag": ["", "", "abc"],
        "content_bytes": [27, 18, 0],
    }
    segments = {
        "file": [0, 1, 2, 2],
        "row": [0, 0, 0, 2],
        "rows": [3, 2, 2, 2],
        "group": [0, 1, 2, 3],
        "offset": [0, 0, -1, -1],
        "start": [0, 4, -1, -1],
    }
    return PlanData(
        name="tiny",
        sources=(
            PlanSource("web", "jsonl", (("text", "body.text"),)),
            PlanSource("code", "parquet", (("text", "content"),)),
        ),
        components=(
            PlanComponent("english", 0.1, 4, 4, "stop"),
            PlanComponent("code/ü", 2.0, 3, None, "repeat"),
        ),
        order=OrderParameters(17, "global", 256, 4, 32),
        timeline=Timeline((Phase(0, (0.1, 2.0), (0, 0), order_version),), 84),
        files=pa.table(files, schema=FILES),
        segments=pa.table(segments, schema=SEGMENTS),
        entries=pa.table({"segment": [0, 1, 2, 3], "count": [2, 2, 2, 1]}, schema=ENTRIES),
        component_entries=np.array([0, 2, 4]),
        rows=np.array([0, 2, 0, 1, 0, 1, 1], np.uint16),
        starts=np.array([0, 10, 20, 30, 0, 10, 20], np.uint32),
        facts={"engine": "none", "seconds": {"labels": 0.25}},
    )
