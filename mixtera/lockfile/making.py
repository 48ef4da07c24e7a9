"""Plan → what its lock says: a pure function."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from importlib.metadata import version
from typing import Any

import numpy as np

from mixtera.artifact.model import PlanData
from mixtera.lockfile.model import LockBody, LockedFile, LockedSource
from mixtera.lockfile.settings import delivery_of
from mixtera.lockfile.tokens import tokens_of


def body_of(data: PlanData, digest: str, spec: tuple[str, ...], portable: bool = False) -> LockBody:
    """What the lock of a plan says.

    Args:
        data: The plan.
        digest: Its digest.
        spec: The normalised lines of its spec.
        portable: Leave out times and etags of files, which a copy of them does not keep.
    """
    return LockBody(
        made_by=version("mixtera"),
        order_version=data.order_version,
        plan=digest,
        name=data.name,
        positions=data.end,
        samples=len(data.rows),
        order=data.order,
        components=data.components,
        sources=tuple(_sources(data, portable)),
        spec=spec,
        tokens=tokens_of(data),
        delivery=delivery_of(data),
        dynamic=data.steering,
    )


def _sources(data: PlanData, portable: bool) -> Iterator[LockedSource]:
    snapshots = {found["name"]: found.get("snapshot") for found in data.facts.get("sources", ())}
    beside = data.facts.get("beside", {})
    number = data.files.column("source").to_numpy()
    bounds = np.searchsorted(number, np.arange(len(data.sources) + 1)).tolist()
    for source, first, last in zip(data.sources, bounds[:-1], bounds[1:], strict=True):
        rows = data.files.slice(first, last - first).to_pylist()
        files = [locked_file({**row, "beside": beside.get(source.name, {}).get(row["name"])}) for row in rows]
        if portable:
            files = [replace(file, modified=None, etag=None, beside=None) for file in files]
        yield LockedSource(source.name, source.format, snapshots.get(source.name), tuple(files))


def locked_file(row: Mapping[str, Any]) -> LockedFile:
    """A row of a table of files as a lock has it."""
    marks = row["etag"] or None, row["beside"] or None
    return LockedFile(row["name"], row["size"], row["rows"], _time(row["modified_ns"]), *marks)


def _time(nanoseconds: int) -> str | None:
    """Nanoseconds since 1970 as people write it; 0 is: the storage has none."""
    return f"{np.datetime_as_string(np.datetime64(nanoseconds, 'ns'))}Z" if nanoseconds else None
