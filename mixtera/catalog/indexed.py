"""What the compiler reads of a source."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mixtera.contracts.holding import HeldTable
from mixtera.contracts.properties import PropertyType

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Keyed:
    """How the rows of a table of others name their samples.

    Attributes:
        schema: Its columns that are keys or properties, as its Parquet files have them.
        copied: The same in the types of properties, for engines that copy them.
        keys: Key (`file`, `row`, `offset`, `length`) → column.
        columns: Property → column.
        paths: A Parquet file of what the column `file` says (`path`), and the ids of the files that are meant.
        ranks: A Parquet file of `file_id`, `row` and `offset` of every record, where no column is the key `row`.
        held: The table, where the database of an engine has it, and no Parquet file.
    """

    schema: pa.Schema
    copied: pa.Schema
    keys: dict[str, str]
    columns: dict[str, str]
    paths: str
    ranks: str = ""
    held: HeldTable | None = None


@dataclass(frozen=True)
class IndexedSource:
    """One snapshot of one source, as the compiler reads it.

    Attributes:
        name: The source's name.
        table: Name under which the data files are registered with an engine: the source's name.
        snapshot_id: The Iceberg snapshot of the samples.
        types: Type of each property that the spec names, in its order.
        data_files: Paths of the Parquet files of the snapshot, ordered; every row in them counts.
        files: One row per file of the source, sorted by name: `name`, `url`, `file_id`, `rows`, `size`,
            `modified_ns`, `etag`, `group_rows`, `content_bytes`, `samples`; and `data_file`, which of `data_files` has
            its samples, relative to the directory of all runs.
        rows: Samples in the snapshot.
        keyed: How rows name their samples, where the data files are those of a table of others.
    """

    name: str
    table: str
    snapshot_id: int
    types: dict[str, PropertyType]
    data_files: tuple[str, ...]
    files: pa.Table
    rows: int
    keyed: Keyed | None = None

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to ask an engine about."""
        return not self.data_files and (self.keyed is None or self.keyed.held is None)
