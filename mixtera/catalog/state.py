"""The committed state of a source: its newest snapshot with definition and files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from mixtera.catalog.columns import BAD_COLUMNS, FILE_COLUMNS, Column, plain_schema, table_of
from mixtera.catalog.model import Definition

if TYPE_CHECKING:
    from pyiceberg.table.snapshots import Snapshot

    from mixtera.catalog.tables import Role, Tables

SAMPLES_SNAPSHOT: Final = "mixtera.samples-snapshot"
BAD_SNAPSHOT: Final = "mixtera.bad-snapshot"
DEFINITION: Final = "mixtera.definition"
FILES: Final = "mixtera.files"
"""Path of the Parquet file of a files table, below the data directory of its source."""
FILES_NAME: Final = "files.parquet"
"""The files table of a state, in the directory of the run that wrote it."""
SAMPLES: Final = "mixtera.samples"
"""How many samples a state has whose samples table has no rows: they are in a table of others."""
PINNED: Final = "table.parquet"
"""The Parquet files of a table of others, in the directory of the run that pinned it."""
PATHS: Final = "paths.parquet"
"""What such a table calls the files of its source, and their ids; likewise."""
RANKS: Final = "ranks.parquet"
"""Which record of its file lies at which offset, where such a table does not say; likewise."""
NO_SNAPSHOT: Final = "none"


@dataclass(frozen=True)
class State:
    """A committed state of a source.

    Attributes:
        source: Its name.
        definition: What it was indexed as.
        snapshot_id: Snapshot of the samples table.
        bad_snapshot_id: Snapshot of the quarantine table; None where nothing was ever quarantined.
        files: The files table, sorted by name.
        run: Directory of the run that wrote the state.
    """

    source: str
    definition: Definition
    snapshot_id: int
    bad_snapshot_id: int | None
    files: pa.Table
    run: Path


def read_state(tables: Tables, source: str) -> State | None:
    """The newest committed state of a source, or None when it was never indexed to the end."""
    summary = tables.summary(source, "files")
    if summary is None:
        return None
    bad = summary[BAD_SNAPSHOT]
    path = tables.data_directory(source) / summary[FILES]
    tables.have([path])
    return State(
        source,
        msgspec.json.decode(summary[DEFINITION], type=Definition),
        int(summary[SAMPLES_SNAPSHOT]),
        None if bad == NO_SNAPSHOT else int(bad),
        read_parquet(path, FILE_COLUMNS).combine_chunks(),
        path.parent,
    )


def state_paths(tables: Tables, state: State) -> list[Path]:
    """Every Parquet file that a state consists of."""
    pinned: tuple[tuple[Role, int | None], ...] = (("samples", state.snapshot_id), ("bad", state.bad_snapshot_id))
    found: list[Path] = []
    for role, snapshot_id in pinned:
        table = tables.load(state.source, role)
        found += tables.data_paths(table, snapshot_id) if table is not None and snapshot_id is not None else []
    beside = () if state.definition.table is None else (PINNED, PATHS, RANKS)
    return [*found, *(state.run / name for name in beside if (state.run / name).exists()), state.run / FILES_NAME]


def read_bad(tables: Tables, state: State) -> pa.Table:
    """The quarantine of a state."""
    table = tables.load(state.source, "bad")
    if table is None or state.bad_snapshot_id is None:
        return table_of([], BAD_COLUMNS)
    paths = tables.data_paths(table, state.bad_snapshot_id)
    tables.have(paths)
    return _read(paths, BAD_COLUMNS)


def summary_values(snapshot: Snapshot) -> dict[str, str]:
    """What the summary of a snapshot says."""
    return {} if snapshot.summary is None else snapshot.summary.additional_properties


def summary_of(definition: Definition, run: Path, snapshot_id: int, bad_snapshot_id: int | None) -> dict[str, str]:
    """What the summary of a snapshot of the files table says."""
    return {
        DEFINITION: msgspec.json.encode(definition).decode(),
        FILES: f"{run.name}/{FILES_NAME}",
        SAMPLES_SNAPSHOT: str(snapshot_id),
        BAD_SNAPSHOT: NO_SNAPSHOT if bad_snapshot_id is None else str(bad_snapshot_id),
    }


def _read(paths: list[Path], columns: tuple[Column, ...]) -> pa.Table:
    parts = [read_parquet(path, columns) for path in paths]
    return pa.concat_tables([table_of([], columns), *parts]).combine_chunks()


def read_parquet(path: Path, columns: tuple[Column, ...]) -> pa.Table:
    """Read a Parquet file of the catalog as plain columns; those that an older release did not write are NULL."""
    schema = plain_schema(columns)
    with pq.ParquetFile(path) as file:
        have = set(file.schema_arrow.names)
        table = file.read([name for name in schema.names if name in have], use_threads=False)
    for field in schema:
        if field.name not in have:
            table = table.append_column(field, pa.nulls(len(table), field.type))
    return table.select(schema.names).cast(schema)


def read_columns(path: Path, names: Sequence[str]) -> pa.Table:
    """Read some columns of a Parquet file of the catalog, without what `pyarrow.parquet.read_table` imports."""
    with pq.ParquetFile(path) as file:
        return file.read(list(names))
