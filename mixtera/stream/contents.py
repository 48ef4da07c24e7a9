"""Contents: samples of a plan, wherever they lie → their content columns, in the plain types of Arrow."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from itertools import groupby, pairwise
from typing import Any, Final, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mixtera.arrow import pooled, to_numpy
from mixtera.artifact.model import ROW_BITS, PlanData
from mixtera.artifact.pointers import Pointers
from mixtera.contracts.format import PlacingReader, ReadRequest, Staged, TokenReader
from mixtera.errors import PlanError, SampleError
from mixtera.formats.ranges import scatter
from mixtera.registry import format_named
from mixtera.stream.readers import Readers
from mixtera.stream.stretches import Stretches

Int64s = npt.NDArray[np.int64]
Int32s = npt.NDArray[np.int32]

WIDENED_TOKENS: Final = 4096
"""Tokens that are made wider at a time, at least."""


@dataclass(frozen=True, slots=True)
class Samples:
    """Distinct samples by file, then row; all arrays of one length."""

    file: Int64s
    row: Int64s
    start: Int64s
    stop: Int64s

    def part(self, first: int, last: int) -> Samples:
        """Those of the places [first, last)."""
        return Samples(*(getattr(self, name)[first:last] for name in ("file", "row", "start", "stop")))

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


class Contents:
    """Reads content. Lives in one process; one thread at a time calls it."""

    def __init__(
        self, data: PlanData, columns: Sequence[str], cache_bytes: int, stretches: Stretches | None = None
    ) -> None:
        self._data, self._columns = data, list(columns)
        self._sources = to_numpy(data.files.column("source"))
        self._readers = Readers(data, columns, cache_bytes, stretches)
        self._token_types: dict[int, tuple[int, np.dtype[np.integer] | None]] = {}
        firsts = [0, *(np.flatnonzero(np.diff(self._sources)) + 1).tolist()] if len(self._sources) else []
        self.is_far = any(map(self._readers.is_far, firsts))
        self.is_framed = bool(len(data.frames))

    def of(self, samples: Samples, expected: bool = False) -> pa.RecordBatch:
        """The content of samples, which are by file: one read for all files of a source.

        Args:
            samples: The samples.
            expected: Whether `expect` was told of them.

        Raises:
            SampleError: A record cannot be read as indexed.
            StorageError: A file is gone, changed or unreadable.
        """
        return self.begun(samples, None, expected=expected)()

    def begun(
        self, samples: Samples, decoder: Executor | None, *, expected: bool = False
    ) -> Callable[[], pa.RecordBatch]:
        """Read samples as `of` does, and leave to a decoder what formats can leave to it.

        Args:
            samples: The samples.
            decoder: One thread, which does one thing after the other; None: decode here.
            expected: Whether they were announced before.

        Returns:
            What gives the content, and raises what is found out by decoding; for the decoder's thread.
        """
        if self.is_far and not expected:
            self.expect(samples)
        parts = []
        for source, requests in groupby(samples.requests(), lambda request: int(self._sources[request[0]])):
            plugin, opened = format_named(self._data.sources[source].format), self._readers.opened(requests)
            if decoder is not None and isinstance(plugin, Staged):
                parts.append(plugin.load(opened, decoder))
            else:
                parts.append(partial(_same, plugin.read(opened)))
        return partial(_finished, parts, self._columns)

    def expect(self, samples: Samples) -> None:
        """Begin to fetch what `of` will read, where a storage does so in the meantime.

        Raises:
            StorageError: A file is gone or changed.
        """
        self._readers.expect(samples.requests())

    def unpack(self, samples: Samples, unpacker: Executor) -> None:
        """Let another thread decompress what `of` will read, where it lies in frames of near files.

        Raises:
            StorageError: A file cannot be read.
        """
        self._readers.unpack(samples.requests(), unpacker)

    def tokens(self, file: Int64s, document: Int64s, first: Int64s, last: Int64s) -> Int32s:
        """Parts of documents of files of tokens, one after the other.

        Args:
            file: [n] index of the file of each part.
            document: [n] first byte of the part's document.
            first: [n] tokens of the document before the part.
            last: [n] tokens of the document up to the part's end.

        Raises:
            SampleError: A token has no place in 32 bits.
            StorageError: A file is gone, changed or unreadable.
        """
        sizes = last - first
        before = np.cumsum(sizes) - sizes
        groups = _by_file(file)
        kinds = {self._stored(one)[1] for one, _ in groups}
        kind = (kinds.pop() if len(kinds) == 1 else None) or np.dtype(np.int32)
        tokens = pooled(4 * int(sizes.sum())).view(np.int32)
        target, places = tokens.view(np.uint8)[len(tokens) * (4 - kind.itemsize) :], before * kind.itemsize
        for one, part in groups:
            reader, (width, stored) = self._readers.get(one), self._stored(one)
            starts, stops = (document[part] + edges[part] * width for edges in (first, last))
            if stored == kind:
                cast(PlacingReader, reader).place(target, places[part], starts, stops)
            else:
                found = cast(TokenReader, reader).tokens(starts, stops)
                scatter(found.view(np.uint8), target, places[part], sizes[part] * kind.itemsize)
            self._readers.trim()
        _widen(tokens, target.view(kind))
        return tokens

    def sizes_in_tokens(self, file: Int64s, bytes_: Int64s) -> Int64s:
        """[n] tokens of documents of files of tokens; arguments are the index of the file and the document's bytes."""
        widths = np.zeros(int(file.max(initial=0)) + 1, np.int64)
        for one in np.flatnonzero(np.bincount(file)).tolist():
            widths[one] = self._stored(one)[0]
        return bytes_ // widths[file]

    def _stored(self, file: int) -> tuple[int, np.dtype[np.integer] | None]:
        """Bytes of a token in a file of tokens, and its type if the reader can place it; asked once of each file.

        To ask what a reader can do takes as long as 50 reads.
        """
        found = self._token_types.get(file)
        if found is None:
            reader = self._readers.get(file)
            kind = reader.stored_type() if isinstance(reader, PlacingReader) else None
            found = self._token_types[file] = cast(TokenReader, reader).token_bytes, kind
        return found

    def close(self) -> None:
        """Close all files."""
        self._readers.close()


