"""A plan over a corpus larger than the memory a stream may take: 250,000 records of 850 bytes in 8 components."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pyarrow as pa

from mixtera.artifact.model import FILES, OrderParameters, PlanData
from tests.synthetic import plan_data

FILES_COUNT, ROWS, RECORD_BYTES, COMPONENTS = 5, 50_000, 850, 8


def big_plan(directory: Path) -> PlanData:
    """Write the corpus below a directory and plan it, with the default order."""
    head, tail = b'{"text": "', b'"}\n'
    record = head + b"words\\n " * ((RECORD_BYTES - len(head) - len(tail)) // 8)
    record = record.ljust(RECORD_BYTES - len(tail), b".") + tail
    paths = [directory / f"part-{file}.jsonl" for file in range(FILES_COUNT)]
    for path in paths:
        path.write_bytes(b"")
        with path.open("ab") as file:
            for _ in range(10):
                file.write(record * (ROWS // 10))
    random = np.random.default_rng(4)
    labels = [random.integers(0, COMPONENTS, ROWS).astype(np.uint8) for _ in paths]
    order = OrderParameters(4, "global", 16384, 16, 32)
    data = plan_data(labels, [1.0] * COMPONENTS, order=order, segment_rows=1000, record_bytes=RECORD_BYTES)
    columns = data.files.to_pydict() | {"url": [str(path) for path in paths]}
    return dataclasses.replace(data, files=pa.table(columns, schema=FILES))
