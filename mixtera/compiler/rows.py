"""Rows as an engine sends them → dense row numbers, ascending: the order of arrival does not matter from here on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mixtera.compiler.files import FileIndex, Int64s
from mixtera.compiler.nodes import NO_LABEL
from mixtera.errors import PlanError


@dataclass(frozen=True)
class Rows:
    """Some rows of one source, ascending.

    Attributes:
        number: [n] dense number of each row over all files.
        label: [n] what the expression says, where it was asked; see `mixtera.compiler.nodes.NO_LABEL`.
        offset: [n] first byte; empty where the format has no offsets.
        length: [n] bytes without the line end; empty likewise.
        groups: Columns that make groups, aligned with the rows.
    """

    number: Int64s
    label: npt.NDArray[np.int32]
    offset: Int64s
    length: Int64s
    groups: pa.RecordBatch

    def meaning(self, labels: npt.NDArray[np.int32]) -> Rows:
        """The rows with other labels: those that stand at the place of theirs."""
        return replace(self, label=labels[self.label])

    def part(self, first: int, last: int) -> Rows:
        """Rows [first, last)."""
        if first == 0 and last == len(self.number):
            return self
        inside = slice(first, last)
        groups = self.groups.slice(first, last - first)
        return Rows(self.number[inside], self.label[inside], self.offset[inside], self.length[inside], groups)

    def take(self, mask: npt.NDArray[np.bool_]) -> Rows:
        """The rows where the mask is true."""
        if mask.all():
            return self
        has_bytes = len(self.offset) > 0
        return Rows(
            self.number[mask],
            self.label[mask],
            self.offset[mask] if has_bytes else self.offset,
            self.length[mask] if has_bytes else self.length,
            self.groups.filter(pa.array(mask)) if self.groups.num_columns else self.groups,
        )


class Numbering:
    """Finds dense row numbers for some sources."""

    def __init__(self, index: FileIndex, sources: Sequence[int], names: Sequence[str]) -> None:
        """Prepare.

        Args:
            index: All files.
            sources: Numbers of the sources, ascending.
            names: Their names.
        """
        edges = index.source_files
        files = np.concatenate([np.arange(edges[source], edges[source + 1]) for source in sources])
        files = files[np.argsort(index.file_id[files], kind="stable")]
        self._id = index.file_id[files]
        self._first = index.first[:-1][files]
        self._rows = index.rows[files]
        self._ends = index.first[edges[np.array(sources) + 1]]
        self._names = names

    def rows(self, batch: pa.RecordBatch, offsets: bool, by: Sequence[str]) -> Rows:
        """The rows of a batch.

        Raises:
            PlanError: The catalog contradicts itself: a file is unknown, or a row is out of range or there twice.
        """
        number = self._numbers(self._column(batch, "file_id"), self._column(batch, "row"))
        empty = np.empty(0, np.int64)
        rows = Rows(
            number,
            self._label(batch),
            self._column(batch, "offset") if offsets else empty,
            self._column(batch, "length") if offsets else empty,
            batch.select(list(by)),
        )
        return self._ascending(rows)

    def by_source(self, rows: Rows) -> Iterator[tuple[int, Rows]]:
        """The rows of each source that has some of them, with its place among the sources."""
        first = 0
        while first < len(rows.number):
            place = int(np.searchsorted(self._ends, rows.number[first], side="right"))
            last = int(np.searchsorted(rows.number, self._ends[place]))
            yield place, rows.part(first, last)
            first = last

    def _column(self, batch: pa.RecordBatch, name: str) -> npt.NDArray[np.int64]:
        values = batch.column(name)
        if values.null_count:
            raise self._inconsistent(f"column {name!r} is NULL in {values.null_count} rows")
        return values.to_numpy(zero_copy_only=False)  # type: ignore[no-any-return]

    def _label(self, batch: pa.RecordBatch) -> npt.NDArray[np.int32]:
        if "label" not in batch.schema.names:
            return np.full(batch.num_rows, NO_LABEL, np.int32)
        return self._column(batch, "label").astype(np.int32, copy=False)

    def _numbers(self, file_id: Int64s, row: Int64s) -> Int64s:
        heads = np.concatenate(([0], np.flatnonzero(file_id[1:] != file_id[:-1]) + 1))
        found = np.searchsorted(self._id, file_id[heads])
        known = self._id[np.minimum(found, len(self._id) - 1)] == file_id[heads]
        if not known.all():
            raise self._inconsistent(
                f"there are rows of a file with id {file_id[heads][~known][0]}, which it does not list"
            )
        lowest, highest = np.minimum.reduceat(row, heads), np.maximum.reduceat(row, heads)
        wrong = (lowest < 0) | (highest >= self._rows[found])
        if wrong.any():
            first = np.flatnonzero(wrong)[0]
            raise self._inconsistent(
                f"file id {file_id[heads[first]]} has {self._rows[found[first]]} rows, and rows "
                f"{lowest[first]} … {highest[first]} are named"
            )
        number: Int64s = row + np.repeat(self._first[found], np.diff(heads, append=len(row)))
        return number

    def _ascending(self, rows: Rows) -> Rows:
        if (rows.number[1:] > rows.number[:-1]).all():
            return rows
        order = np.argsort(rows.number, kind="stable")
        number = rows.number[order]
        if (number[1:] == number[:-1]).any():
            raise self.twice()
        has_bytes = len(rows.offset) > 0
        return Rows(
            number,
            rows.label[order],
            rows.offset[order] if has_bytes else rows.offset,
            rows.length[order] if has_bytes else rows.length,
            rows.groups.take(pa.array(order)) if rows.groups.num_columns else rows.groups,
        )

    def twice(self) -> PlanError:
        """The error of a row that is there twice."""
        return self._inconsistent("a row is there twice")

    def _inconsistent(self, what: str) -> PlanError:
        more = f" and {len(self._names) - 1:,} others" if len(self._names) > 1 else ""
        return PlanError(
            f"the catalog is inconsistent: in source {self._names[0]!r}{more} {what}; drop the source from the catalog "
            "(`mixtera catalog drop`) and index it again"
        )