def _widen(tokens: Int32s, stored: npt.NDArray[np.integer[Any]]) -> None:
    """Make tokens 32 bits wide that lie, narrower, in the end of the memory that they shall fill.

    What is written at a time ends before what is still to be read, so nothing is copied twice; of the last few thousand
    numpy makes a copy.
    """
    done, free = 0, 4 - stored.itemsize
    while free and done < len(tokens):
        stop = min(len(tokens), done + max((len(tokens) - done) * free // 4, WIDENED_TOKENS))
        tokens[done:stop] = stored[done:stop]
        done = stop


def _by_file(file: Int64s) -> list[tuple[int, Int64s | slice]]:
    """The files, and which of some things are of each."""
    if not len(file):
        return []
    if (file == file[0]).all():
        return [(int(file[0]), slice(None))]
    order = np.argsort(file, kind="stable")
    ascending = file[order]
    edges = [0, *(np.flatnonzero(np.diff(ascending)) + 1).tolist(), len(file)]
    return [(int(ascending[first]), order[first:last]) for first, last in pairwise(edges)]


def _same(batch: pa.RecordBatch) -> pa.RecordBatch:
    return batch


def _finished(parts: Sequence[Callable[[], pa.RecordBatch]], columns: Sequence[str]) -> pa.RecordBatch:
    batches = [_plain(part(), columns) for part in parts]
    return batches[0] if len(batches) == 1 else _joined(batches)


def chosen_columns(data: PlanData, columns: Sequence[str] | None) -> tuple[str, ...]:
    """The content columns to read, checked; all of the plan's if None.

    Raises:
        PlanError: The plan has no such column.
    """
    delivered = dict.fromkeys(name for columns_ in data.columns for name in columns_)
    known = list(delivered) if delivered else [name for name, _ in data.sources[0].content]
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
