"""Fetch: one piece → one record batch of the reader's own samples, in the order of the plan."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import fields
from functools import partial
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mixtera.arrow import from_numpy, strings, take
from mixtera.artifact.model import ROW_BITS, PlanData
from mixtera.artifact.pointers import PointerMap, Pointers
from mixtera.stream.consumer import Consumer
from mixtera.stream.contents import Contents, Samples
from mixtera.stream.pieces import Piece

Int64s = npt.NDArray[np.int64]
POINTER_FIELDS: Final = tuple(field.name for field in fields(Pointers))


class Fetcher:
    """Reads pieces. Lives in one process; one thread at a time calls it."""

    def __init__(self, data: PlanData, consumer: Consumer, columns: Sequence[str], cache_bytes: int) -> None:
        self._data = data
        self._pointers = PointerMap(data)
        self._consumer = consumer
        self._contents = Contents(data, columns, cache_bytes)
        self._names = strings([component.name for component in data.components])
        self._columns = list(columns)

    def fetch(self, pieces: Sequence[Piece], decoder: Executor | None = None) -> Callable[[], list[pa.RecordBatch]]:
        """Read the reader's own samples of some pieces.

        Args:
            pieces: The pieces.
            decoder: The thread that decodes, one thing after the other; None: this one.

        Returns:
            What gives one batch per piece (content columns, `component`, `sample`), and raises a SampleError where a
            record is not as it was indexed; for the decoder's thread.

        Raises:
            SampleError: A record cannot be read as indexed.
            StorageError: A file is gone, changed or unreadable.
        """
        parts = [self._own(piece) for piece in pieces]
        found = parts[0] if len(parts) == 1 else joined_pointers(parts)
        if not len(found.sample):
            return list
        distinct, places = distinct_samples(found)
        content = self._contents.begun(distinct, decoder)
        return partial(self._finished, content, found, places, [len(part.sample) for part in parts])

    def _own(self, piece: Piece) -> Pointers:
        found = self._pointers.lane(piece.round, piece.lane, piece.first, piece.last)
        own = self._consumer.owns(found.position)
        return found if own.all() else Pointers(*(getattr(found, field)[own] for field in POINTER_FIELDS))

    def _finished(
        self, content: Callable[[], pa.RecordBatch], found: Pointers, places: Int64s, counts: Sequence[int]
    ) -> list[pa.RecordBatch]:
        ordered = take(content(), places)
        component = from_numpy(found.component.astype(np.int32))
        samples = pa.RecordBatch.from_arrays(
            [
                *(ordered.column(name) for name in self._columns),
                pa.DictionaryArray.from_arrays(component, self._names),
                from_numpy(found.sample),
            ],
            names=[*self._columns, "component", "sample"],
        )
        stops = np.cumsum(counts).tolist()
        return [samples.slice(stop - count, count) for stop, count in zip(stops, counts, strict=True)]

    def close(self) -> None:
        """Close all files."""
        self._contents.close()


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
