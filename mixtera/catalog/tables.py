"""The Iceberg tables of a catalog: three per source, `samples`, `files` and `bad`, in a namespace of its own.

A state of a source is one snapshot of its files table, whose summary names the snapshots of the other two that
belong to it, and the definition. It is committed last, so a run that dies between the commits leaves the old state.

pyiceberg takes 0.3 s to import. A table is made, and its state read, without it; what a table that exists needs it for
is done while other processes scan.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Literal, TypeAlias, TypeVar, cast

import msgspec

from mixtera.cached import cached_property
from mixtera.catalog.columns import Column, numbered
from mixtera.catalog.database import Database
from mixtera.catalog.location import Location
from mixtera.catalog.lock import not_writable
from mixtera.catalog.names import commit_name, directory_name, source_name
from mixtera.errors import CatalogError, MissingError, StorageError

if TYPE_CHECKING:
    from pyiceberg.manifest import DataFile
    from pyiceberg.table import Table, Transaction
    from pyiceberg.table.snapshots import Snapshot

    from mixtera.catalog.mirror import Mirror
    from mixtera.catalog.pointers import Pointers
    from mixtera.catalog.store import TableStore

Role: TypeAlias = Literal["samples", "files", "bad"]
_Result = TypeVar("_Result")


class _Snapshot(msgspec.Struct):
    """What is read of a snapshot in the metadata of a table."""

    snapshot_id: int = msgspec.field(name="snapshot-id")
    summary: dict[str, str]


class _Metadata(msgspec.Struct):
    """What is read of the metadata of a table."""

    snapshots: list[_Snapshot] = []
    current: int | None = msgspec.field(name="current-snapshot-id", default=None)


class Tables:
    """The Iceberg side of a catalog directory."""

    def __init__(self, root: Path, recorded: str, mirror: Mirror | None = None) -> None:
        """Open the tables of the catalog at `root`, whose metadata was written for the URI `recorded`.

        With a mirror, the catalog lies at the mirror's URL, and `root` is where copies of its files are.
        """
        self.root, self.mirror = root, mirror
        self.own_runs: set[str] | None = None if mirror is None else set()
        """Runs of this process, where others must not find files of a run under the names of an older one."""
        self.shown = str(root) if mirror is None else mirror.url
        self._location = Location(recorded, root)
        self._pointers: Pointers = Database(root / "catalog.db") if mirror is None else _commits_of(recorded, mirror)

    @cached_property
    def _store(self) -> TableStore:
        from mixtera.catalog.fileio import CatalogIO
        from mixtera.catalog.store import TableStore

        return TableStore(self._pointers, CatalogIO(self._location, self.mirror))

    def prepare(self, source: str) -> None:
        """Import what a commit to the tables of a source needs, while there is time for it."""
        import mixtera.catalog.commit
        import mixtera.catalog.newtable
        import mixtera.catalog.report

        if self._pointers.location(directory_name(source), "samples") is not None:
            import mixtera.catalog.schemas
            import mixtera.catalog.store  # noqa: F401

    def sources(self) -> list[str]:
        """Names of the sources that have tables, sorted."""
        return sorted(map(source_name, self._pointers.namespaces()))

    def is_indexed(self, source: str) -> bool:
        """Whether a source was ever indexed to the end."""
        return self.summary(source, "files") is not None

    def data_directory(self, source: str) -> Path:
        """Where the Parquet files of a source lie."""
        return self._space(source) / "data"

    def _space(self, source: str) -> Path:
        return self.root / "warehouse" / self._pointers.directory(directory_name(source))

    def have(self, paths: Iterable[Path]) -> None:
        """Make sure that files of the catalog are where their paths say; where it lies at a URL they are copied.

        Raises:
            StorageError: One cannot be.
        """
        if self.mirror is not None:
            self.mirror.have(paths)

    def as_newest(self, call: Callable[[], _Result]) -> _Result:
        """Call for a change of the newest state: again, where others commit to the catalog's URL meanwhile."""
        if self.mirror is None:
            return call()
        from mixtera.catalog.commits import until_first

        return until_first(self._pointers.refresh, call)

    def load(self, source: str, role: Role) -> Table | None:
        """The table of a source, or None when there is none."""
        space = directory_name(source)
        return self._store.load(space, role) if self._pointers.location(space, role) else None

    def load_at(self, source: str, role: Role, location: str) -> Table | None:
        """A table as some metadata say, or None where these are gone."""
        try:
            return self._store.at(directory_name(source), role, location)
        except StorageError as error:
            if isinstance(error.__cause__, MissingError):
                return None
            raise

    def old_commits(self, keep: int, horizon: int) -> tuple[list[int], list[int]]:
        """Numbers of the commits at a URL that are kept, but for the newest, and of those that are not; else none.

        Args:
            keep: So many of the last are kept,
            horizon: and those that were the newest at some time after this one, in nanoseconds since 1970.
        """
        from mixtera.catalog.commits import Commits

        return self._pointers.older(keep, horizon) if isinstance(self._pointers, Commits) else ([], [])

    def tables_at(self, number: int) -> list[tuple[str, Role, str]]:
        """Source, role and metadata file of all tables of a commit at a URL."""
        from mixtera.catalog.commits import Commits

        assert isinstance(self._pointers, Commits)
        found = self._pointers.tables_at(number)
        return [(source_name(space), cast("Role", role), location) for space, role, location in found]

    def delete_commits(self, numbers: Iterable[int]) -> None:
        """Delete commits at a URL.

        Raises:
            StorageError: One cannot be.
        """
        if self.mirror is not None and (urls := [f"{self.mirror.url}/{commit_name(number)}" for number in numbers]):
            self.mirror.storage.delete(urls)

    def delete(self, paths: Iterable[Path]) -> None:
        """Delete files of a catalog at a URL there; of one in a directory nothing.

        Raises:
            StorageError: One cannot be.
        """
        if self.mirror is not None and (urls := list(map(self.mirror.url_of, paths))):
            self.mirror.storage.delete(urls)

    def now_ns(self) -> int:
        """The time by the clock of where the catalog lies, in nanoseconds since 1970.

        Raises:
            CatalogError: Nothing can be written there.
            StorageError: Likewise, at a URL.
        """
        if self.mirror is not None:
            return self.mirror.now_ns()
        try:
            with NamedTemporaryFile(dir=self.root, prefix=".clock-") as file:
                return os.fstat(file.fileno()).st_mtime_ns
        except OSError as error:
            raise not_writable(self.root, error) from error

    def summary(self, source: str, role: Role) -> dict[str, str] | None:
        """What the summary of the current snapshot of a table says, or None when there is none; without pyiceberg.

        Raises:
            CatalogError: The metadata of the table cannot be read.
        """
        location = self._pointers.location(directory_name(source), role)
        if location is None:
            return None
        path = self.path(location)
        self.have([path])
        try:
            metadata = msgspec.json.decode(path.read_bytes(), type=_Metadata)
        except (OSError, msgspec.DecodeError) as error:
            raise CatalogError(f"{path} cannot be read: {error}; restore it, or index into a new directory") from error
        return next((found.summary for found in metadata.snapshots if found.snapshot_id == metadata.current), None)

    def field_ids(self, source: str, columns: Sequence[Column]) -> tuple[Column, ...]:
        """The columns with the field ids that the samples table of a source has for them, or will have."""
        table = self.load(source, "samples")
        if table is None:
            return numbered(columns)
        from mixtera.catalog.schemas import evolved

        return evolved(table, columns)[1]

    def create(
        self, source: str, role: Role, columns: Sequence[Column], paths: Iterable[Path], properties: Mapping[str, str]
    ) -> int:
        """Make a table that consists of some Parquet files.

        Args:
            source: The source.
            role: Which of its tables.
            columns: The table's columns with their field ids.
            paths: The files; they have exactly these columns.
            properties: Written into the snapshot's summary.

        Returns:
            Id of its first snapshot.

        Raises:
            StorageError: The metadata cannot be written, or there is such a table; nothing was changed.
        """
        from mixtera.catalog.datafile import data_facts
        from mixtera.catalog.newtable import write_table_metadata

        space = directory_name(source)
        uri = self._location.uri(self._space(source) / role)
        with _commits(self.root):
            files = [data_facts(path, self._location.uri(path), columns) for path in sorted(paths)]
            snapshot_id, metadata = write_table_metadata(self._location, uri, columns, files, properties)
            if not self._pointers.move(space, role, None, metadata):
                raise StorageError(f"{uri} was made by another program meanwhile; run the command again")
        return snapshot_id

    def drop(self, source: str) -> None:
        """Forget the tables of a source, and delete what the catalog has of it.

        Raises:
            CatalogError: A file cannot be deleted.
            StorageError: One at a URL cannot be.
        """
        space = self._space(source)
        self._pointers.forget(directory_name(source))
        try:
            shutil.rmtree(space, ignore_errors=self.mirror is not None)
        except OSError as error:
            raise not_writable(self.root, error) from error
        if self.mirror is not None:
            self.mirror.delete_below(space)

    def path(self, location: str) -> Path:
        """Where a file of the recorded URI lies now."""
        return self._location.path(location)

    def data_paths(self, table: Table, snapshot_id: int) -> list[Path]:
        """Paths of the Parquet files of a snapshot, sorted."""
        return sorted(self.path(file.file_path) for file in data_files(table, table.snapshot_by_id(snapshot_id)))

    @contextmanager
    def together(self) -> Iterator[list[Path]]:
        """What is committed inside the block is committed at its end, at once.

        The block adds the files of the new state to the list, its metadata among them.

        Raises:
            StorageError: It cannot be written; all tables are as they were.
        """
        with _commits(self.root), self._pointers.together() as files:
            yield files

    def replace(
        self,
        transaction: Transaction,
        table: Table,
        columns: Sequence[Column],
        paths: Iterable[Path],
        properties: Mapping[str, str],
    ) -> int:
        """Make a table consist of some Parquet files and nothing else, in one snapshot.

        Args:
            transaction: Open transaction of the table, with its schema as the new files have it.
            table: The table.
            columns: Its columns with their field ids.
            paths: All Parquet files it is to have; those that it has already are kept as they are.
            properties: Written into the snapshot's summary.

        Returns:
            Id of the new snapshot.

        Raises:
            StorageError: The metadata cannot be written; the table is as it was.
        """
        from mixtera.catalog.datafile import data_facts
        from mixtera.catalog.store import data_file

        wanted = {self._location.uri(path): path for path in paths}
        current = {file.file_path: file for file in data_files(table, table.current_snapshot())}
        with _commits(self.root):
            producer = transaction.update_snapshot(snapshot_properties=dict(properties)).overwrite()
            for location in sorted(current.keys() - wanted.keys()):
                producer.delete_data_file(current[location])
            for location in sorted(wanted.keys() - current.keys()):
                producer.append_data_file(data_file(data_facts(wanted[location], location, columns)))
            producer.commit()
            transaction.commit_transaction()
        return producer.snapshot_id


def _commits_of(recorded: str, mirror: Mirror) -> Pointers:
    from mixtera.catalog.commits import Commits

    return Commits(recorded, mirror)


@contextmanager
def _commits(root: Path) -> Iterator[None]:
    try:
        yield
    except StorageError:
        raise
    except (sqlite3.Error, OSError) as error:
        raise StorageError(
            f"cannot write the catalog {root}: {error}; nothing was changed. "
            "Free some space, or see who may write there"
        ) from error


def data_files(table: Table, snapshot: Snapshot | None) -> Iterable[DataFile]:
    """Data files of a snapshot; there are never delete files, since deletes rewrite the files they touch."""
    if snapshot is None:
        return
    for manifest in snapshot.manifests(table.io):
        for entry in manifest.fetch_manifest_entry(table.io):
            yield entry.data_file
