"""The newest snapshot of an Iceberg table, by its metadata file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mixtera.catalog.existing.opening import Opened, files_at, local_path
from mixtera.errors import CatalogError

if TYPE_CHECKING:
    from pyiceberg.table import FileScanTask, StaticTable

    from mixtera.spec.model import ExistingTable

_NUMBER: Final = re.compile(r"v?(\d+)")


def open_iceberg(table: ExistingTable, at: str) -> Opened:
    """The newest snapshot that a metadata file, or the newest one of a table's folder, has.

    Raises:
        CatalogError: It cannot be read; it has deletes that its Parquet files do not show, or files of another format.
    """
    opened = _static(table, _metadata(table, Path(at)))
    snapshot = opened.current_snapshot()
    if snapshot is None:
        return Opened("", ())
    try:
        tasks = list(opened.scan(snapshot_id=snapshot.snapshot_id).plan_files())
    except (OSError, ValueError, RuntimeError) as error:
        raise CatalogError(f"{table.shown}: snapshot {snapshot.snapshot_id} cannot be read: {error}") from error
    for task in tasks:
        _check(task, table, snapshot.snapshot_id)
    paths = [local_path(task.file.file_path, table.shown) for task in tasks]
    ids = {column.name: column.field_id for column in opened.schema().fields}
    return Opened(str(snapshot.snapshot_id), files_at(paths, table.shown), ids)


def _static(table: ExistingTable, metadata: Path) -> StaticTable:
    from pyiceberg.exceptions import ValidationError
    from pyiceberg.table import StaticTable

    try:
        return StaticTable.from_metadata(str(metadata))
    except (OSError, ValueError, KeyError, ValidationError) as error:
        raise CatalogError(
            f"{table.shown}: {metadata} cannot be read as the metadata of an Iceberg table: {error}"
        ) from error


def _metadata(table: ExistingTable, at: Path) -> Path:
    """The metadata file: the one that is named, or the newest of a folder."""
    if not at.is_dir():
        return at
    folder = at if at.name == "metadata" else at / "metadata"
    found = sorted(folder.glob("*.metadata.json"), key=_age)
    if not found:
        raise CatalogError(
            f"{table.shown}: there is no *.metadata.json in {folder}: name the folder of the table, or a metadata file"
        )
    return found[-1]


def _age(path: Path) -> tuple[int, int]:
    """The number in a metadata file's name; of two of one number the one that was written last is the newer."""
    number = _NUMBER.match(path.name)
    return int(number[1]) if number else -1, path.stat().st_mtime_ns


def _check(task: FileScanTask, table: ExistingTable, snapshot_id: int) -> None:
    if task.delete_files:
        raise CatalogError(
            f"{table.shown}: snapshot {snapshot_id} deletes rows of {task.file.file_path} by files of their own, which "
            "engines that read its Parquet files do not see: compact the table (rewrite_data_files), then run it again"
        )
    if task.file.file_format.value.lower() != "parquet":
        raise CatalogError(
            f"{table.shown}: {task.file.file_path} is of the format {task.file.file_format.value}: only Parquet is read"
        )
