"""Spark: over the catalog's Parquet files as they lie, on this machine or on a cluster that sees the same files.

Ibis writes the SQL. Its own session is not used: it reads no list of files, and fetches an answer as one table.
"""

from __future__ import annotations

import os
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Final, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from mixtera.compiler.dialect import sql_of
from mixtera.errors import StorageError
from mixtera.registry import missing

if TYPE_CHECKING:
    import ibis.expr.types as ir
    from pyspark.sql import DataFrame, SparkSession

SHARED: Final = "MIXTERA_SPARK_SHARED"
"""Variable that names a directory which this process and all executors see; large answers go through it."""
COLLECTED_BYTES: Final = 64 << 20
"""Some ten million rows: their labels fit the driver, and to write and read them takes longer than to collect them."""
_BATCH_ROWS: Final = 131_072
T = TypeVar("T")


class SparkEngine:
    """One session of Spark's, with views of its own.

    A small answer is collected by the driver as Arrow. A large one is written by the executors as Parquet to a
    directory that they and this process see, and read from there file by file: no row goes through the driver. Where
    no such directory is known, the driver collects that one too.
    """

    name = "spark"
    dialect = "pyspark"

    def __init__(
        self,
        session: SparkSession | None = None,
        shared: str | None = None,
        collected_bytes: int = COLLECTED_BYTES,
        patience_seconds: float | None = None,
    ) -> None:
        """Make a session; Spark is started when it is first used.

        Args:
            session: A session whose application is used; by default that of this process.
            shared: A directory that all executors see; by default what MIXTERA_SPARK_SHARED says, and the temporary
                directory where the master is local.
            collected_bytes: The driver collects answers over tables whose files have so many bytes or less.
            patience_seconds: How long to wait where there is no executor; by default what MIXTERA_SPARK_PATIENCE says.
        """
        self._given = session
        self._shared = shared or os.environ.get(SHARED)
        self._collected_bytes = collected_bytes
        self._patience = patience_seconds
        self._bytes = 0
        self._own: SparkSession | None = None
        self._views: list[str] = []

    @property
    def _session(self) -> SparkSession:
        if self._own is None:
            try:
                import pyspark  # noqa: F401 - first, so that what lacks is called by its name

                from mixtera_backends.spark.session import session_beside
            except ImportError as error:
                raise missing(f"engine {self.name!r}", "spark", error) from error

            self._own = session_beside(self._given)
        return self._own

    def register(self, tables: Mapping[str, Sequence[str]], schemas: Mapping[str, pa.Schema]) -> None:
        """Make the catalog's tables known: table name → Parquet files, read in place; no files make an empty table."""
        session = self._session
        with _errors():
            for name, files in tables.items():
                self._bytes += sum(Path(file).stat().st_size for file in files)
                _table(session, files, schemas[name]).createOrReplaceTempView(_quoted(name))
                self._views.append(name)

    def batches(self, expression: ir.Table) -> Iterator[pa.RecordBatch]:
        """Run an unbound expression and stream its rows, in any order."""
        session = self._session
        with _errors():
            answer = session.sql(sql_of(expression, self.dialect))
        if not self._by_files():
            yield from self._run(answer.toArrow).to_batches(_BATCH_ROWS)
            return
        directory = _directory(self._shared)
        try:
            yield from self._written(answer, directory)
        finally:
            shutil.rmtree(directory, ignore_errors=True)

    def _by_files(self) -> bool:
        """Whether the answer goes through files: it is large, and there is a directory that all see."""
        from mixtera_backends.spark.cluster import is_local

        return self._bytes > self._collected_bytes and (self._shared is not None or is_local(self._session))

    def _written(self, answer: DataFrame, directory: Path) -> Iterator[pa.RecordBatch]:
        target = directory / "answer"
        self._run(lambda: answer.write.option("compression", "zstd").parquet(target.as_uri()))
        if not (target / "_SUCCESS").exists():
            raise StorageError(
                f"Spark has written to {target}, and nothing of it is here: {SHARED} must name a directory that this "
                "process and all executors have under the same path"
            )
        with _errors():
            for path in sorted(target.glob("*.parquet")):
                with pq.ParquetFile(path) as file:
                    yield from file.iter_batches(_BATCH_ROWS)
                path.unlink()

    def analyze(self, expression: ir.Table) -> str:
        """Run the expression and say what Spark has planned and how long it took; its rows are counted and dropped."""
        session = self._session
        with _errors():
            plan = session.sql(f"EXPLAIN FORMATTED {sql_of(expression, self.dialect)}").collect()[0][0].rstrip()
        begin = time.perf_counter()
        rows = sum(batch.num_rows for batch in self.batches(expression))
        return f"{plan}\n\n{rows:,} rows in {time.perf_counter() - begin:.2f} s\n"

    def _run(self, action: Callable[[], T]) -> T:
        from mixtera_backends.spark.job import Job

        return Job(self._session, action, self._patience).result()

    def close(self) -> None:
        """Forget the views. The application goes on: it is that of the process."""
        own, self._own = self._own, None
        if own is None:
            return
        with _errors():
            for name in self._views:
                own.catalog.dropTempView(_quoted(name))
        self._views.clear()


def _errors() -> AbstractContextManager[None]:
    from mixtera_backends.spark.session import spark_errors

    return spark_errors()


def _table(session: SparkSession, files: Sequence[str], schema: pa.Schema) -> DataFrame:
    from pyspark.sql.pandas.types import from_arrow_schema

    columns = from_arrow_schema(schema, prefer_timestamp_ntz=False)
    if not files:
        types = [(_quoted(column.name), column.dataType.simpleString()) for column in columns]
        return session.range(0).selectExpr(*(f"CAST(NULL AS {type_}) AS {name}" for name, type_ in types))
    # Names of files are no patterns, and what their folders are called (`a=1`) is no column.
    reader = session.read.schema(columns).option("recursiveFileLookup", True).option("__globPaths__", False)
    waiting = Counter(files)
    found = reader.parquet(*waiting)
    while waiting := waiting - Counter(list(waiting)):  # Spark reads a file once that is named twice
        found = found.unionAll(reader.parquet(*waiting))
    return found


def _directory(shared: str | None) -> Path:
    """A new directory that all executors see, and may write to: they may be another user's."""
    try:
        directory = Path(mkdtemp(prefix="mixtera-spark-", dir=shared))
        directory.chmod(0o700 if shared is None else 0o777)
    except OSError as error:
        raise StorageError(f"cannot write to {shared}, which {SHARED} names: {error.strerror or error}") from error
    return directory


def _quoted(name: str) -> str:
    return f"`{name.replace('`', '``')}`"
