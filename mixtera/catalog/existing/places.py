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
    from mixtera.catalog.existing.opening import Opened
    from mixtera.spec.model import ExistingTable

Int64s: TypeAlias = npt.NDArray[np.int64]
BATCH_ROWS: Final = 1 << 17
LARGEST_ROW: Final = (1 << 31) - 1
"""A row is below this: an id of a sample has 31 bits for it."""


@dataclass(frozen=True)
class Named:
    """The files that a table names.

    Attributes:
        values: What the column says of them, in the order in which they appear.
        samples: [n] rows of each.
        rows: [n] one more than the largest row of each.
    """

    values: list[str]
    samples: Int64s
    rows: Int64s


@dataclass(frozen=True)
class _Batch:
    """Keys of some rows: numbers of files, in the order in which they appear, and the other keys."""

    file: Int64s
    keys: Mapping[str, Int64s]


class Places:
    """The keys of a table."""

    def __init__(self, table: ExistingTable, opened: Opened) -> None:
        self._table, self._files = table, [file.url for file in opened.files]
        self._columns = dict(table.keys)
        self._numbers: dict[str, int] = {}

    def named(self) -> Named:
        """The files, and how many rows of each there are.

        Raises:
            CatalogError: A key is NULL or out of bounds, or there are no rows.
        """
        samples = rows = np.zeros(0, np.int64)
        for batch in self._batches():
            samples, rows = _grown(samples, len(self._numbers)), _grown(rows, len(self._numbers))
            samples += np.bincount(batch.file, minlength=len(samples))
            row = batch.keys["row"]
            self._check_bounds(batch, "row", row, LARGEST_ROW)
            np.maximum.at(rows, batch.file, row + 1)
        if not self._numbers:
            raise CatalogError(f"{self._table.shown} has no rows: there is nothing to mix")
        return Named(list(self._numbers), samples, rows)

    def check(self, rows: Int64s, group: Int64s) -> None:
        """Refuse a sample that is there twice.

        Args:
            rows: Rows of each file that the table names, as `named` has them.
            group: The number of the file that each of these is: several values may mean one.

        Raises:
            CatalogError: One is.
        """
        most = np.zeros(len(rows), np.int64)
        np.maximum.at(most, group, rows)
        first = np.concatenate(([0], np.cumsum(most)))
        seen = np.zeros(int(first[-1]), np.bool_)
        for batch in self._batches():
            place = first[group[batch.file]] + batch.keys["row"]
            if seen[place].any():
                self._twice(batch, int(np.flatnonzero(seen[place])[0]))
            if not (np.diff(place) > 0).all():
                order = np.argsort(place, kind="stable")
                same = np.flatnonzero(np.diff(place[order]) == 0)
                if len(same):
                    self._twice(batch, int(order[same[0] + 1]))
            seen[place] = True

    def _twice(self, batch: _Batch, at: int) -> None:
        value, row = list(self._numbers)[batch.file[at]], batch.keys["row"][at]
        columns = f"{self._columns['file']} = {value!r}, {self._columns['row']} = {row}"
        raise CatalogError(
            f"{self._table.shown}: the sample {columns} is there more than once: a row of the table is one sample; "
            "remove the duplicates"
        )

    def _check_bounds(self, batch: _Batch, key: str, values: Int64s, above: int) -> None:
        wrong = np.flatnonzero((values < 0) | (values >= above))
        if len(wrong):
            value = list(self._numbers)[batch.file[wrong[0]]]
            raise CatalogError(
                f"{self._table.shown}: {self._columns[key]} = {values[wrong[0]]} of {value!r} is no {key}: they go "
                f"from 0 to {above - 1}"
            )

    def _batches(self) -> Iterator[_Batch]:
        columns = list(self._columns.values())
        for path in self._files:
            try:
                with pq.ParquetFile(path, pre_buffer=False) as file:
                    for batch in file.iter_batches(BATCH_ROWS, columns=columns, use_threads=False):
                        yield self._batch(batch, path)
            except (OSError, pa.ArrowException) as error:
                raise CatalogError(f"{self._table.shown}: {path} cannot be read: {error}") from error

    def _batch(self, batch: pa.RecordBatch, path: str) -> _Batch:
        for key, column in self._columns.items():
            if nulls := batch.column(column).null_count:
                raise CatalogError(
                    f"{self._table.shown}: the key {key!r} (column {column!r}) is NULL in {nulls:,} rows of {path}: "
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
        return _Batch(numbers[values.indices.to_numpy(zero_copy_only=False)], keys)


def _grown(values: Int64s, size: int) -> Int64s:
    return np.concatenate((values, np.zeros(size - len(values), np.int64))) if size > len(values) else values


def columns_read(table: ExistingTable) -> Sequence[str]:
    """The columns that are keys."""
    return [column for _, column in table.keys]
