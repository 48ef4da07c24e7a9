"""PostgreSQL: a server, which reads no files of its clients: what a query asks for is copied into temporary tables.

Ibis writes the SQL; rows go in and out by COPY. Tables of the server that a source names are read as they are. Where
the server is, and with whose rights it is used, say `MIXTERA_POSTGRES_URL` or the variables of libpq (`PGHOST`,
`PGUSER`, `PGPASSFILE`, …).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final

import pyarrow as pa
import pyarrow.parquet as pq

from mixtera.cached import cached_property
from mixtera.contracts.engine import Gap
from mixtera.contracts.holding import HeldColumn, HeldTable, Place
from mixtera.errors import EngineError
from mixtera.formats.values import ARROW_TYPES
from mixtera_backends.engines.copying import from_copy, to_copy
from mixtera_backends.engines.heldpostgres import as_pinned, columns_of, named, pin
from mixtera_backends.engines.session import answer_schema, engine_errors, package

if TYPE_CHECKING:
    import ibis.expr.types as ir
    from psycopg import Connection, Cursor

URL: Final = "MIXTERA_POSTGRES_URL"
"""Environment variable: `postgresql://user:password@host:port/database`, or another string that libpq knows."""

_BATCH_ROWS: Final = 65_536
_ROWS: Final = "held rows"
_ANSWER_BYTES: Final = 8 << 20
_NAME_BYTES: Final = 63
_DEFAULTS: Final = {
    "application_name": "mixtera",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
}
"""A server that is gone without a word is noticed within a minute; what the URL says is stronger."""

_SETTINGS: Final = {
    "search_path": "pg_temp, pg_catalog",  # no table of others is seen by chance
    "TimeZone": "'UTC'",
    "DateStyle": "ISO",
    "client_encoding": "'UTF8'",
}

_TYPES: Final[Mapping[pa.DataType, str]] = {
    pa.int64(): "bigint",
    pa.string(): "text",
    pa.float64(): "double precision",
    pa.bool_(): "boolean",
    pa.date32(): "date",
    pa.timestamp("us", "UTC"): "timestamp with time zone",
}


class PostgresEngine:
    """One connection; its temporary tables are seen by nobody else, and go with it."""

    name = "postgres"
    dialect = "postgres"
    held_in: Place = "server"
    gaps: ClassVar[Mapping[str, Gap]] = {
        "nul": Gap("never", "0x00", "Its texts end at a NUL."),
        "long_names": Gap("never", "too long for it: at most 63 bytes", "It cuts longer names off without a word."),
    }

    def __init__(self) -> None:
        """Make a session; it connects when it is first used."""
        self._files: dict[str, Sequence[str]] = {}
        self._schemas: dict[str, pa.Schema] = {}
        self._copied: dict[str, frozenset[str]] = {}
        self._held: dict[str, HeldTable] = {}

    @cached_property
    def _connection(self) -> Connection:
        package("psycopg", self.name)
        return _connect()

    def register(self, tables: Mapping[str, Sequence[str]], schemas: Mapping[str, pa.Schema]) -> None:
        """Make the catalog's tables known: table name → Parquet files; their columns are copied when they are asked."""
        self._connection  # noqa: B018 - a server that cannot be reached is told before anything is read
        with _errors():
            for name, files in tables.items():
                for file in files:
                    Path(file).stat()
                self._files[name], self._schemas[name] = files, schemas[name]
                self._copied.pop(name, None)
                self._held.pop(name, None)

    def batches(self, expression: ir.Table) -> Iterator[pa.RecordBatch]:
        """Run an unbound expression and stream its rows, in any order; one answer at a time."""
        connection, schema, held = self._connection, answer_schema(expression), self._held_for(expression)
        with _errors(), connection.cursor() as cursor:
            self._copy_for(expression, cursor)
            with as_pinned(held.values(), connection, cursor):
                yield from _answer(named(held) + _sql(expression), schema, cursor)

    def analyze(self, expression: ir.Table) -> str:
        """Run the expression under EXPLAIN ANALYZE; its rows are counted and dropped."""
        connection, held = self._connection, self._held_for(expression)
        with _errors(), connection.cursor() as cursor:
            self._copy_for(expression, cursor)
            with as_pinned(held.values(), connection, cursor):
                answer = cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS) {named(held)}{_sql(expression)}")
                return "\n".join(str(row[0]) for row in answer)

    def held_columns(self, table: HeldTable) -> Sequence[HeldColumn]:
        """The columns that a table of the server has."""
        connection = self._connection
        with _errors(), connection.cursor() as cursor:
            return columns_of(table, cursor)

    def held_pin(self, table: HeldTable) -> str:
        """What pins the rows of a table of the server."""
        connection = self._connection
        with _errors(), connection.cursor() as cursor:
            return pin(table, cursor)

    def held_rows(self, table: HeldTable, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Some columns of a table of the server."""
        import ibis

        types = dict(table.columns)
        schema = pa.schema([(name, ARROW_TYPES[type_]) for name, type_ in types.items()])
        self._held[_ROWS] = table
        yield from self.batches(ibis.table(ibis.Schema.from_pyarrow(schema), name=_ROWS).select(*columns))

    def hold(self, name: str, table: HeldTable) -> None:
        """Make a table of the server known; each answer looks whether it is what was pinned, and is of that state."""
        self._connection  # noqa: B018 - a server that cannot be reached is told before anything is read
        self._files.pop(name, None)
        self._held[name] = table

    def _held_for(self, expression: ir.Table) -> dict[str, HeldTable]:
        import ibis.expr.operations as ops

        names = sorted({table.name for table in expression.op().find(ops.UnboundTable)})
        return {name: self._held[name] for name in names if name in self._held}

    def _copy_for(self, expression: ir.Table, cursor: Cursor) -> None:
        """Copy the columns that an expression reads and that are not there yet."""
        import ibis.expr.operations as ops

        fields = {field.name for field in expression.op().find(ops.Field)}.union(expression.columns)
        for table in expression.op().find(ops.UnboundTable):
            name, columns = table.name, frozenset(fields.intersection(table.schema.names)) | {"file_id"}
            if name in self._files and not columns <= self._copied.get(name, frozenset()):
                self._copy(name, columns | self._copied.get(name, frozenset()), cursor)

    def _copy(self, name: str, columns: frozenset[str], cursor: Cursor) -> None:
        schema = pa.schema([field for field in self._schemas[name] if field.name in columns])
        made = ", ".join(f"{_quoted(field.name)} {_type(name, field)}" for field in schema)
        cursor.execute(f"DROP TABLE IF EXISTS pg_temp.{_quoted(name)}")
        cursor.execute(f"CREATE TEMPORARY TABLE {_quoted(name)} ({made})")
        with cursor.copy(f"COPY pg_temp.{_quoted(name)} FROM STDIN (FORMAT csv)") as into:
            for file in self._files[name]:
                for batch in pq.ParquetFile(file).iter_batches(_BATCH_ROWS, columns=schema.names):
                    into.write(to_copy(batch.select(schema.names).cast(schema)))
        self._copied[name] = columns

    def close(self) -> None:
        """End the session; its tables go with it."""
        if (connection := self.__dict__.pop("_connection", None)) is not None:
            connection.close()
        self._copied.clear()
        self._held.clear()


def _answer(statement: str, schema: pa.Schema, cursor: Cursor) -> Iterator[pa.RecordBatch]:
    rows = bytearray()
    with cursor.copy(f"COPY ({statement}) TO STDOUT (FORMAT csv)") as answer:
        for row in answer:
            rows += row
            if len(rows) >= _ANSWER_BYTES:
                yield from from_copy(bytes(rows), schema)
                rows.clear()
    if rows:
        yield from from_copy(bytes(rows), schema)


def _connect() -> Connection:
    import psycopg
    from psycopg.conninfo import conninfo_to_dict

    given: dict[str, str] | None = None
    with suppress(psycopg.Error):  # the library's own error repeats the text, and a password in it
        given = conninfo_to_dict(os.environ.get(URL, ""))
    if given is None:
        raise EngineError(f"postgres: {URL} is no address of a server: postgresql://user@host:port/database")
    try:
        connection = psycopg.connect(**{**_DEFAULTS, **given}, autocommit=True)
    except psycopg.Error as error:
        raise EngineError(
            f"postgres: no connection: {error}; {URL}, or the variables of libpq (PGHOST, PGPORT, PGUSER, "
            "PGDATABASE, PGPASSFILE, …), say where the server is"
        ) from error
    with _errors():
        for name, value in _SETTINGS.items():
            connection.execute(f"SET {name} = {value}")
    return connection


def _type(table: str, field: pa.Field) -> str:
    """The type of a column there.

    Raises:
        EngineError: There is none.
    """
    inner = field.type.value_type if pa.types.is_list(field.type) else field.type
    if inner not in _TYPES:
        raise EngineError(
            f"postgres: column {field.name!r} of {table!r} has the type {field.type}, which it cannot hold"
        )
    return _TYPES[inner] + ("[]" if pa.types.is_list(field.type) else "")


def _quoted(name: str) -> str:
    if len(name.encode()) > _NAME_BYTES:
        raise EngineError(f"postgres: the name {name!r} is too long for it: at most {_NAME_BYTES} bytes")
    return '"' + name.replace('"', '""') + '"'


def _sql(expression: ir.Table) -> str:
    """The statement of an expression, with the columns that it promises and no others; lists leave as JSON."""
    import ibis

    names = ((_quoted(name), type_.is_array()) for name, type_ in expression.schema().items())
    columns = ", ".join(f"to_json({name})" if is_list else name for name, is_list in names)
    return f"SELECT {columns} FROM ({ibis.to_sql(expression, dialect='postgres')}) AS answer"


@contextmanager
def _errors() -> Iterator[None]:
    import psycopg

    with engine_errors("postgres", psycopg.Error, ValueError):
        yield
