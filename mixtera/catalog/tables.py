"""The Iceberg tables of a catalog: three per source, `samples`, `files` and `bad`, in a namespace of its own.

A state of a source is one snapshot of its files table, whose summary names the snapshots of the other two that
belong to it, and the definition. It is committed last, so a run that dies between the commits leaves the old state.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace as with_fields
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import CommitFailedException, NoSuchTableError
from pyiceberg.schema import Schema
from pyiceberg.types import (
    BooleanType,
    DateType,
    DoubleType,
    IcebergType,
    ListType,
    LongType,
    NestedField,
    StringType,
    TimestamptzType,
)
from sqlalchemy import create_engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from mixtera.catalog.columns import BAD_COLUMNS, FILE_COLUMNS, Column, numbered
from mixtera.catalog.location import RECORDED_PROPERTY, ROOT_PROPERTY, CatalogIO
from mixtera.catalog.names import directory_name, source_name
from mixtera.contracts.properties import PropertyType
from mixtera.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyiceberg.manifest import DataFile
    from pyiceberg.table import Table, Transaction
    from pyiceberg.table.snapshots import Snapshot

Role: TypeAlias = Literal["samples", "files", "bad"]

_TYPES: Final[Mapping[str, IcebergType]] = {
    "string": StringType(),
    "int64": LongType(),
    "float64": DoubleType(),
    "bool": BooleanType(),
    "date": DateType(),
    "timestamp": TimestamptzType(),
}
_TABLE_PROPERTIES: Final = {
    "format-version": "2",
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": "10",
}
_FIXED_COLUMNS: Final[Mapping[Role, Sequence[Column]]] = {"files": FILE_COLUMNS, "bad": BAD_COLUMNS}


class Tables:
    """The Iceberg side of a catalog directory."""

    def __init__(self, root: Path, recorded: str) -> None:
        """Open the tables of the catalog at `root`, whose metadata was written for the URI `recorded`."""
        self.root = root
        self._recorded = recorded
        uri = f"sqlite:///{root / 'catalog.db'}"
        self._catalog = SqlCatalog(
            "mixtera",
            **{
                "uri": uri,
                "warehouse": f"{recorded}/warehouse",
                "py-io-impl": f"{CatalogIO.__module__}.{CatalogIO.__qualname__}",
                RECORDED_PROPERTY: recorded,
                ROOT_PROPERTY: str(root),
            },
        )
        self._catalog.engine.dispose()
        # A connection of its own for each access: none is left open, and none is carried over a fork.
        self._catalog.engine = create_engine(uri, poolclass=NullPool, connect_args={"timeout": 60})

    def close(self) -> None:
        """Release the connection to SQLite."""
        self._catalog.close()

    def sources(self) -> list[str]:
        """Names of the sources that have tables, sorted."""
        return sorted(source_name(namespace[0]) for namespace in self._catalog.list_namespaces())

    def is_indexed(self, source: str) -> bool:
        """Whether a source was ever indexed to the end."""
        table = self.load(source, "files")
        return table is not None and table.current_snapshot() is not None

    def data_directory(self, source: str) -> Path:
        """Where the Parquet files of a source lie."""
        return self.root / "warehouse" / directory_name(source) / "data"

    def load(self, source: str, role: Role) -> Table | None:
        """The table of a source, or None when there is none."""
        try:
            return self._catalog.load_table((directory_name(source), role))
        except NoSuchTableError:
            return None

    def load_or_create(self, source: str, role: Role, columns: Sequence[Column] | None = None) -> Table:
        """The table of a source; made, without a snapshot, where there is none."""
        table = self.load(source, role)
        if table is not None:
            return table
        space = directory_name(source)
        with _commits(self.root):
            self._catalog.create_namespace_if_not_exists(space)
            return self._catalog.create_table(
                (space, role),
                _schema(columns or _FIXED_COLUMNS[role]),
                location=f"{self._recorded}/warehouse/{space}/{role}",
                properties=_TABLE_PROPERTIES,
            )

    def drop(self, source: str) -> None:
        """Forget the tables of a source; their files stay."""
        space = directory_name(source)
        for identifier in self._catalog.list_tables(space):
            self._catalog.drop_table(identifier)
        self._catalog.drop_namespace(space)

    def path(self, location: str) -> Path:
        """Where a file of the recorded URI lies now."""
        return self._io().path(location)

    def _io(self) -> CatalogIO:
        return CatalogIO(self._catalog.properties)

    def data_paths(self, table: Table, snapshot_id: int) -> list[Path]:
        """Paths of the Parquet files of a snapshot, sorted."""
        return sorted(self.path(file.file_path) for file in data_files(table, table.snapshot_by_id(snapshot_id)))

    def replace(
        self, transaction: Transaction, table: Table, paths: Iterable[Path], properties: Mapping[str, str]
    ) -> int:
        """Make a table consist of some Parquet files and nothing else, in one snapshot.

        Args:
            transaction: Open transaction of the table, with its schema as the new files have it.
            table: The table.
            paths: All Parquet files it is to have; those that it has already are kept as they are.
            properties: Written into the snapshot's summary.

        Returns:
            Id of the new snapshot.

        Raises:
            StorageError: The metadata cannot be written; the table is as it was.
        """
        from pyiceberg.io.pyarrow import parquet_files_to_data_files

        io = self._io()
        wanted = {io.uri(path) for path in paths}
        current = {file.file_path: file for file in data_files(table, table.current_snapshot())}
        with _commits(self.root):
            producer = transaction.update_snapshot(snapshot_properties=dict(properties)).overwrite()
            for location in sorted(current.keys() - wanted):
                producer.delete_data_file(current[location])
            added = iter(sorted(wanted - current.keys()))
            for file in parquet_files_to_data_files(io, transaction.table_metadata, added):
                producer.append_data_file(file)
            producer.commit()
            transaction.commit_transaction()
        return producer.snapshot_id


@contextmanager
def _commits(root: Path) -> Iterator[None]:
    try:
        yield
    except CommitFailedException as error:
        raise StorageError(f"the catalog {root} was changed by another program; run the command again") from error
    except (SQLAlchemyError, OSError) as error:
        reason = str(error.orig) if isinstance(error, SQLAlchemyError) and hasattr(error, "orig") else str(error)
        raise StorageError(
            f"cannot write the catalog {root}: {reason}; nothing was changed. "
            "Free some space, or see who may write there"
        ) from error


def data_files(table: Table, snapshot: Snapshot | None) -> Iterable[DataFile]:
    """Data files of a snapshot; there are never delete files, since deletes rewrite the files they touch."""
    if snapshot is None:
        return
    for manifest in snapshot.manifests(table.io):
        for entry in manifest.fetch_manifest_entry(table.io):
            yield entry.data_file


def evolved(table: Table, columns: Sequence[Column]) -> tuple[Transaction, tuple[Column, ...]]:
    """Open a transaction in which a table has these columns; columns of the same name and type keep their field ids.

    Returns:
        The transaction, and the columns with their field ids.
    """
    have = {field.name: field.field_type for field in table.schema().fields}
    wanted = {column.name: column for column in columns}
    gone = [name for name, type_ in have.items() if name not in wanted or _name_of(type_) != wanted[name].type]
    fresh = [column for column in columns if column.name in gone or column.name not in have]
    transaction = table.transaction()
    if gone:
        with transaction.update_schema(allow_incompatible_changes=True) as update:
            for name in gone:
                update.delete_column((name,))
    if fresh:
        with transaction.update_schema() as update:
            for column in fresh:
                update.add_column((column.name,), _iceberg(column.type))
    return transaction, with_field_ids(columns, transaction.table_metadata.schema())


def with_field_ids(columns: Sequence[Column], schema: Schema) -> tuple[Column, ...]:
    """The same columns with the field ids they have in a table."""
    return tuple(_with_id(column, schema.find_field(column.name)) for column in columns)


def _with_id(column: Column, field: NestedField) -> Column:
    type_ = field.field_type
    element_id = type_.element_id if isinstance(type_, ListType) else -1
    return with_fields(column, field_id=field.field_id, element_id=element_id)


def _iceberg(type_: PropertyType, element_id: int = 0) -> IcebergType:
    if type_.startswith("list<"):
        return ListType(element_id=element_id, element=_TYPES[type_[5:-1]], element_required=False)
    return _TYPES[type_]


def _name_of(type_: IcebergType) -> str:
    if isinstance(type_, ListType):
        return f"list<{_name_of(type_.element_type)}>"
    return next(name for name, known in _TYPES.items() if known == type_)


def _schema(columns: Sequence[Column]) -> Schema:
    return Schema(*(_field(column) for column in numbered(columns)))


def _field(column: Column) -> NestedField:
    type_ = _iceberg(column.type, column.element_id)
    return NestedField(column.field_id, column.name, type_, required=column.required)
