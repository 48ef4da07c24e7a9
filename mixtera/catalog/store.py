"""Where pyiceberg's tables get their metadata from and leave it: metadata files, and what points to them.

pyiceberg's own SQL catalog does the same through SQLAlchemy, which costs every command 0.2 s.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, cast

from pyiceberg.io import FileIO
from pyiceberg.manifest import DataFile, DataFileContent, FileFormat
from pyiceberg.serializers import FromInputFile, ToOutputFile
from pyiceberg.table import CommitTableResponse, Table
from pyiceberg.table.locations import load_location_provider
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.table.update import TableRequirement, TableUpdate, update_table_metadata
from pyiceberg.typedef import Record

from mixtera.catalog.datafile import DataFacts
from mixtera.catalog.pointers import Pointers
from mixtera.errors import StorageError

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog


class TableStore:
    """The part of pyiceberg's catalog interface that its tables call; new tables are made in `catalog/newtable.py`."""

    def __init__(self, pointers: Pointers, io: FileIO) -> None:
        self._pointers = pointers
        self._io = io

    def load(self, namespace: str, name: str) -> Table | None:
        """A table as it is now, or None when there is none."""
        location = self._pointers.location(namespace, name)
        return None if location is None else self.at(namespace, name, location)

    def at(self, namespace: str, name: str, location: str) -> Table:
        """A table as some metadata say."""
        metadata = FromInputFile.table_metadata(self._io.new_input(location))
        return Table((namespace, name), metadata, location, self._io, cast("Catalog", self))

    def commit_table(
        self, table: Table, requirements: tuple[TableRequirement, ...], updates: tuple[TableUpdate, ...]
    ) -> CommitTableResponse:
        """Write new metadata and point to them; pyiceberg calls this when a transaction is committed.

        What the updates require holds as long as the table is the one they were made for.

        Raises:
            StorageError: Somebody else has changed the table.
        """
        before = table.metadata_location
        metadata = update_table_metadata(table.metadata, updates, metadata_location=before)
        provider = load_location_provider(metadata.location, metadata.properties)
        after = provider.new_table_metadata_file_location(_version(before))
        ToOutputFile.table_metadata(metadata, self._io.new_output(after))
        namespace, name = table.name()
        if not self._pointers.move(namespace, name, before, after):
            raise StorageError(f"{metadata.location} was changed by another program; run the command again")
        return CommitTableResponse.model_validate({"metadata": metadata, "metadata-location": after})

    def supports_server_side_planning(self) -> bool:
        """Whether somebody else can say which files a scan has to read: nobody."""
        return False

    def _delete_old_metadata(self, io: FileIO, before: TableMetadata, after: TableMetadata) -> None:
        """Delete metadata files that the log does not name any more; pyiceberg calls this after a commit."""
        for location in _logged(before) - _logged(after):
            with suppress(FileNotFoundError):
                io.delete(location)


def data_file(facts: DataFacts) -> DataFile:
    """Describe a Parquet file of an unpartitioned table to pyiceberg."""
    return DataFile.from_args(
        content=DataFileContent.DATA,
        file_path=facts.uri,
        file_format=FileFormat.PARQUET,
        partition=Record(),
        record_count=facts.rows,
        file_size_in_bytes=facts.size,
        column_sizes=dict(facts.column_sizes),
        value_counts=dict(facts.value_counts),
        null_value_counts=dict(facts.null_counts),
        nan_value_counts={},
        lower_bounds=dict(facts.lower_bounds),
        upper_bounds=dict(facts.upper_bounds),
        key_metadata=None,
        split_offsets=None,
        equality_ids=None,
        sort_order_id=None,
        spec_id=0,
    )


def _logged(metadata: TableMetadata) -> set[str]:
    return {entry.metadata_file for entry in metadata.metadata_log}


def _version(location: str) -> int:
    """Number of the metadata file after this one; its name begins with its number."""
    return int(location.rsplit("/", 1)[-1].split("-", 1)[0]) + 1
