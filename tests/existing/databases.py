"""A table in a database of an engine: what makes one out of Arrow, and the spec that names it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import duckdb
import psycopg
import pyarrow as pa

from mixtera.spec.model import Spec
from mixtera_backends.engines.copying import to_copy
from tests.existing.made import Corpus, tabled

_TYPES: Final = {
    pa.string(): "text",
    pa.int32(): "integer",
    pa.int64(): "bigint",
    pa.float64(): "double precision",
    pa.bool_(): "boolean",
    pa.list_(pa.string()): "text[]",
    pa.date32(): "date",
    pa.list_(pa.int64()): "bigint[]",
    pa.timestamp("us"): "timestamp",
    pa.timestamp("us", "UTC"): "timestamptz",
}


def in_postgres(table: pa.Table, name: str, connection: psycopg.Connection) -> None:
    """Make a table of the server; there may be one of the name before."""
    columns = ", ".join(f'"{field.name}" {_TYPES[field.type]}' for field in table.schema)
    connection.execute(f"DROP TABLE IF EXISTS {name} CASCADE")
    connection.execute(f"CREATE TABLE {name} ({columns})")
    with connection.cursor() as cursor, cursor.copy(f"COPY {name} FROM STDIN (FORMAT csv)") as into:
        for batch in table.to_batches():
            into.write(to_copy(batch))


def in_duckdb(table: pa.Table, file: Path, *statements: str) -> Path:
    """Make `lake.samples` of a file, and do more."""
    with duckdb.connect(str(file)) as connection:
        connection.register("given", table)
        connection.execute("CREATE SCHEMA IF NOT EXISTS lake")
        connection.execute("CREATE OR REPLACE TABLE lake.samples AS SELECT * FROM given")
        for statement in statements:
            connection.execute(statement)
    return file


def named(corpus: Corpus, table: str, folder: Path, **more: str) -> Spec:
    """The spec of a table of the corpus that a database has."""
    return tabled(corpus, folder, folder, table=table, **more)
