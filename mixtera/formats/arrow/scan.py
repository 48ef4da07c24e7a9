"""The scan of an Arrow file: all of its properties and content are read and checked, batch by batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import pyarrow as pa

from mixtera.contracts.format import ContentColumn, FileFacts, PropertyColumn, ScanBatch
from mixtera.contracts.storage import FileInfo, Storage
from mixtera.errors import SampleError
from mixtera.formats.arrow.file import ArrowFile
from mixtera.formats.columnar.columns import content_columns, property_columns
from mixtera.formats.columnar.pieces import null_reasons, piece, property_values
from mixtera.formats.columnar.schema import Column, values_of
from mixtera.formats.columnar.sound import is_sound, unsound
from mixtera.formats.values import index_schema

PIECE_ROWS: Final = 1 << 16
"""Rows of one piece of the index, at most."""

_SHOWN: Final = 60


class ArrowScan:
    """The scan of one file: iterate it to the end, then ask for `facts`."""

    def __init__(
        self,
        storage: Storage,
        file: FileInfo,
        properties: Sequence[PropertyColumn],
        content: Sequence[ContentColumn],
    ) -> None:
        self._storage = storage
        self._file = file
        self._properties = properties
        self._content = content
        self._schema = index_schema(properties)
        self._facts = FileFacts(0)

    def __iter__(self) -> Iterator[ScanBatch]:
        """Pieces of the index, at most 65,536 rows of a record batch each."""
        opened = ArrowFile(self._storage, self._file)
        try:
            yield from self._batches(opened)
        finally:
            opened.close()

    def facts(self) -> FileFacts:
        """What the scan found; valid after the last piece."""
        return self._facts

    def _batches(self, opened: ArrowFile) -> Iterator[ScanBatch]:
        columns = property_columns(opened.schema, self._file, self._properties)
        content = content_columns(opened.schema, self._file, self._content)
        opened.choose([*content, *(column for column in columns if column is not None)])
        first = told = content_bytes = 0
        for number, block in enumerate(opened.batches):
            batch = opened.batch(number)
            reasons = self._check(batch, content, number)
            for start in range(0, len(batch), PIECE_ROWS):
                part = batch[start : start + PIECE_ROWS]
                yield self._piece(part, first + start, columns, _within(reasons, start, len(part)), block.stop - told)
                told = block.stop
            content_bytes += sum(_bytes(values_of(batch, column)) for column in content)
            first += len(batch)
            del batch
            opened.forget()
        if told < self._file.size:
            yield ScanBatch(pa.RecordBatch.from_pylist([], self._schema), (), self._file.size - told)
        groups = () if opened.sliceable else tuple(block.rows for block in opened.batches)
        self._facts = FileFacts(first, groups, content_bytes)

    def _check(self, batch: pa.RecordBatch, content: Sequence[Column], number: int) -> dict[int, str]:
        """Why some rows cannot be used: their content.

        Raises:
            SampleError: The batch is damaged.
        """
        reasons: dict[int, str] = {}
        for name, values in zip(batch.schema.names, batch.columns, strict=True):
            if not is_sound(values):
                for row in self._not_text(values, name, number):
                    reasons[row] = f"column {name!r} is not valid UTF-8"
        null_reasons(batch, content, reasons)
        return reasons

    def _not_text(self, values: pa.Array, name: str, number: int) -> list[int]:
        """Rows whose strings are not UTF-8, if that is all that is wrong."""
        kinds = {pa.string(): pa.binary(), pa.large_string(): pa.large_binary()}
        kind = kinds.get(values.type)
        if kind is None or not is_sound(values.view(kind)):
            raise SampleError(
                f"{self._file.url} is no whole Arrow file: column {name!r} of record batch {number} is damaged; "
                "copy or write it again"
            )
        return unsound(values)

    def _piece(
        self,
        batch: pa.RecordBatch,
        first: int,
        columns: Sequence[Column | None],
        reasons: dict[int, str],
        bytes_read: int,
    ) -> ScanBatch:
        count = len(batch)
        values = [None if column is None else values_of(batch, column) for column in columns]
        pairs = zip(self._properties, values, strict=True)
        arrays = [property_values(prop, found, count, reasons) for prop, found in pairs]
        return piece(self._schema, first, count, arrays, reasons, bytes_read, batch)


def _bytes(values: pa.Array) -> int:
    """Bytes of the values themselves."""
    return int(values.nbytes)


def _within(reasons: dict[int, str], start: int, count: int) -> dict[int, str]:
    return {row - start: reason for row, reason in reasons.items() if start <= row < start + count}
