"""Plans over files that are really there: records of 100 bytes whose text says which file and row they are."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from mixtera.artifact import digest
from mixtera.artifact.model import FILES, OrderParameters, PlanData
from mixtera.artifact.pointers import PointerMap
from mixtera.stream import Stream
from tests.synthetic import plan_data

RECORD_BYTES = 100
WEIGHTS = (5.0, 2.0, 3.0)


def text_of(file: int, row: int) -> str:
    return f"file {file} row {row} "


def write_files(directory: Path, sizes: Sequence[int]) -> list[Path]:
    directory.mkdir(parents=True, exist_ok=True)
    paths = [directory / f"part-{file}.jsonl" for file in range(len(sizes))]
    for file, (path, rows) in enumerate(zip(paths, sizes, strict=True)):
        path.write_text("".join(_line(file, row) for row in range(rows)), encoding="utf-8")
    return paths


def _line(file: int, row: int) -> str:
    bare = json.dumps({"text": text_of(file, row), "pad": ""})
    return json.dumps({"text": text_of(file, row), "pad": "x" * (RECORD_BYTES - 1 - len(bare))}) + "\n"


def written_plan(
    directory: Path,
    sizes: Sequence[int] = (401, 300, 257),
    *,
    order: OrderParameters | None = None,
    epochs: Sequence[float | None] | None = None,
    seed: int = 1,
) -> PlanData:
    """A plan of three components over new files in a directory."""
    paths = write_files(directory, sizes)
    random = np.random.default_rng(seed)
    labels = [random.integers(0, len(WEIGHTS), rows).astype(np.uint8) for rows in sizes]
    data = plan_data(labels, WEIGHTS, order=order, epochs=epochs, record_bytes=RECORD_BYTES)
    stats = [path.stat() for path in paths]
    columns = data.files.to_pydict() | {
        "name": [path.name for path in paths],
        "url": [str(path) for path in paths],
        "size": [stat.st_size for stat in stats],
        "modified_ns": [stat.st_mtime_ns for stat in stats],
    }
    return dataclasses.replace(data, files=pa.table(columns, schema=FILES))


def expected(data: PlanData, start: int, stop: int) -> list[tuple[str, str, int]]:
    """Text, component and sample of the positions [start, stop), by the pointers alone."""
    found = PointerMap(data).range(start, stop)
    texts = [text_of(file, row) for file, row in zip(found.file.tolist(), found.row.tolist(), strict=True)]
    names = [data.components[component].name for component in found.component.tolist()]
    return list(zip(texts, names, found.sample.tolist(), strict=True))


def rows_of(batch: pa.RecordBatch) -> list[tuple[str, str, int]]:
    return list(zip(*(batch[name].to_pylist() for name in ("text", "component", "sample")), strict=True))


def open_stream(data: PlanData, **options: object) -> Stream:
    return Stream(data, digest.digest(data), **options)  # type: ignore[arg-type]
