"""Tables in a DuckDB file: attached to be read, their columns as properties, and what pins their rows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mixtera.contracts.holding import HeldColumn, HeldTable
from mixtera.contracts.properties import PropertyType
from mixtera.errors import CatalogError
from mixtera_backends.engines.holding import (
    column_of,
    moved,
    no_such_table,
    parts_of,
    pin_of,
    pin_statement,
    quoted,
)

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_MAIN: Final = "main"
_INTEGERS: Final = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER")
_TYPES: Final[Mapping[str, PropertyType]] = {
    **dict.fromkeys(_INTEGERS, "int64"),
    **dict.fromkeys(("FLOAT", "DOUBLE"), "float64"),
    **dict.fromkeys(("TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP WITH TIME ZONE"), "timestamp"),
    "VARCHAR": "string",
    "BOOLEAN": "bool",
    "DATE": "date",
}
_CASTS: Final[Mapping[PropertyType, str]] = {
    "string": '{} COLLATE "binary"',
    "int64": "CAST({} AS BIGINT)",
    "float64": "CAST({} AS DOUBLE)",
    "bool": "{}",
    "date": "{}",
    "timestamp": "CAST({} AS TIMESTAMP WITH TIME ZONE)",
    "list<string>": "{}",
    "list<int64>": "CAST({} AS BIGINT[])",
    "list<float64>": "CAST({} AS DOUBLE[])",
}
_COLUMNS: Final = (
    "SELECT column_name, data_type FROM duckdb_columns() "
    "WHERE database_name = ? AND schema_name = ? AND table_name = ? ORDER BY column_index"
)
_NEAR: Final = (
    "SELECT DISTINCT schema_name || '.' || table_name FROM duckdb_columns() "
    "WHERE database_name = ? AND NOT internal ORDER BY 1 LIMIT 200"
)


def attached(table: HeldTable, connection: DuckDBPyConnection) -> str:
    """The name under which a session knows the file of a table; attached, to be read only, where it is not yet.

    Raises:
        CatalogError: It is no file of DuckDB, or another process writes to it.
    """
    import duckdb

    alias = f"file of {table.at}"
    path = table.at.replace("'", "''")
    if not Path(table.at).is_file():
        raise CatalogError(f"{table.shown}: there is no file {table.at}")
    try:
        connection.execute(f"ATTACH IF NOT EXISTS '{path}' AS {quoted(alias)} (READ_ONLY)")
    except duckdb.Error as error:
        raise CatalogError(f"{table.shown}: the file cannot be opened: {error}") from error
    return alias


def columns_of(table: HeldTable, connection: DuckDBPyConnection) -> tuple[HeldColumn, ...]:
    """The columns of a table.

    Raises:
        CatalogError: There is none of the name, or no such file.
    """
    alias = attached(table, connection)
    found = connection.execute(_COLUMNS, [alias, *parts_of(table, _MAIN)]).fetchall()
    if not found:
        raise no_such_table(table, (row[0] for row in connection.execute(_NEAR, [alias]).fetchall()))
    return tuple(column_of(column, shown, _TYPES) for column, shown in found)


def view_of(table: HeldTable, alias: str) -> str:
    """SQL of the used columns, as properties."""
    columns = ", ".join(f"{_CASTS[type_].format(quoted(name))} AS {quoted(name)}" for name, type_ in table.columns)
    return f"SELECT {columns} FROM {'.'.join(map(quoted, (alias, *parts_of(table, _MAIN))))}"


def pin(table: HeldTable, connection: DuckDBPyConnection) -> str:
    """What pins the rows of a table.

    Raises:
        CatalogError: A value is none that a property can have; or a pinned table is not there any more.
    """
    import duckdb

    row_hash = f"hash(hash({', '.join(quoted(name) for name, _ in table.columns)}))"  # values are mixed by XOR alone
    source = f"({view_of(table, attached(table, connection))})"
    try:
        row = connection.execute(pin_statement(table, row_hash, "", source)).fetchone()
    except (duckdb.CatalogException, duckdb.BinderException, duckdb.ConversionException) as error:
        if not table.pin:
            raise
        raise moved(table, f"{error}".partition("\n")[0]) from error
    return pin_of(table, row or ())
