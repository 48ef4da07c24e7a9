"""Plans that follow a training, over files that are really there."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mixtera.artifact import digest, layout
from mixtera.artifact.model import OrderParameters, Steering
from mixtera.jobs import Job
from mixtera.plan import Plan
from mixtera.stream import Stream
from tests.stream.written import rows_of, written_plan

ORDER = OrderParameters(seed=3, shuffle="global", chunk_size=32, lanes=2, granule=4)
ROUND = 64
NAMES = ("c0", "c1", "c2")


def steering(algorithm: str = "external", limit: int | None = None, **changes: Any) -> Steering:
    plain = Steering(algorithm, {}, None, None, 1, 1, limit)
    return dataclasses.replace(plain, **changes)


def following_plan(
    directory: Path, how: Steering | None = None, epochs: tuple[float | None, ...] = (None, None, None)
) -> Plan:
    """A saved plan of three components whose weights follow the training; without an end by default."""
    how = steering() if how is None else how
    data = written_plan(directory / "files", order=ORDER, epochs=epochs)
    data = dataclasses.replace(data, steering=how)
    path = str(directory / "plan")
    layout.write(path, data, digest.digest(data))
    return Plan.open(path)


def push(job: Job, step: int, weights: Mapping[str, float], position: int | None = None) -> None:
    """Have the algorithm `external` take weights over."""
    counts = dict.fromkeys(job.components, 1)
    job.feedback(step, counts, counts, scalars={"weights": weights}, position=position)


def taken(streams: list[Stream], steps: int) -> list[tuple[str, str, int]]:
    """The samples of some steps, over all ranks, in the global order."""
    found: list[tuple[str, str, int]] = []
    for _ in range(steps):
        batches = [next(stream, None) for stream in streams]
        if None in batches:
            assert batches == [None] * len(streams), "the ranks do not end together"
            break
        for batch in batches:
            assert batch is not None
            found += rows_of(batch)
    return found


def decided(job: Job, start: int, stop: int) -> list[tuple[str, int]]:
    """Component and sample of positions, by the pointers of what the job has decided."""
    table = job.decided().samples(start, stop)
    return list(zip(table["component"].to_pylist(), table["sample"].to_pylist(), strict=True))
