"""Which metadata file each Iceberg table has now: the SQLite database of the catalog.

The layout is that of the SQL catalog of Iceberg's clients, so that `pyiceberg.catalog.sql.SqlCatalog` opens it too.
It is read and written here in a few statements; SQLAlchemy would cost every command 0.2 s.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

CATALOG: Final = "mixtera"
"""The catalog's name in the database."""

_TIMEOUT_SECONDS: Final = 60.0
_LAYOUT: Final = (
    "CREATE TABLE IF NOT EXISTS iceberg_tables ("
    "catalog_name VARCHAR(255) NOT NULL, table_namespace VARCHAR(255) NOT NULL, table_name VARCHAR(255) NOT NULL, "
    "metadata_location VARCHAR(1000), previous_metadata_location VARCHAR(1000), iceberg_type VARCHAR(5), "
    "PRIMARY KEY (catalog_name, table_namespace, table_name))",
    "CREATE TABLE IF NOT EXISTS iceberg_namespace_properties ("
    "catalog_name VARCHAR(255) NOT NULL, namespace VARCHAR(255) NOT NULL, property_key VARCHAR(255) NOT NULL, "
    "property_value VARCHAR(1000) NOT NULL, PRIMARY KEY (catalog_name, namespace, property_key))",
)


class Database:
    """The pointers from tables to their metadata.

    The file is made when the first pointer is written. Every access has a connection of its own: none crosses a fork.
    """

    def __init__(self, path: Path) -> None:
        """Use the database at a path.

        Raises:
            sqlite3.Error: There is something else.
        """
        self._path = path
        self._local = _Local()
        self.namespaces()

    @contextmanager
    def together(self) -> Iterator[list[Path]]:
        """What this thread does inside the block is one transaction: all of it is there for others, or nothing."""
        with self._connected(write=True) as connection:
            self._local.connection = connection
            try:
                yield []
            finally:
                self._local.connection = None

    def refresh(self) -> None:
        """Nothing: every call looks at the file."""

    def directory(self, namespace: str) -> str:
        """Name of the directory of a namespace, below the warehouse."""
        return namespace

    def namespaces(self) -> list[str]:
        """All namespaces, sorted."""
        query = "SELECT DISTINCT namespace FROM iceberg_namespace_properties WHERE catalog_name = ?"
        return sorted(name for (name,) in self._rows(query, CATALOG))

    def location(self, namespace: str, table: str) -> str | None:
        """URI of the metadata of a table; None where there is no such table."""
        query = (
            "SELECT metadata_location FROM iceberg_tables "
            "WHERE catalog_name = ? AND table_namespace = ? AND table_name = ?"
        )
        rows = self._rows(query, CATALOG, namespace, table)
        return str(rows[0][0]) if rows else None

    def move(self, namespace: str, table: str, before: str | None, after: str) -> bool:
        """Point a table to other metadata, at once.

        Args:
            namespace: The namespace; made where there is none.
            table: The table.
            before: Where it must point now; None when there must be no such table.
            after: Where to point it.

        Returns:
            Whether it pointed there; if not, nothing has changed.
        """
        with self._connected(write=True) as connection:
            if before is None:
                return _added(connection, namespace, table, after)
            statement = (
                "UPDATE iceberg_tables SET metadata_location = ?, previous_metadata_location = ? "
                "WHERE catalog_name = ? AND table_namespace = ? AND table_name = ? AND metadata_location = ?"
            )
            return connection.execute(statement, (after, before, CATALOG, namespace, table, before)).rowcount == 1

    def forget(self, namespace: str) -> None:
        """Forget a namespace and its tables, at once."""
        with self._connected(write=True) as connection:
            connection.execute(
                "DELETE FROM iceberg_tables WHERE catalog_name = ? AND table_namespace = ?", (CATALOG, namespace)
            )
            connection.execute(
                "DELETE FROM iceberg_namespace_properties WHERE catalog_name = ? AND namespace = ?",
                (CATALOG, namespace),
            )

    def _rows(self, query: str, *values: str) -> list[tuple[str, ...]]:
        if not self._path.exists():
            return []
        with self._connected(write=False) as connection:
            known = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'iceberg_tables'").fetchall()
            return connection.execute(query, values).fetchall() if known else []

    @contextmanager
    def _connected(self, write: bool) -> Iterator[sqlite3.Connection]:
        """A connection; what is done with it is one transaction, or part of the one that is open."""
        if self._local.connection is not None:
            yield self._local.connection
            return
        with closing(sqlite3.connect(self._path, timeout=_TIMEOUT_SECONDS, isolation_level=None)) as connection:
            if not write:
                yield connection
                return
            connection.execute("BEGIN IMMEDIATE")
            with connection:
                for statement in _LAYOUT:
                    connection.execute(statement)
                yield connection


class _Local(threading.local):
    """The connection of the transaction that this thread has open."""

    connection: sqlite3.Connection | None = None


def _added(connection: sqlite3.Connection, namespace: str, table: str, location: str) -> bool:
    connection.execute(
        "INSERT OR IGNORE INTO iceberg_namespace_properties VALUES (?, ?, 'exists', 'true')", (CATALOG, namespace)
    )
    statement = (
        "INSERT OR IGNORE INTO iceberg_tables "
        "(catalog_name, table_namespace, table_name, metadata_location) VALUES (?, ?, ?, ?)"
    )
    return connection.execute(statement, (CATALOG, namespace, table, location)).rowcount == 1
