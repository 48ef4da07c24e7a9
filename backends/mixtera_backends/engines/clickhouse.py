"""ClickHouse: in process through chDB, over the catalog's Parquet files as they lie; Ibis writes the SQL.

A ClickHouse server is not used: it reads no files of its clients.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, ClassVar, Final
from uuid import uuid4

import pyarrow as pa

from mixtera.cached import cached_property
from mixtera.contracts.engine import EngineOption, Gap
from mixtera.errors import EngineError
from mixtera_backends.engines.folder import folder_of
from mixtera_backends.engines.limits import MEMORY, THREADS, Limits
from mixtera_backends.engines.rewriting import rewritten
from mixtera_backends.engines.session import answer_schema, conformed, engine_errors, package

if TYPE_CHECKING:
    import ibis.expr.operations as ops
    import ibis.expr.types as ir

_BATCH_ROWS: Final = 65_536
_YEARS: Final = range(1900, 2300)


class ClickHouseEngine:
    """One database in the memory of chDB, of which a process has one; it goes with the session."""

    name = "clickhouse"
    dialect = "clickhouse"
    options: ClassVar[tuple[EngineOption, ...]] = (THREADS, MEMORY)
    gaps: ClassVar[Mapping[str, Gap]] = {
        "any_year": Gap("never", "it knows the years 1900 … 2299", "Its Date32 and DateTime64 end there."),
    }

    def __init__(self, **options: str | int) -> None:
        """Make a session; chDB is loaded when it is first used.

        Args:
            options: `threads`, `memory_limit`; see `mixtera_backends.engines.limits`.
        """
        self._limits = Limits.of({name: str(value) for name, value in options.items()}, self.options)
        self._open = ExitStack()

    def configured(self, options: Mapping[str, str]) -> ClickHouseEngine:
        """A session with these options."""
        return ClickHouseEngine(**options)

    @cached_property
    def _folder(self) -> Path:
        return Path(self._open.enter_context(TemporaryDirectory(prefix="mixtera-clickhouse-")))

    @cached_property
    def _client(self) -> Any:  # noqa: ANN401 - a class of clickhouse-connect's that has no public name
        for needed in ("chdb", "clickhouse_connect"):
            package(needed, self.name)
        from clickhouse_connect import get_client

        settings = {"max_threads": self._limits.threads, "max_memory_usage": self._limits.memory_bytes}
        client = get_client(interface="chdb", settings=settings)
        database = f"mixtera_{uuid4().hex}"
        self._open.callback(client.close)
        client.command(f"CREATE DATABASE {database}")
        client.command(f"USE {database}")
        self._open.callback(client.command, f"DROP DATABASE {database}")
        return client

    def register(self, tables: Mapping[str, Sequence[str]], schemas: Mapping[str, pa.Schema]) -> None:
        """Make the catalog's tables known: table name → Parquet files, read in place; no files make an empty table."""
        client = self._client
        with _errors():
            for name, files in tables.items():
                pattern = folder_of(files, self._folder, schemas[name]) / "*.parquet"
                rows = f"SELECT * FROM file({_text(str(pattern))}, Parquet)"
                client.command(f"CREATE OR REPLACE VIEW {_quoted(name)} AS {rows}")

    def batches(self, expression: ir.Table) -> Iterator[pa.RecordBatch]:
        """Run an unbound expression and stream its rows, in any order."""
        client, schema, settings = self._client, answer_schema(expression), {"max_block_size": _BATCH_ROWS}
        with _errors(), client.query_arrow_stream(_sql(expression), settings=settings, use_strings=True) as answer:
            for batch in answer:
                yield conformed(batch, schema)

    def analyze(self, expression: ir.Table) -> str:
        """The plan as ClickHouse prints it, and how many rows it gave."""
        rows = sum(batch.num_rows for batch in self.batches(expression))
        with _errors():
            return f"{self._client.command(f'EXPLAIN PLAN actions = 1 {_sql(expression)}')}\n{rows} rows"

    def close(self) -> None:
        """End the session and drop its database."""
        self.__dict__.pop("_client", None)
        self.__dict__.pop("_folder", None)
        self._open.close()


def _sql(expression: ir.Table) -> str:
    import ibis

    return str(ibis.to_sql(rewritten(expression, _plain), dialect="clickhouse"))


def _plain(node: ops.Node) -> ops.Node:
    """What ClickHouse misreads, in other words.

    Ibis writes a date as one of 16 bits, which begins in 1970. Those of 32 bits, and moments, are silently moved into
    the years that they can hold.
    """
    import ibis.expr.operations as ops

    if not isinstance(node, ops.Literal) or not isinstance(node.value, datetime.date):
        return node
    if node.value.year not in _YEARS:
        raise EngineError(
            f"clickhouse: {node.value} cannot be compared there: it knows the years {_YEARS[0]} … {_YEARS[-1]}"
        )
    if not node.dtype.is_date():
        return node
    day: ops.Node = _date_function()(node.value.isoformat()).op()
    return day


@cache
def _date_function() -> Any:  # noqa: ANN401 - a function of Ibis' making
    import ibis

    def toDate32(text: str) -> datetime.date:  # noqa: N802 - ClickHouse calls it so
        raise AssertionError("it is ClickHouse's own, and named here only")

    return ibis.udf.scalar.builtin(toDate32, signature=(("string",), "date"))


def _quoted(name: str) -> str:
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _text(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


@contextmanager
def _errors() -> Iterator[None]:
    from clickhouse_connect.driver.exceptions import ClickHouseError

    with engine_errors("clickhouse", ClickHouseError):
        yield
