"""Fetch: one piece → one record batch of the reader's own samples, in the order of the plan."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import groupby
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mixtera.arrow import from_numpy, strings, take, to_numpy
from mixtera.artifact.model import ROW_BITS, PlanData
from mixtera.artifact.pointers import PointerMap, Pointers
from mixtera.contracts.format import ReadRequest
from mixtera.errors import PlanError, SampleError
from mixtera.registry import format_named
from mixtera.stream.consumer import Consumer
from mixtera.stream.pieces import Piece
from mixtera.stream.readers import Readers

Int64s = npt.NDArray[np.int64]
POINTER_FIELDS: Final = tuple(field.name for field in fields(Pointers))


class Fetcher:
    """Reads pieces. Lives in one process; one thread at a time calls it."""

    def __init__(self, data: PlanData, consumer: Consumer, columns: Sequence[str], cache_bytes: int) -> None:
        self._data = data
        self._sources = to_numpy(data.files.column("source"))
        self._pointers = PointerMap(data)
        self._consumer = consumer
        self._readers = Readers(data, columns, cache_bytes)
        self._names = strings([component.name for component in data.components])
        self._columns = list(columns)

    def fetch(self, pieces: Sequence[Piece]) -> list[pa.RecordBatch]:
        """The reader's own samples of some pieces, one batch per piece: content columns, `component`, `sample`.

        Raises:
            SampleError: A record cannot be read as indexed.
            StorageError: A file is gone, changed or unreadable.
        """
        parts = [self._own(piece) for piece in pieces]
        counts = [len(part.sample) for part in parts]
        found = parts[0] if len(parts) == 1 else joined_pointers(parts)
        samples = self._samples(found) if len(found.sample) else None
        if samples is None:
            return []
        stops = np.cumsum(counts).tolist()
        return [samples.slice(stop - count, count) for stop, count in zip(stops, counts, strict=True)]

    def _own(self, piece: Piece) -> Pointers:
        found = self._pointers.lane(piece.round, piece.lane, piece.first, piece.last)
        own = self._consumer.owns(found.position)
        return found if own.all() else Pointers(*(getattr(found, field)[own] for field in POINTER_FIELDS))

    def _samples(self, found: Pointers) -> pa.RecordBatch:
        distinct, places = distinct_samples(found)
        content = take(self._content(distinct), places)
        component = from_numpy(found.component.astype(np.int32))
        return pa.RecordBatch.from_arrays(
            [
                *(content.column(name) for name in self._columns),
                pa.DictionaryArray.from_arrays(component, self._names),
                from_numpy(found.sample),
            ],
            names=[*self._columns, "component", "sample"],
        )

    def close(self) -> None:
        """Close all files."""
        self._readers.close()

    def _content(self, samples: Samples) -> pa.RecordBatch:
        """The content of samples, which are by file: one read for all files of a source."""
        parts = []
        for source, requests in groupby(samples.requests(), lambda request: int(self._sources[request[0]])):
            read = format_named(self._data.sources[source].format).read
            parts.append(_plain(read(self._readers.opened(requests)), self._columns))
        return parts[0] if len(parts) == 1 else _joined(parts)


@dataclass(frozen=True, slots=True)
class Samples:
    """Distinct samples by file, then row; all arrays of one length."""

    file: Int64s
    row: Int64s
    start: Int64s
    stop: Int64s

    def requests(self) -> Iterator[tuple[int, ReadRequest]]:
        """One request per file."""
        bounds = np.flatnonzero(np.diff(self.file)) + 1
        for low, high in zip([0, *bounds.tolist()], [*bounds.tolist(), len(self.file)], strict=True):
            part = slice(low, high)
            if self.start[low] < 0:
                yield int(self.file[low]), ReadRequest(self.row[part])
            else:
                yield int(self.file[low]), ReadRequest(self.row[part], self.start[part], self.stop[part])


def distinct_samples(found: Pointers) -> tuple[Samples, Int64s]:
    """The distinct samples among some pointers, and for each pointer its place among them.

    A sample stands more than once where a small component begins its next epoch.
    """
    key = found.file << ROW_BITS | found.row
    order = np.argsort(key, kind="stable")
    ascending = key[order]
    new = np.ones(len(order), np.bool_)
    np.not_equal(ascending[1:], ascending[:-1], out=new[1:])
    places = np.empty(len(order), np.int64)
    places[order] = np.cumsum(new) - 1
    first = order[new]
    return Samples(found.file[first], found.row[first], found.start[first], found.stop[first]), places


def joined_pointers(parts: Sequence[Pointers]) -> Pointers:
    """Pointers one after the other."""
    return Pointers(*(np.concatenate([getattr(part, field) for part in parts]) for field in POINTER_FIELDS))


def chosen_columns(data: PlanData, columns: Sequence[str] | None) -> tuple[str, ...]:
    """The content columns to read, checked; all of the plan's if None.

    Raises:
        PlanError: The plan has no such column.
    """
    known = [name for name, _ in data.sources[0].content]
    unknown = [name for name in columns or () if name not in known]
    if unknown:
        raise PlanError(f"plan {data.name!r} has no content column {unknown[0]!r}; it has {', '.join(known)}")
    return tuple(known if columns is None else columns)


def _plain(batch: pa.RecordBatch, columns: Sequence[str]) -> pa.RecordBatch:
    """The columns asked, strings and bytes in their plain Arrow types, so that formats agree."""
    arrays = [batch.column(name) for name in columns]
    return pa.RecordBatch.from_arrays([_plain_array(array) for array in arrays], names=columns)


def _plain_array(array: pa.Array) -> pa.Array:
    if pa.types.is_dictionary(array.type):
        return _plain_array(array.dictionary_decode())
    if pa.types.is_large_string(array.type) or pa.types.is_string_view(array.type):
        return _narrowed(array, pa.string())
    if pa.types.is_large_binary(array.type) or pa.types.is_binary_view(array.type):
        return _narrowed(array, pa.binary())
    return array


def _narrowed(array: pa.Array, wanted: pa.DataType) -> pa.Array:
    """Strings or bytes with 32-bit offsets.

    Raises:
        SampleError: They are more than these reach.
    """
    try:
        return array.cast(wanted)
    except pa.ArrowInvalid as error:
        raise SampleError(
            f"{len(array):,} samples that are read together hold {array.nbytes / 2**30:.1f} GiB, and 2 GiB are the "
            "most: write a smaller `granule` into the spec's `order`, and compile again"
        ) from error


def _joined(parts: list[pa.RecordBatch]) -> pa.RecordBatch:
    schema = parts[0].schema
    for part in parts:
        if not part.schema.equals(schema):
            raise SampleError(
                f"files of this plan hold their content in different types: {_described(schema)} and "
                f"{_described(part.schema)}; make the sources deliver the same type"
            )
    return pa.concat_batches(parts)


def _described(schema: pa.Schema) -> str:
    return ", ".join(f"{field.name} {field.type}" for field in schema)
