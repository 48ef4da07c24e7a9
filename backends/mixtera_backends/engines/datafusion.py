"""DataFusion: in process, over the catalog's Parquet files as they lie, through Ibis' connection."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from mixtera.cached import cached_property
from mixtera.errors import EngineError
from mixtera_backends.engines.folder import folder_of
from mixtera_backends.engines.limits import Limited, Limits
from mixtera_backends.engines.rewriting import rewritten
from mixtera_backends.engines.session import answer_schema, conformed, package

if TYPE_CHECKING:
    import ibis.expr.operations as ops
    import ibis.expr.types as ir
    from datafusion import SessionContext
    from ibis.backends.datafusion import Backend

_BATCH_ROWS: Final = 65_536


class DataFusionEngine(Limited):
    """One DataFusion session; what does not fit goes to a temporary directory that is removed with it."""

    name = "datafusion"
    dialect = "datafusion"

    @cached_property
    def _folder(self) -> Path:
        return Path(self._open.enter_context(self._limits.spilling(self.name)))

    @cached_property
    def _connection(self) -> Backend:
        package("datafusion", self.name)
        import ibis

        return ibis.datafusion.connect(_context(self._limits, self._folder))

    def register(self, tables: Mapping[str, Sequence[str]], schemas: Mapping[str, pa.Schema]) -> None:
        """Make the catalog's tables known: table name → Parquet files, read in place; no files make an empty table."""
        session: SessionContext = self._connection.con
        with _errors():
            for name, files in tables.items():
                session.deregister_table(_quoted(name))
                folder = folder_of(files, self._folder, schemas[name])
                session.register_parquet(_quoted(name), str(folder), parquet_pruning=True)

    def batches(self, expression: ir.Table) -> Iterator[pa.RecordBatch]:
        """Run an unbound expression and stream its rows, in any order."""
        schema = answer_schema(expression)
        with _errors():
            for batch in self._connection.con.sql(_sql(expression)).execute_stream():
                yield conformed(batch.to_pyarrow(), schema)

    def analyze(self, expression: ir.Table) -> str:
        """Run the expression under EXPLAIN ANALYZE; its rows are counted and dropped."""
        with _errors():
            found = self._connection.con.sql(f"EXPLAIN ANALYZE {_sql(expression)}").to_pydict()
        return "\n".join(found["plan"])

    def close(self) -> None:
        """End the session and remove what it spilled."""
        self.__dict__.pop("_connection", None)
        self.__dict__.pop("_folder", None)
        self._open.close()


def _context(limits: Limits, folder: Path) -> SessionContext:
    from datafusion import RuntimeEnvBuilder, SessionConfig, SessionContext

    runtime = RuntimeEnvBuilder().with_disk_manager_specified(folder).with_fair_spill_pool(limits.memory_bytes)
    settings = {"datafusion.sql_parser.dialect": "PostgreSQL"}  # as Ibis has it
    config = SessionConfig(settings).with_information_schema(True).with_target_partitions(limits.threads)
    return SessionContext(config.with_batch_size(_BATCH_ROWS), runtime)


def _sql(expression: ir.Table) -> str:
    import ibis

    return str(ibis.to_sql(rewritten(expression, _plain), dialect="datafusion"))


def _plain(node: ops.Node) -> ops.Node:
    """What DataFusion misreads, in other words.

    - It makes LIKE of `starts_with`, and does not escape backslashes there: the first characters are compared instead.
    - Ibis writes a date as a timestamp of nanoseconds, which end in 2262 and overflow without a word: a cast instead.
    - It makes FALSE of `x IN (1) AND x IN (2)`, where NULL is meant for a NULL: below a NOT, NULL is asked for first.
    """
    import ibis
    import ibis.expr.operations as ops

    match node:
        case ops.StartsWith(start=ops.Literal(value=str() as text)) if "\\" in text:
            first: ops.Node = (_left(node.arg.to_expr(), len(text)) == text).op()
            return first
        case ops.Literal(value=datetime.date() as day) if node.dtype.is_date():
            cast: ops.Node = ibis.literal(day.isoformat(), "string").cast("date").op()
            return cast
        case ops.Not():
            kept: ops.Node = node.replace(_null_first, filter=ops.Value)
            return kept
    return node


def _null_first(node: ops.Node, arguments: dict[str, Any] | None) -> ops.Node:
    import ibis
    import ibis.expr.operations as ops

    node = node.__recreate__(arguments) if arguments else node
    if not isinstance(node, ops.InValues):
        return node
    asked: ops.Node = ibis.ifelse(node.value.to_expr().isnull(), ibis.null("boolean"), node.to_expr()).op()
    return asked


@cache
def _left_function() -> Any:  # noqa: ANN401 - a function of Ibis' making
    import ibis

    def left(text: str, characters: int) -> str:
        raise AssertionError("it is DataFusion's own, and named here only")

    return ibis.udf.scalar.builtin(left, signature=(("string", "int64"), "string"))


def _left(text: ir.Value, characters: int) -> ir.Value:
    return _left_function()(text, characters)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


@contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
    except (EngineError, GeneratorExit):
        raise
    except Exception as error:
        raise EngineError(f"datafusion: {error}") from error
