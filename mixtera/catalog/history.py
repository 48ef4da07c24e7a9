"""The snapshots of a source, newest first."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mixtera.catalog.state import SAMPLES, SAMPLES_SNAPSHOT, summary_values

if TYPE_CHECKING:
    from pyiceberg.table import Table

    from mixtera.catalog.tables import Tables


@dataclass(frozen=True, slots=True)
class SnapshotFacts:
    """One committed state of a source.

    Attributes:
        snapshot_id: The Iceberg snapshot of its samples.
        committed: When, in UTC.
        files: Files in it.
        samples: Samples in it.
    """

    snapshot_id: int
    committed: datetime.datetime
    files: int
    samples: int


def history(tables: Tables, source: str) -> list[SnapshotFacts]:
    """Every committed state of a source, newest first."""
    files, samples = tables.load(source, "files"), tables.load(source, "samples")
    if files is None or samples is None:
        return []
    found = []
    for snapshot in files.snapshots():
        summary = summary_values(snapshot)
        samples_id = int(summary[SAMPLES_SNAPSHOT])
        committed = datetime.datetime.fromtimestamp(snapshot.timestamp_ms / 1000, datetime.UTC)
        count = int(summary[SAMPLES]) if SAMPLES in summary else _records(samples, samples_id)
        found.append(SnapshotFacts(samples_id, committed, int(summary["total-records"]), count))
    return found[::-1]


def _records(table: Table, snapshot_id: int) -> int:
    snapshot = table.snapshot_by_id(snapshot_id)
    return 0 if snapshot is None else int(summary_values(snapshot)["total-records"])
