"""Tables that a PostgreSQL server has: their columns as properties, and what pins their rows.

Nothing is made on the server for them. A statement begins with `WITH`, which gives the table the name that expressions
know and its columns the types of properties: a view, even one of this session alone, would keep the owner from dropping
the table meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from mixtera.contracts.holding import HeldColumn, HeldTable
from mixtera.contracts.properties import PropertyType
from mixtera_backends.engines.holding import (
    check_pin,
    column_of,
    moved,
    no_such_table,
    parts_of,
    pin_of,
    pin_statement,
    quoted,
)

if TYPE_CHECKING:
    from psycopg import Connection, Cursor

_PUBLIC: Final = "public"
_TYPES: Final[Mapping[str, PropertyType]] = {
    **dict.fromkeys(("smallint", "integer", "bigint"), "int64"),
    **dict.fromkeys(("real", "double precision"), "float64"),
    **dict.fromkeys(("text", "character varying"), "string"),
    **dict.fromkeys(("timestamp without time zone", "timestamp with time zone"), "timestamp"),
    "boolean": "bool",
    "date": "date",
}
_CASTS: Final[Mapping[PropertyType, str]] = {
    "string": '{}::text COLLATE "C"',
    "int64": "{}::bigint",
    "float64": "{}::double precision",
    "bool": "{}",
    "date": "{}",
    "timestamp": "{}::timestamp with time zone",
    "list<string>": '{}::text[] COLLATE "C"',
    "list<int64>": "{}::bigint[]",
    "list<float64>": "{}::double precision[]",
}
"""With the collation of bytes, whatever that of a column is: some take different texts for equal."""

_HASH: Final = "hashtextextended(encode(record_send({}), 'hex') COLLATE \"C\", 0)"
"""Of all bytes of a row. `hash_record_extended` adds up the hashes of its values, so that a sum over rows would not
know which values stand together, and it takes 1 and 2³² for the same.
"""
_COLUMNS: Final = """
SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod)
FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relname = %s AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
"""
_NEAR: Final = """
SELECT n.nspname || '.' || c.relname
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_%%'
AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
AND pg_catalog.has_schema_privilege(n.oid, 'USAGE') AND pg_catalog.has_table_privilege(c.oid, 'SELECT')
ORDER BY n.nspname = %s DESC, 1 LIMIT 200
"""


def columns_of(table: HeldTable, cursor: Cursor) -> tuple[HeldColumn, ...]:
    """The columns of a table.

    Raises:
        CatalogError: There is none of the name.
    """
    schema, name = parts_of(table, _PUBLIC)
    found = cursor.execute(_COLUMNS, (schema, name)).fetchall()
    if not found:
        raise no_such_table(table, (row[0] for row in cursor.execute(_NEAR, (schema,)).fetchall()))
    return tuple(column_of(column, shown, _TYPES) for column, shown in found)


def named(tables: Mapping[str, HeldTable]) -> str:
    """The beginning of a statement that knows some tables; empty where there are none."""
    parts = [f"{quoted(name)} AS NOT MATERIALIZED ({_select(table)})" for name, table in tables.items()]
    return f"WITH {', '.join(parts)} " if parts else ""


def _select(table: HeldTable) -> str:
    columns = ", ".join(f"{_CASTS[type_].format(quoted(name))} AS {quoted(name)}" for name, type_ in table.columns)
    return f"SELECT {columns} FROM {'.'.join(map(quoted, parts_of(table, _PUBLIC)))}"


def pin(table: HeldTable, cursor: Cursor) -> str:
    """What pins the rows of a table.

    Raises:
        CatalogError: A value is none that a property can have.
    """
    row = f"ROW({', '.join(quoted(name) for name, _ in table.columns)})"
    statement = pin_statement(table, _HASH.format(row), "array_ndims({}) > 1", "held")
    return pin_of(table, cursor.execute(named({"held": table}) + statement).fetchone() or ())


@contextmanager
def as_pinned(tables: Iterable[HeldTable], connection: Connection, cursor: Cursor) -> Iterator[None]:
    """A state of the database in which some tables are what was pinned, whoever writes to them meanwhile.

    Raises:
        CatalogError: One is not.
    """
    if not (wanted := [table for table in tables if table.pin]):
        yield
        return
    with connection.transaction():
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        for table in wanted:
            check_pin(table, _pin_now(table, cursor))
        yield


def _pin_now(table: HeldTable, cursor: Cursor) -> str:
    import psycopg
    from psycopg.errors import InsufficientPrivilege

    try:
        return pin(table, cursor)
    except InsufficientPrivilege:
        raise
    except (psycopg.ProgrammingError, psycopg.DataError) as error:  # no such table or column; a type of other values
        raise moved(table, f"{error}".partition("\n")[0]) from error
