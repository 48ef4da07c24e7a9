"""A pinned table as the compiler reads it: its own Parquet files, if they are still those that were pinned."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from mixtera.catalog.existing.columns import property_type, schema_of
from mixtera.catalog.existing.held import held_schema, held_table
from mixtera.catalog.existing.pinning import PINNED_COLUMNS, pinned_paths
from mixtera.catalog.indexed import Keyed
from mixtera.catalog.listing import same_fingerprint
from mixtera.catalog.model import TableDefinition
from mixtera.catalog.state import State, read_parquet
from mixtera.errors import CatalogError, StorageError
from mixtera.formats.values import ARROW_TYPES
from mixtera.registry import storage_of

if TYPE_CHECKING:
    from mixtera.catalog.tables import Tables

_AT_A_TIME: Final = 16


def table_files(tables: Tables, state: State, table: TableDefinition) -> tuple[str, ...]:
    """Paths of the Parquet files of the table that a state has pinned; none where an engine has it.

    Raises:
        CatalogError: One is gone or another one now.
    """
    if table.engine:
        return ()  # the engine sees to it that the rows are those that were pinned
    pinned, *_ = pinned_paths(state.run)
    tables.have([pinned])
    rows = read_parquet(pinned, PINNED_COLUMNS).to_pylist()
    with ThreadPoolExecutor(_AT_A_TIME) as threads:
        for _ in threads.map(lambda row: _check(row, state.source, table), rows):
            continue
    return tuple(row["url"] for row in rows)


def _check(row: dict[str, Any], source: str, table: TableDefinition) -> None:
    try:
        now = storage_of(row["url"]).stat(row["url"])
    except StorageError as error:
        raise _moved(source, table, f"{error}") from error
    if not same_fingerprint(row, now):
        raise _moved(source, table, f"{row['url']} has changed")


def _moved(source: str, table: TableDefinition, what: str) -> CatalogError:
    return CatalogError(
        f"source {source!r}: what `mixtera index` pinned of the {table.shown} (version {table.version}) cannot be read "
        f"any more: {what}: run `mixtera index` again"
    )


def keyed_of(tables: Tables, state: State, table: TableDefinition, files: tuple[str, ...]) -> Keyed:
    """How the rows of a pinned table name their samples."""
    _, paths, ranks = pinned_paths(state.run)
    keys = dict(table.keys)
    has_ranks = "row" not in keys
    tables.have([paths, *([ranks] if has_ranks else [])])
    columns = {column.name: column.path for column in state.definition.properties}
    if table.engine:
        held = held_table(table, state.definition.properties)
        schema = held_schema(held)
        return Keyed(schema, schema, keys, columns, str(paths), str(ranks) if has_ranks else "", held)
    have = schema_of(files[0], table.shown)
    used = dict.fromkeys([*keys.values(), *columns.values()])
    schema = pa.schema([have.field(name).remove_metadata() for name in used])
    copied = pa.schema([(field.name, ARROW_TYPES[property_type(field.type) or "string"]) for field in schema])
    return Keyed(schema, copied, keys, columns, str(paths), str(ranks) if has_ranks else "")
