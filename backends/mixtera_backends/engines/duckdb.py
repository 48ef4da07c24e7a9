"""DuckDB: in process, over the catalog's Parquet files as they lie. The default engine.

Ibis writes the SQL; the session is DuckDB's own, because Ibis' calls methods that DuckDB has deprecated.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from mixtera.cached import cached_property
from mixtera.contracts.holding import HeldColumn, HeldTable, Place
from mixtera.formats.values import ARROW_TYPES
from mixtera_backends.engines.heldduckdb import attached, columns_of, pin, view_of
from mixtera_backends.engines.holding import check_pin, quoted
from mixtera_backends.engines.limits import Limited
from mixtera_backends.engines.session import conformed, engine_errors, package

if TYPE_CHECKING:
    import duckdb
    import ibis.expr.types as ir

_BATCH_ROWS: Final = 131_072


class DuckDBEngine(Limited):
    """One DuckDB session in memory; what does not fit goes to a temporary directory that is removed with it."""

    name = "duckdb"
    dialect = "duckdb"
    held_in: Place = "file"

    @cached_property
    def _connection(self) -> duckdb.DuckDBPyConnection:
        duckdb = package("duckdb", self.name)
        connection = duckdb.connect(
            ":memory:",
            config={
                "threads": self._limits.threads,
                "memory_limit": f"{self._limits.memory_bytes}B",
                "temp_directory": self._open.enter_context(self._limits.spilling(self.name)),
                "preserve_insertion_order": False,
            },
        )
        self._open.callback(connection.close)
        connection.execute("SET TimeZone = 'UTC'")
        return connection

    @cached_property
    def _checked(self) -> set[HeldTable]:
        """Tables of database files that are what was pinned."""
        return set()

    def limit_memory(self, size: int) -> None:
        """Hold no more than so many bytes from now on: DuckDB spills the rest."""
        with _errors():
            self._connection.execute(f"SET memory_limit = '{size}B'")

    def register(self, tables: Mapping[str, Sequence[str]], schemas: Mapping[str, pa.Schema]) -> None:
        """Make the catalog's tables known: table name → Parquet files, read in place; no files make an empty table."""
        with _errors():
            for name, files in tables.items():
                if files:
                    rows = self._connection.read_parquet(list(files), hive_partitioning=False)
                else:
                    rows = self._empty(schemas[name])
                rows.create_view(name, replace=True)

    def _empty(self, schema: pa.Schema) -> duckdb.DuckDBPyRelation:
        """No rows. Not an Arrow table: DuckDB hands filters on one to pyarrow, and wants pytz for moments in them."""
        known = self._connection.from_arrow(schema.empty_table())
        pairs = zip(known.columns, known.types, strict=True)
        columns = ", ".join(f'CAST(NULL AS {type_}) AS "{name.replace(chr(34), chr(34) * 2)}"' for name, type_ in pairs)
        return self._connection.sql(f"SELECT {columns} WHERE false")

    def batches(self, expression: ir.Table) -> Iterator[pa.RecordBatch]:
        """Run an unbound expression and stream its rows, in any order."""
        with _errors():
            yield from self._run(_sql(expression)).to_arrow_reader(_BATCH_ROWS)

    def analyze(self, expression: ir.Table) -> str:
        """Run the expression under EXPLAIN ANALYZE; its rows are counted and dropped."""
        with _errors():
            return "\n".join(str(row[1]) for row in self._run(f"EXPLAIN ANALYZE {_sql(expression)}").fetchall())

    def held_columns(self, table: HeldTable) -> Sequence[HeldColumn]:
        """The columns that a table of a database file has."""
        with _errors():
            return columns_of(table, self._connection)

    def held_pin(self, table: HeldTable) -> str:
        """What pins the rows of a table of a database file."""
        with _errors():
            return pin(table, self._connection)

    def held_rows(self, table: HeldTable, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Some columns of a table of a database file."""
        with _errors():
            self._check(table)
            named = ", ".join(map(quoted, columns))
            answer = self._run(f"SELECT {named} FROM ({view_of(table, attached(table, self._connection))})")
            types = dict(table.columns)
            schema = pa.schema([(name, ARROW_TYPES[types[name]]) for name in columns])
            for batch in answer.to_arrow_reader(_BATCH_ROWS):
                yield conformed(batch, schema)

    def hold(self, name: str, table: HeldTable) -> None:
        """Make a table of a database file known; while the session lasts, nobody else can write to the file."""
        with _errors():
            self._check(table)
            view = view_of(table, attached(table, self._connection))
            self._connection.execute(f"CREATE OR REPLACE VIEW {quoted(name)} AS {view}")

    def _check(self, table: HeldTable) -> None:
        """Look once whether a table is what was pinned."""
        if table.pin and table not in self._checked:
            check_pin(table, pin(table, self._connection))
            self._checked.add(table)

    def _run(self, sql: str) -> duckdb.DuckDBPyConnection:
        return self._connection.cursor().execute(sql)  # a cursor of its own: an answer may be left half read

    def close(self) -> None:
        """End the session and remove what it spilled."""
        self._open.close()
        self.__dict__.pop("_connection", None)
        self.__dict__.pop("_checked", None)


def _sql(expression: ir.Table) -> str:
    import ibis

    return str(ibis.to_sql(expression, dialect="duckdb"))


@contextmanager
def _errors() -> Iterator[None]:
    import duckdb

    with engine_errors("duckdb", duckdb.Error):
        yield
