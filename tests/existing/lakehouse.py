"""Iceberg tables as others make them, with pyiceberg's own catalog."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.manifest import (
    DataFile,
    DataFileContent,
    FileFormat,
    ManifestContent,
    ManifestEntry,
    ManifestEntryStatus,
    ManifestWriterV2,
    write_manifest_list,
)
from pyiceberg.table import Table
from pyiceberg.typedef import Record


def iceberg(folder: Path, rows: pa.Table, pieces: int = 3) -> Table:
    """A table of several appends, in a warehouse of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    catalog = SqlCatalog(
        "team", uri=f"sqlite:///{folder.parent / 'catalog.db'}", warehouse=f"file://{folder}/warehouse"
    )
    catalog.create_namespace("db")
    table = catalog.create_table("db.samples", rows.schema)
    size = -(-len(rows) // pieces)
    for number in range(pieces):
        table.append(rows.slice(number * size, size))
    return table


def place_of(table: Table) -> Path:
    """The folder of a table."""
    return Path(table.location().removeprefix("file://"))


class _Deletes(ManifestWriterV2):
    """A manifest of files that delete rows, which pyiceberg reads and does not write."""

    def content(self) -> ManifestContent:
        return ManifestContent.DELETES

    @property
    def _meta(self) -> dict[str, str]:
        return {**super()._meta, "content": "deletes"}


def delete_one_row(table: Table) -> None:
    """Commit a snapshot that deletes a row by a file of its own, as Spark and Flink do (merge on read)."""
    metadata = Path(table.metadata_location.removeprefix("file://"))
    before = table.current_snapshot()
    assert before is not None
    data = next(iter(table.scan().plan_files())).file
    snapshot_id = before.snapshot_id + 1
    folder = metadata.parent
    deletes = DataFile.from_args(
        content=DataFileContent.POSITION_DELETES,
        file_path=f"{table.location()}/data/deletes.parquet",
        file_format=FileFormat.PARQUET,
        partition=Record(),
        record_count=1,
        file_size_in_bytes=100,
        lower_bounds={2147483546: data.file_path.encode()},
        upper_bounds={2147483546: data.file_path.encode()},
    )
    entry = ManifestEntry.from_args(
        status=ManifestEntryStatus.ADDED, snapshot_id=snapshot_id, sequence_number=None, data_file=deletes
    )
    with _Deletes(
        table.spec(), table.schema(), table.io.new_output(f"file://{folder}/deletes.avro"), snapshot_id, "null"
    ) as writer:
        writer.add_entry(entry)
    manifests = [*before.manifests(table.io), writer.to_manifest_file()]
    listed = table.io.new_output(f"file://{folder}/snap-deletes.avro")
    sequence = before.sequence_number + 1 if before.sequence_number is not None else 1
    with write_manifest_list(2, listed, snapshot_id, before.snapshot_id, sequence, "null") as lists:
        lists.add_manifests(manifests)
    found = json.loads(metadata.read_text())
    newest = {**found["snapshots"][-1], "snapshot-id": snapshot_id, "sequence-number": sequence}
    newest |= {"parent-snapshot-id": before.snapshot_id, "manifest-list": listed.location}
    found["snapshots"].append(newest)
    found |= {"current-snapshot-id": snapshot_id, "last-sequence-number": sequence}
    found["refs"]["main"]["snapshot-id"] = snapshot_id
    metadata.with_name("99999-deletes.metadata.json").write_text(json.dumps(found))
