"""DuckDB: in process, over the catalog's Parquet files as they lie. The default engine.

Ibis writes the SQL; the session is DuckDB's own, because Ibis' calls methods that DuckDB has deprecated.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from mixtera.errors import EngineError

if TYPE_CHECKING:
    import duckdb
    import ibis.expr.types as ir

_BATCH_ROWS: Final = 131_072
_MEMORY_LIMIT: Final = "2GB"


class DuckDBEngine:
    """One DuckDB session in memory; what does not fit goes to a temporary directory that is removed with it."""

    name = "duckdb"
    dialect = "duckdb"

    def __init__(self, memory_limit: str = _MEMORY_LIMIT, threads: int | None = None) -> None:
        """Make a session; DuckDB is loaded when it is first used.

        Args:
            memory_limit: What DuckDB may hold before it spills, as it writes sizes: `2GB`.
            threads: Threads; the processors of this process by default.
        """
        self._memory_limit = memory_limit
        self._threads = threads or len(os.sched_getaffinity(0))
        self._spill: TemporaryDirectory[str] | None = None

    @cached_property
    def _connection(self) -> duckdb.DuckDBPyConnection:
        import duckdb

        self._spill = TemporaryDirectory(prefix="mixtera-duckdb-")
        connection = duckdb.connect(
            ":memory:",
            config={
                "threads": self._threads,
                "memory_limit": self._memory_limit,
                "temp_directory": self._spill.name,
                "preserve_insertion_order": False,
            },
        )
        connection.execute("SET TimeZone = 'UTC'")
        return connection

    def limit_memory(self, size: int) -> None:
        """Hold no more than so many bytes from now on: DuckDB spills the rest."""
        self._memory_limit = f"{size}B"
        if self._spill is not None:
            self._connection.execute(f"SET memory_limit = '{self._memory_limit}'")

    def register(self, tables: Mapping[str, Sequence[str]], schemas: Mapping[str, pa.Schema]) -> None:
        """Make the catalog's tables known: table name → Parquet files, read in place; no files make an empty table."""
        with _engine_errors():
            for name, files in tables.items():
                if files:
                    rows = self._connection.read_parquet(list(files), hive_partitioning=False)
                else:
                    rows = self._connection.from_arrow(schemas[name].empty_table())
                rows.create_view(name, replace=True)

    def batches(self, expression: ir.Table) -> Iterator[pa.RecordBatch]:
        """Run an unbound expression and stream its rows, in any order."""
        with _engine_errors():
            yield from self._run(_sql(expression)).to_arrow_reader(_BATCH_ROWS)

    def analyze(self, expression: ir.Table) -> str:
        """Run the expression under EXPLAIN ANALYZE; its rows are counted and dropped."""
        with _engine_errors():
            return "\n".join(str(row[1]) for row in self._run(f"EXPLAIN ANALYZE {_sql(expression)}").fetchall())

    def _run(self, sql: str) -> duckdb.DuckDBPyConnection:
        return self._connection.cursor().execute(sql)  # a cursor of its own: an answer may be left half read

    def close(self) -> None:
        """End the session and remove what it spilled."""
        if self._spill is not None:
            self._connection.close()
            self._spill.cleanup()
            self._spill = None
            del self._connection


def _sql(expression: ir.Table) -> str:
    import ibis

    return str(ibis.to_sql(expression, dialect="duckdb"))


@contextmanager
def _engine_errors() -> Iterator[None]:
    import duckdb
    from ibis.common.exceptions import IbisError

    try:
        yield
    except (duckdb.Error, IbisError, pa.ArrowException, OSError) as error:
        raise EngineError(f"duckdb: {error}") from error
