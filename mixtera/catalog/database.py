"""Which metadata file each Iceberg table has now: the SQLite database of the catalog.

The layout is that of the SQL catalog of Iceberg's clients, so that `pyiceberg.catalog.sql.SqlCatalog` opens it too.
It is read and written here in a few statements; SQLAlchemy would cost every command 0.2 s.
"""

from __future__ import annotations

import sqlite3
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
    """The pointers from tables to their metadata. Every access has a connection of its own: none crosses a fork."""

    def __init__(self, path: Path) -> None:
        """Open the database, and make it where there is none.

        Raises:
            sqlite3.Error: It cannot be made, or is something else.
        """
        self._path = path
        with self._connected() as connection:
            if connection.execute("SELECT count(*) FROM sqlite_master WHERE name LIKE 'iceberg_%'").fetchone()[0] < 2:
                for statement in _LAYOUT:
                    connection.execute(statement)

    def namespaces(self) -> list[str]:
        """All namespaces, sorted."""
        query = "SELECT DISTINCT namespace FROM iceberg_namespace_properties WHERE catalog_name = ?"
        with self._connected() as connection:
            return sorted(name for (name,) in connection.execute(query, (CATALOG,)))

    def location(self, namespace: str, table: str) -> str | None:
        """URI of the metadata of a table; None where there is no such table."""
        query = (
            "SELECT metadata_location FROM iceberg_tables "
            "WHERE catalog_name = ? AND table_namespace = ? AND table_name = ?"
        )
        with self._connected() as connection:
            row = connection.execute(query, (CATALOG, namespace, table)).fetchone()
        return None if row is None else str(row[0])

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
        with self._connected() as connection:
            if before is not None:
                statement = (
                    "UPDATE iceberg_tables SET metadata_location = ?, previous_metadata_location = ? "
                    "WHERE catalog_name = ? AND table_namespace = ? AND table_name = ? AND metadata_location = ?"
                )
                done = connection.execute(statement, (after, before, CATALOG, namespace, table, before))
                return done.rowcount == 1
            connection.execute(
                "INSERT OR IGNORE INTO iceberg_namespace_properties VALUES (?, ?, 'exists', 'true')",
                (CATALOG, namespace),
            )
            statement = (
                "INSERT OR IGNORE INTO iceberg_tables "
                "(catalog_name, table_namespace, table_name, metadata_location) VALUES (?, ?, ?, ?)"
            )
            return connection.execute(statement, (CATALOG, namespace, table, after)).rowcount == 1

    def forget(self, namespace: str) -> None:
        """Forget a namespace and its tables, at once."""
        with self._connected() as connection:
            connection.execute(
                "DELETE FROM iceberg_tables WHERE catalog_name = ? AND table_namespace = ?", (CATALOG, namespace)
            )
            connection.execute(
                "DELETE FROM iceberg_namespace_properties WHERE catalog_name = ? AND namespace = ?",
                (CATALOG, namespace),
            )

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        """A connection; what is done with it is one transaction."""
        with closing(sqlite3.connect(self._path, timeout=_TIMEOUT_SECONDS)) as connection, connection:
            yield connection
