"""Fetch: one piece → one record batch of the reader's own samples, in the order of the plan."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass, fields
from functools import partial
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mixtera.arrow import from_numpy, strings, take, to_numpy
from mixtera.artifact.model import PlanData
from mixtera.artifact.pointers import PointerMap, Pointers
from mixtera.errors import SampleError, StorageError
from mixtera.stream.consumer import Consumer
from mixtera.stream.contents import Contents, Samples, distinct_samples
from mixtera.stream.machine import ranks_here
from mixtera.stream.pieces import Piece
from mixtera.stream.skips import Mender, Skips
from mixtera.stream.stretches import Stretches

Int64s = npt.NDArray[np.int64]
_PACKED: Final = re.compile(r"\.(gz|bz2|xz|lz4|zst)(::|$)", re.IGNORECASE)
POINTER_FIELDS: Final = tuple(field.name for field in fields(Pointers))


@dataclass(frozen=True, slots=True)
class Wanted:
    """A reader's own samples of some pieces.

    Attributes:
        counts: How many each piece has.
        found: Where they lie, in the order of the plan.
        distinct: The distinct ones, by file.
        places: For each of `found`, its place among these.
    """

    counts: list[int]
    found: Pointers
    distinct: Samples
    places: Int64s


class Fetcher:
    """Reads pieces. Lives in one process; one thread at a time calls it."""

    def __init__(
        self,
        data: PlanData,
        consumer: Consumer,
        columns: Sequence[str],
        cache_bytes: int,
        skips: Skips | None = None,
    ) -> None:
        self._data = data
        self._mender = None if skips is None or not skips.most else Mender(data, columns, skips)
        self._pointers = PointerMap(data)
        self._consumer = consumer
        stretches = Stretches(data, consumer, ranks_here(consumer.world_size))
        self._contents = Contents(data, columns, cache_bytes, stretches)
        self._names = strings([component.name for component in data.components])
        self._columns = list(columns)
        self.delivered_bytes = 0.0
        self._file_bytes, self._packed = mean_record_bytes(data), PackedFiles(data)
        self._expected: dict[tuple[Piece, ...], Wanted] = {}

    @property
    def is_far(self) -> bool:
        """Whether a source lies where many requests at a time are served better than one after the other."""
        return self._contents.is_far

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
        announced = self._expected.pop(tuple(pieces), None)
        wanted = announced or self._find(pieces)
        self.delivered_bytes += stored_bytes(wanted.found, self._file_bytes, self._packed.among(wanted.found.file))
        if not len(wanted.found.sample):
            return list
        content = self._begun(wanted.distinct, decoder, announced is not None)
        return partial(self._finished, content, wanted.found, wanted.places, wanted.counts)

    def expect(self, pieces: Sequence[Piece]) -> None:
        """Begin to fetch pieces that will be read soon, where a storage does so in the meantime.

        Raises:
            StorageError: A file is gone or changed.
        """
        if self._contents.is_far and tuple(pieces) not in self._expected:
            wanted = self._found_ahead(pieces)
            if len(wanted.found.sample):
                self._contents.expect(wanted.distinct)

    def unpack(self, pieces: Sequence[Piece], unpacker: Executor) -> None:
        """Let another thread decompress what pieces need that will be read soon; harmless if they are not.

        Args:
            pieces: The pieces.
            unpacker: The thread, which does one thing after the other.
        """
        if not self._contents.is_framed:
            return
        wanted = self._found_ahead(pieces)
        if len(wanted.found.sample):
            with suppress(StorageError):  # raised again by whoever reads them, after what comes before
                self._contents.unpack(wanted.distinct, unpacker)

    def _found_ahead(self, pieces: Sequence[Piece]) -> Wanted:
        """What pieces need that `fetch` will be asked for; found once."""
        key = tuple(pieces)
        if key not in self._expected:
            self._expected[key] = self._find(pieces)
        return self._expected[key]

    def _begun(self, samples: Samples, decoder: Executor | None, expected: bool) -> Callable[[], pa.RecordBatch]:
        try:
            return self._contents.begun(samples, decoder, expected=expected)
        except SampleError as error:
            if self._mender is None:
                raise
            return partial(_raised, error)

    def _find(self, pieces: Sequence[Piece]) -> Wanted:
        """The reader's own samples of some pieces."""
        parts = [self._own(piece) for piece in pieces]
        found = parts[0] if len(parts) == 1 else joined_pointers(parts)
        return Wanted([len(part.sample) for part in parts], found, *distinct_samples(found))

    def _own(self, piece: Piece) -> Pointers:
        found = self._pointers.lane(piece.round, piece.lane, piece.first, piece.last)
        own = self._consumer.owns(found.position)
        return found if own.all() else Pointers(*(getattr(found, field)[own] for field in POINTER_FIELDS))

    def _finished(
        self, content: Callable[[], pa.RecordBatch], found: Pointers, places: Int64s, counts: Sequence[int]
    ) -> list[pa.RecordBatch]:
        try:
            ordered = take(content(), places)
        except SampleError as error:
            if self._mender is None:
                raise
            found, ordered = self._mender.mended(found, error)
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
        if self._mender is not None:
            self._mender.close()


def _raised(error: SampleError) -> pa.RecordBatch:
    raise error


def mean_record_bytes(data: PlanData) -> npt.NDArray[np.float64]:
    """[F] bytes of a record as it lies in each file, on average."""
    size, rows = (to_numpy(data.files.column(name)).astype(np.float64) for name in ("size", "rows"))
    mean: npt.NDArray[np.float64] = size / np.maximum(rows, 1)
    return mean


class PackedFiles:
    """Which files are compressed as a whole: then the places of their records are those of a decompressed copy.

    Names are looked at when their files are first read: a plan may have millions of them.
    """

    def __init__(self, data: PlanData) -> None:
        self._urls = data.files.column("url")
        self._known = np.full(len(data.files), -1, np.int8)
        self._known[to_numpy(data.frames.column("file"))] = True

    def among(self, files: Int64s) -> npt.NDArray[np.bool_]:
        """[n] whether each of some files is."""
        for file in np.unique(files[self._known[files] < 0]).tolist():
            self._known[file] = _PACKED.search(self._urls[file].as_py()) is not None
        return self._known[files] > 0


def stored_bytes(found: Pointers, file_bytes: npt.NDArray[np.float64], is_packed: npt.NDArray[np.bool_]) -> float:
    """Bytes of samples as they lie in their files; the mean of the file where they have no place of their own."""
    has_no_place = (found.start < 0) | is_packed
    return float(np.where(has_no_place, file_bytes[found.file], found.stop - found.start).sum())


def joined_pointers(parts: Sequence[Pointers]) -> Pointers:
    """Pointers one after the other."""
    return Pointers(*(np.concatenate([getattr(part, field) for part in parts]) for field in POINTER_FIELDS))
