"""Chosen documents, and parts of documents, of a file of token ids."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa

from mixtera.arrow import from_numpy
from mixtera.contracts.format import ContentColumn, Int64s, ReadRequest
from mixtera.contracts.storage import Expecting, FileInfo, RandomAccess, Storage
from mixtera.errors import SampleError, StorageError
from mixtera.formats.opening import changed
from mixtera.formats.ranges import RangedFile, every_second, scatter
from mixtera.formats.tokenfiles.content import check_content
from mixtera.formats.tokenfiles.ids import DELIVERED, Bytes, Int32s, TokenType, is_narrow, out_of_range


class TokenFileReader:
    """Reads ranges of one file of token ids: a `SampleReader`, a `TokenReader` and a `PlacingReader`.

    Args:
        storage: Where the file lies.
        file: The file.
        content: The content columns; each is the tokens.
        kind: The type that the tokens are stored in.
    """

    def __init__(self, storage: Storage, file: FileInfo, content: Sequence[ContentColumn], kind: TokenType) -> None:
        check_content(content, file)
        self.names = [column.name for column in content]
        self._file = file
        self._kind = kind
        access = storage.random_access(file.url)
        if access.size != file.size:
            access.close()
            raise changed(file, access.size)
        self._access: RandomAccess | None = access
        self._release = weakref.finalize(self, access.close)

    @property
    def token_bytes(self) -> int:
        """Bytes of a token in the file."""
        return self._kind.itemsize

    @property
    def held_bytes(self) -> int:
        """No memory is kept between requests."""
        return 0

    @property
    def spooled_bytes(self) -> int:
        """Nothing is kept on disk."""
        return 0

    def read(self, request: ReadRequest) -> pa.RecordBatch:
        """The tokens of some documents, in the order of the request."""
        return read([(self, request)])

    def expect(self, request: ReadRequest) -> None:
        """Begin to fetch the documents of a request; see `ExpectingReader`."""
        access: object = self._access
        if isinstance(access, Expecting):
            access.expect(request.starts, request.stops)

    def tokens(self, starts: Int64s, stops: Int64s) -> Int32s:
        """The tokens of some ranges of the file's bytes, one range after the other; see `TokenReader.tokens`."""
        access = self._opened(starts, stops)
        if not len(starts):
            return np.empty(0, np.int32)
        values = _gathered(access, starts, stops).view(self._kind)
        wrong = out_of_range(values)
        if wrong is not None:
            raise self._refused(int(values[wrong]), wrong, starts, stops - starts)
        return values.astype(DELIVERED, copy=False)

    def stored_type(self) -> TokenType | None:
        """The type that the tokens are stored in, if every value of it is one; see `PlacingReader`."""
        return self._kind if is_narrow(self._kind) else None

    def place(self, target: Bytes, places: Int64s, starts: Int64s, stops: Int64s) -> None:
        """Read ranges of the file's bytes to their places in memory; see `PlacingReader.place`."""
        access = self._opened(starts, stops)
        if isinstance(access, RangedFile):
            access.read_each(target, places, starts, stops)
        elif len(starts):
            scatter(_gathered(access, starts, stops), target, places, stops - starts)

    def close(self) -> None:
        """Release the file. It may be called twice."""
        self._access = None
        self._release()

    def _opened(self, starts: Int64s, stops: Int64s) -> RandomAccess:
        """The file, for reading some ranges.

        Raises:
            StorageError: It is closed, or a range is none of whole tokens.
        """
        if self._access is None:
            raise StorageError(f"{self._file.url} is closed")
        lengths = stops - starts
        if len(lengths) and (int(lengths.min()) < 0 or bool((lengths % self._kind.itemsize).any())):
            raise StorageError(f"{self._file.url}: a range to be read is no whole number of {self._kind.name} tokens")
        return self._access

    def _refused(self, token: int, place: int, starts: Int64s, lengths: Int64s) -> SampleError:
        """The error for a token that 32 bits do not hold: it names the byte of the file where it stands."""
        edges = np.cumsum(lengths)
        at = place * self._kind.itemsize
        which = int(np.searchsorted(edges, at, side="right"))
        byte = int(starts[which] + at - (edges[which] - lengths[which]))
        return SampleError(
            f"{self._file.url}, byte {byte}: {token} is no token id that 32 bits hold; tokens of this file were taken "
            f"for {self._kind.name}: is that the type it was written with?"
        )


def read(requests: Iterable[tuple[TokenFileReader, ReadRequest]]) -> pa.RecordBatch:
    """The tokens of documents of several files with the same content; see `Format.read`."""
    names: list[str] = []
    parts: list[Int32s] = []
    counts: list[Int64s] = []
    for reader, request in requests:
        names = reader.names
        parts.append(reader.tokens(request.starts, request.stops))
        counts.append((request.stops - request.starts) // reader.token_bytes)
    array = lists(parts[0] if len(parts) == 1 else np.concatenate(parts), np.concatenate(counts))
    return pa.RecordBatch.from_arrays([array] * len(names), names=names)


def lists(values: Int32s, counts: Int64s) -> pa.LargeListArray:
    """Tokens as one list a document, over the memory that they lie in."""
    edges = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=edges[1:])
    buffers = [None, pa.py_buffer(edges)]
    return pa.Array.from_buffers(pa.large_list(pa.int32()), len(counts), buffers, children=[from_numpy(values)])


def _gathered(access: RandomAccess, starts: Int64s, stops: Int64s) -> Bytes:
    """The bytes of some ranges, back to back, in the order given; they may repeat, overlap and go back."""
    if isinstance(access, RangedFile):
        lengths = stops - starts
        data = np.empty(int(lengths.sum()), np.uint8)
        access.read_each(data, np.cumsum(lengths) - lengths, starts, stops)
        return data
    if bool((starts[1:] >= stops[:-1]).all()):
        return _flat(access.gather(starts, stops))
    order = np.argsort(starts, kind="stable")
    first, last = starts[order], np.maximum.accumulate(stops[order])
    heads = np.flatnonzero(np.append(True, first[1:] >= last[:-1]))
    sizes = np.diff(np.append(heads, len(first)))
    union_starts, union_stops = first[heads], last[heads + sizes - 1]
    data = _flat(access.gather(union_starts, union_stops))
    before = np.cumsum(union_stops - union_starts) - (union_stops - union_starts)
    places = np.empty(len(starts), np.int64)
    places[order] = first + np.repeat(before - union_starts, sizes)
    edges = np.full(2 * len(starts) + 2, len(data))  # Arrow wants the last edge to be the largest
    edges[0:-2:2], edges[1:-2:2] = places, places + (stops - starts)
    return _flat(every_second(data, edges))


def _flat(values: pa.LargeBinaryArray) -> Bytes:
    """The bytes of values that stand back to back."""
    _, offsets, data = values.buffers()
    edges = np.frombuffer(offsets, np.int64)[values.offset : values.offset + len(values) + 1]
    if data is None:
        return np.empty(0, np.uint8)
    return np.frombuffer(data, np.uint8)[edges[0] : edges[-1]]
