"""Polars: in process, over the catalog's Parquet files as they lie. Ibis makes a lazy frame, which Polars streams."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, ClassVar, Final

import pyarrow as pa

from mixtera.cached import cached_property
from mixtera.contracts.engine import Gap
from mixtera.errors import EngineError
from mixtera_backends.engines.session import answer_schema, conformed, engine_errors, package

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import polars
    from ibis.backends.polars import Backend

_BATCH_ROWS: Final = 131_072


class PolarsEngine:
    """One Polars session. Its threads are those of the process: `POLARS_MAX_THREADS`, before it begins."""

    name = "polars"
    dialect = ""
    gaps: ClassVar[Mapping[str, Gap]] = {
        "sql": Gap("never", "cannot be printed", "Ibis makes a lazy frame of the expression, and no text."),
    }

    @cached_property
    def _connection(self) -> Backend:
        package("polars", self.name)
        import ibis

        return ibis.polars.connect()

    def register(self, tables: Mapping[str, Sequence[str]], schemas: Mapping[str, pa.Schema]) -> None:
        """Make the catalog's tables known: table name → Parquet files, read in place; no files make an empty table."""
        connection = self._connection
        import polars

        with _errors():
            for name, files in tables.items():
                if files:
                    frame = polars.scan_parquet(list(files), glob=False, hive_partitioning=False)
                    frame = frame.select(_known(frame))
                else:
                    frame = polars.from_arrow(schemas[name].empty_table()).lazy()
                connection.create_table(name, frame, overwrite=True)

    def batches(self, expression: ir.Table) -> Iterator[pa.RecordBatch]:
        """Run an unbound expression and stream its rows, in any order."""
        schema = answer_schema(expression)
        with _errors():
            for part in self._frame(expression).collect_batches(
                chunk_size=_BATCH_ROWS, maintain_order=False, engine="streaming"
            ):
                for batch in part.to_arrow().to_batches(_BATCH_ROWS):
                    yield conformed(batch, schema)

    def analyze(self, expression: ir.Table) -> str:
        """The optimised plan as Polars prints it, and how many rows it gave."""
        rows = sum(batch.num_rows for batch in self.batches(expression))
        with _errors():
            plan = self._frame(expression).explain(engine="streaming")
        return f"{plan}\n{rows} rows"

    def _frame(self, expression: ir.Table) -> polars.LazyFrame:
        import ibis.expr.operations as ops

        for table in expression.op().find(ops.UnboundTable):
            if table.name not in self._connection.list_tables():
                raise EngineError(f"polars: there is no table {table.name!r}")
        return self._connection.compile(expression)

    def close(self) -> None:
        """Forget the tables."""
        self.__dict__.pop("_connection", None)


def _known(frame: polars.LazyFrame) -> list[str]:
    """The columns of types that Ibis can name, by the first file's footer: others are not there for it."""
    from ibis.formats.polars import PolarsType

    found = []
    for name, type_ in frame.collect_schema().items():
        with suppress(KeyError):
            PolarsType.to_ibis(type_)
            found.append(name)
    return found


@contextmanager
def _errors() -> Iterator[None]:
    from polars.exceptions import PolarsError

    with engine_errors("polars", PolarsError):
        yield
