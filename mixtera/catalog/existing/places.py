"""The key columns of a table, read once to the end: every row is one sample of one file, and no two are the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from mixtera.errors import CatalogError

if TYPE_CHECKING:
    from mixtera.contracts.storage import FileInfo
    from mixtera.spec.model import ExistingTable

Int64s: TypeAlias = npt.NDArray[np.int64]
BATCH_ROWS: Final = 1 << 17
_ABOVE: Final = {"row": (1 << 31) - 1, "offset": 1 << 62, "length": 1 << 31}
"""Keys are below these: an id of a sample has 31 bits for its row."""


@dataclass(frozen=True)
class Named:
    """The files that a table names.

    Attributes:
        values: What the column says of them, in the order in which they appear.
        samples: [n] rows of the table for each.
        rows: [n] one more than the largest row of each; where rows are not numbered, as many as there are.
    """

    values: list[str]
    samples: Int64s
    rows: Int64s


@dataclass(frozen=True)
class Batch:
    """Keys of some rows: the number of each one's file, in the order in which files appear, and the other keys."""

    file: Int64s
    keys: Mapping[str, Int64s]


class Places:
    """The keys of a table."""

    def __init__(self, table: ExistingTable, files: Sequence[FileInfo]) -> None:
        """Prepare.

        Args:
            table: The table.
            files: Parquet files that have its keys.
        """
        self._table, self._files = table, [file.url for file in files]
        self._columns = dict(table.keys)
        self._numbers: dict[str, int] = {}

    @property
    def numbered(self) -> bool:
        """Whether rows say which of their file's they are."""
        return "row" in self._columns

    @property
    def shown(self) -> str:
        """What messages call the table."""
        return self._table.shown

    def named(self) -> Named:
        """The files, and how many rows of each there are.

        Raises:
            CatalogError: A key is NULL or out of bounds, or there are no rows.
        """
        samples = rows = np.zeros(0, np.int64)
        for batch in self.batches():
            samples, rows = _grown(samples, len(self._numbers)), _grown(rows, len(self._numbers))
            samples += np.bincount(batch.file, minlength=len(samples))
            for key, values in batch.keys.items():
                self._check_bounds(batch, key, values)
            if self.numbered:
                np.maximum.at(rows, batch.file, batch.keys["row"] + 1)
        if not self._numbers:
            raise CatalogError(f"{self._table.shown} has no rows: there is nothing to mix")
        return Named(list(self._numbers), samples, rows if self.numbered else samples)

    def checked(self, first: Int64s, group: Int64s) -> Iterator[tuple[Batch, Int64s]]:
        """All rows again, with the place of each among the rows of all files: the row counted from its file's first.

        Args:
            first: [files + 1] the place of each file's first row.
            group: The file that each value of `named` means: several may mean one.

        Raises:
            CatalogError: Two rows have the same place.
        """
        seen = np.zeros(int(first[-1]), np.bool_)
        for batch in self.batches():
            place = first[group[batch.file]] + batch.keys["row"]
            if seen[place].any():
                raise self.twice(batch, int(np.flatnonzero(seen[place])[0]))
            if not (np.diff(place) > 0).all():
                order = np.argsort(place, kind="stable")
                same = np.flatnonzero(np.diff(place[order]) == 0)
                if len(same):
                    raise self.twice(batch, int(order[same[0] + 1]))
            seen[place] = True
            yield batch, place

    def twice(self, batch: Batch, at: int) -> CatalogError:
        """The error of a sample that is there twice."""
        key = "row" if self.numbered else "offset"
        value, number = list(self._numbers)[batch.file[at]], batch.keys[key][at]
        return CatalogError(
            f"{self._table.shown}: the sample {self._columns['file']} = {value!r}, {self._columns[key]} = {number} is "
            "there more than once: a row of the table is one sample; remove the duplicates"
        )

    def _check_bounds(self, batch: Batch, key: str, values: Int64s) -> None:
        wrong = np.flatnonzero((values < 0) | (values >= _ABOVE[key]))
        if len(wrong):
            value = list(self._numbers)[batch.file[wrong[0]]]
            raise CatalogError(
                f"{self._table.shown}: {self._columns[key]} = {values[wrong[0]]} of {value!r} is no {key}: they go "
                f"from 0 to {_ABOVE[key] - 1}"
            )

    def batches(self) -> Iterator[Batch]:
        """All rows, as they lie."""
        columns = list(self._columns.values())
        for path in self._files:
            try:
                with pq.ParquetFile(path, pre_buffer=False) as file:
                    for batch in file.iter_batches(BATCH_ROWS, columns=columns, use_threads=False):
                        yield self._batch(batch, path)
            except (OSError, pa.ArrowException) as error:
                raise CatalogError(f"{self._table.shown}: {path} cannot be read: {error}") from error

    def _batch(self, batch: pa.RecordBatch, path: str) -> Batch:
        for key, column in self._columns.items():
            if nulls := batch.column(column).null_count:
                where = "" if self._table.engine else f" of {path}"
                raise CatalogError(
                    f"{self._table.shown}: the key {key!r} (column {column!r}) is NULL in {nulls:,} rows{where}: "
                    "give them a value, or remove the rows"
                )
        values = batch.column(self._columns["file"])
        if not pa.types.is_dictionary(values.type):
            values = values.dictionary_encode()
        numbers = np.array(
            [self._numbers.setdefault(value, len(self._numbers)) for value in values.dictionary.to_pylist()], np.int64
        )
        keys = {
            key: batch.column(column).cast(pa.int64()).to_numpy(zero_copy_only=False)
            for key, column in self._columns.items()
            if key != "file"
        }
        return Batch(numbers[values.indices.to_numpy(zero_copy_only=False)], keys)


def _grown(values: Int64s, size: int) -> Int64s:
    return np.concatenate((values, np.zeros(size - len(values), np.int64))) if size > len(values) else values
