"""The newest version of a Delta table, by its log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mixtera.catalog.existing.opening import Opened, files_at, local_path
from mixtera.errors import CatalogError
from mixtera.registry import missing

if TYPE_CHECKING:
    from deltalake import DeltaTable

    from mixtera.spec.model import ExistingTable


def open_delta(table: ExistingTable, at: str) -> Opened:
    """The newest version of a table.

    Raises:
        CatalogError: It cannot be read, or has what its Parquet files do not show: deletes, other names of columns.
        PluginError: The library is not installed.
    """
    try:
        from deltalake import DeltaTable
        from deltalake.exceptions import DeltaError
    except ImportError as error:
        raise missing("a table of the format delta", "delta", error) from error
    try:
        opened = DeltaTable(at)
        _check_names(opened, table)
        _check_deletes(opened, table)
        return Opened(str(opened.version()), files_at(_paths(opened, table), table.shown))
    except (DeltaError, OSError, ValueError) as error:
        raise CatalogError(f"{table.shown} cannot be read as a Delta table: {error}") from error


def _paths(opened: DeltaTable, table: ExistingTable) -> list[str]:
    return [local_path(uri, table.shown) for uri in opened.file_uris()]


def _check_names(opened: DeltaTable, table: ExistingTable) -> None:
    mode = (opened.metadata().configuration or {}).get("delta.columnMapping.mode", "none")
    if mode != "none":
        raise CatalogError(
            f"{table.shown}: its columns have other names in its Parquet files (delta.columnMapping.mode: {mode}), "
            "which engines that read them do not know: write the table anew without it"
        )


def _check_deletes(opened: DeltaTable, table: ExistingTable) -> None:
    if "deletionVectors" not in (opened.protocol().reader_features or ()):
        return
    for batch in opened.deletion_vectors():
        if batch.num_rows:
            raise CatalogError(
                f"{table.shown}: version {opened.version()} deletes rows by deletion vectors, which engines that read "
                "its Parquet files do not see: purge them (REORG TABLE … APPLY (PURGE), or optimize), then run it again"
            )
