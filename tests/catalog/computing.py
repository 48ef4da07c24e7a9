"""Functions that specs of tests compute properties with."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tests.waiting import until


def length(batch: pa.RecordBatch, **options: object) -> pa.Array:
    """Characters of the first column, times a factor; says in a log what it was called with."""
    if "log" in options:
        with Path(str(options["log"])).open("a") as log:
            log.write(f"{batch.num_rows} {batch.nbytes} {','.join(batch.schema.names)}\n")
    if "sleep" in options:
        time.sleep(float(str(options["sleep"])))
    print("a function may print")
    return pc.multiply(pc.utf8_length(batch.column(0)), int(str(options.get("factor", 1))))


def half(batch: pa.RecordBatch) -> np.ndarray:
    """The first column divided by two, NaN where it is odd."""
    values = batch.column(0).to_numpy(zero_copy_only=False).astype(np.float64)
    return np.where(values % 2 == 0, values / 2, np.nan)


def words(batch: pa.RecordBatch) -> pa.Array:
    """The words of the text; NULL for those of even numbers."""
    found = pc.split_pattern(batch.column("text"), " ")
    odd = pc.match_substring_regex(batch.column("text"), "[13579]$")
    return pc.if_else(odd, found, pa.scalar(None, found.type))


def said(batch: pa.RecordBatch, *, what: dict[str, object]) -> pa.Array:
    """The types of the options, as text."""
    return pa.array([",".join(f"{key}:{type(value).__name__}" for key, value in what.items())] * batch.num_rows)


def fails_at(batch: pa.RecordBatch, *, text: str) -> pa.Array:
    """Raises for a batch with a certain text."""
    if text in batch.column("text").to_pylist():
        raise KeyError(f"cannot use\n{text}")
    return pa.array(np.zeros(batch.num_rows, np.int64))


def one_short(batch: pa.RecordBatch) -> pa.Array:
    return pa.array(np.zeros(batch.num_rows - 1, np.int64))


def texts(batch: pa.RecordBatch) -> pa.Array:
    return batch.column("text")


def too_large(batch: pa.RecordBatch) -> pa.Array:
    return pa.array(np.full(batch.num_rows, 2**63, np.uint64))


def a_list(batch: pa.RecordBatch) -> list[int]:
    return [0] * batch.num_rows


def pids(batch: pa.RecordBatch, *, place: str) -> pa.Array:
    """The process that computes it, once another one has come to compute something, too."""
    (Path(place) / f"{os.getpid()}.pid").touch()
    until(lambda: len(list(Path(place).glob("*.pid"))) > 1, "a second process")
    return pa.array(np.full(batch.num_rows, os.getpid(), np.int64))
