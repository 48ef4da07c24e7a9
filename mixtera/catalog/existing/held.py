"""Tables in the database of an engine: what is used of one, what pins it, and its keys when they are read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from mixtera.catalog.existing.columns import check_key_type, property_of
from mixtera.catalog.existing.opening import Opened, local_path
from mixtera.contracts.format import PropertyColumn
from mixtera.contracts.holding import HeldColumn, HeldTable, Holding
from mixtera.contracts.properties import PropertyType
from mixtera.contracts.storage import FileInfo
from mixtera.errors import CatalogError
from mixtera.formats.temporary import spool_directory
from mixtera.formats.values import ARROW_TYPES
from mixtera.registry import engine_named
from mixtera.spec.issues import suggestion

if TYPE_CHECKING:
    from mixtera.catalog.model import TableDefinition
    from mixtera.spec.model import ExistingTable, Source


@contextmanager
def _holder(name: str) -> Iterator[Holding]:
    """A session of the engine that holds a table."""
    with closing(engine_named(name)) as engine:
        if not isinstance(engine, Holding):
            raise CatalogError(f"the engine {name!r} has no database whose tables a source can name")
        yield engine


def open_held(source: Source, table: ExistingTable) -> tuple[Opened, tuple[PropertyColumn, ...]]:
    """What pins a table as it is now, and the properties that it has, with their types.

    Raises:
        CatalogError: There is no such table, a column is missing or cannot be used.
        EngineError: The engine failed.
        PluginError: The engine is not installed.
    """
    with _holder(table.engine) as engine:
        have = {column.name: column for column in engine.held_columns(_asked(table))}
        for key, name in table.keys:
            column = _column(name, have, table)
            fits = column.type == ("string" if key == "file" else "int64")
            check_key_type(key, name, column.shown, fits, table)
        properties = []
        for wanted in source.properties:
            column = _column(wanted.path, have, table)
            properties.append(property_of(wanted, column.type, column.shown, table))
        pin = engine.held_pin(replace(_asked(table), columns=_used(table.keys, properties)))
    return Opened(pin, ()), tuple(properties)


def _asked(table: ExistingTable | TableDefinition) -> HeldTable:
    return HeldTable(table.engine, table.name, table.at and local_path(table.at, table.shown))


def _column(name: str, have: dict[str, HeldColumn], table: ExistingTable) -> HeldColumn:
    if name not in have:
        raise CatalogError(f"{table.shown}: no column {name!r}{suggestion(name, tuple(have), 'columns')}")
    return have[name]


def _used(
    keys: Sequence[tuple[str, str]], properties: Sequence[PropertyColumn]
) -> tuple[tuple[str, PropertyType], ...]:
    """The columns that are used, each once: a whole number that one property takes as a float stays one for others."""
    used: dict[str, PropertyType] = {column: "string" if key == "file" else "int64" for key, column in keys}
    for column in properties:
        if used.get(column.path, "float64") == "float64":
            used[column.path] = column.type
    return tuple(used.items())


def held_table(table: TableDefinition, properties: Sequence[PropertyColumn]) -> HeldTable:
    """A table as it was pinned, with the columns that are used."""
    return replace(_asked(table), columns=_used(table.keys, properties), pin=table.version)


def held_schema(held: HeldTable) -> pa.Schema:
    """The used columns, as properties."""
    return pa.schema([(name, ARROW_TYPES[type_]) for name, type_ in held.columns])


@contextmanager
def key_files(table: TableDefinition, properties: Sequence[PropertyColumn]) -> Iterator[tuple[FileInfo, ...]]:
    """The keys of a pinned table as a Parquet file, which is there as long as this lasts: they are read twice.

    Raises:
        CatalogError: The table is not what was pinned.
        EngineError: The engine failed.
    """
    held = held_table(table, properties)
    names = [column for _, column in table.keys]
    schema = pa.schema([held_schema(held).field(name) for name in names])
    with TemporaryDirectory(prefix="mixtera-keys-", dir=spool_directory()) as folder:
        path = Path(folder) / "keys.parquet"
        with _holder(held.engine) as engine, pq.ParquetWriter(path, schema) as file:
            for batch in engine.held_rows(held, names):
                file.write_batch(batch)
        yield (FileInfo(str(path), path.name, path.stat().st_size, path.stat().st_mtime_ns),)


def held_values(table: TableDefinition, properties: Sequence[PropertyColumn], column: str) -> pa.ChunkedArray:
    """A column of a pinned table, as its database has it.

    Raises:
        CatalogError: The table is not what was pinned.
        EngineError: The engine failed.
    """
    held = held_table(table, properties)
    with _holder(held.engine) as engine:
        chunks = [batch.column(0) for batch in engine.held_rows(held, [column])]
    return pa.chunked_array(chunks, held_schema(held).field(column).type)
