"""Plans over files of which some samples can no longer be read, and that can be mended again."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mixtera.artifact import digest, layout
from mixtera.artifact.model import FILES, SEGMENTS, OrderParameters, PlanData, PlanSource
from mixtera.plan import Plan
from tests.stream.written import RECORD_BYTES, written_plan
from tests.synthetic import plan_data

ORDER = OrderParameters(seed=3, shuffle="global", chunk_size=32, lanes=2, granule=4)
GROUP_ROWS = 50


def jsonl_plan(directory: Path) -> Plan:
    """A saved plan of two epochs over lines of 100 bytes."""
    return saved(written_plan(directory / "files", order=ORDER, epochs=(2, 2, 2)), directory)


def parquet_plan(directory: Path) -> Plan:
    """A saved plan over two files with row groups of 50 rows."""
    labels = [np.arange(300, dtype=np.uint8) % 3 % 2 for _ in range(2)]
    data = plan_data(labels, (2.0, 1.0), order=ORDER, segment_rows=GROUP_ROWS)
    paths = [directory / f"{part}.parquet" for part in range(2)]
    for part, path in enumerate(paths):
        table = pa.table({"text": [f"file {part} row {row} " for row in range(300)]})
        pq.write_table(table, path, row_group_size=GROUP_ROWS, compression="zstd")
    stats = [path.stat() for path in paths]
    columns = data.files.to_pydict() | {
        "name": [path.name for path in paths],
        "url": [str(path) for path in paths],
        "size": [stat.st_size for stat in stats],
        "modified_ns": [stat.st_mtime_ns for stat in stats],
    }
    nowhere = [-1] * len(data.segments)
    data = dataclasses.replace(
        data,
        sources=(PlanSource("data", "parquet", (("text", "text"),)),),
        files=pa.table(columns, schema=FILES),
        segments=pa.table(data.segments.to_pydict() | {"offset": nowhere, "start": nowhere}, schema=SEGMENTS),
        starts=np.empty(0, np.uint32),
    )
    return saved(data, directory)


def saved(data: PlanData, directory: Path) -> Plan:
    layout.write(str(directory / "plan"), data, digest.digest(data))
    return Plan.open(str(directory / "plan"))


def overwrite(path: Path, start: int, content: bytes) -> bytes:
    """Damage a file, as a disk does: its size and time stay. Returns what was there."""
    stat = path.stat()
    with path.open("r+b") as file:
        file.seek(start)
        before = file.read(len(content))
        file.seek(start)
        file.write(content)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    return before


def break_lines(plan: Plan, rows: list[int], file: int = 0) -> None:
    """Make lines no JSON."""
    for row in rows:
        overwrite(Path(plan.data.files.column("url")[file].as_py()), row * RECORD_BYTES, b"?")


def mend_lines(plan: Plan, rows: list[int], file: int = 0) -> None:
    """Make them JSON again, which says something else than before."""
    for row in rows:
        record = json.dumps({"text": "mended", "pad": ""})
        line = json.dumps({"text": "mended", "pad": "x" * (RECORD_BYTES - 1 - len(record))}).encode()
        overwrite(Path(plan.data.files.column("url")[file].as_py()), row * RECORD_BYTES, line)


def break_group(plan: Plan, group: int) -> int:
    """Make the texts of a row group of the first file unreadable; its first row."""
    path = Path(plan.data.files.column("url")[0].as_py())
    column = pq.read_metadata(path).row_group(group).column(0)
    start = column.dictionary_page_offset or column.data_page_offset
    overwrite(path, start, b"\xff" * column.total_compressed_size)
    return group * GROUP_ROWS
