"""Fetch for plans of tokens: one piece → one record batch of the reader's own rows of tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mixtera.arrow import from_numpy, strings, to_numpy
from mixtera.artifact.model import ROW_BITS, PlanData, TokenLayout, TokenParameters
from mixtera.artifact.pointers import PointerMap, Pointers
from mixtera.artifact.sequences import SequenceMap, Sequences, chosen
from mixtera.contracts.tokenizer import Encoded
from mixtera.errors import SampleError
from mixtera.order.permute import ranked
from mixtera.stream.columns import SEQUENCE_LENGTH
from mixtera.stream.consumer import Consumer
from mixtera.stream.contents import Contents, Samples
from mixtera.stream.fetch import POINTER_FIELDS, joined_pointers
from mixtera.stream.pieces import Piece
from mixtera.stream.tokens import Encoder, OpenDocuments, gathered
from mixtera.tokens.columns import is_tokenized
from mixtera.tokens.template import parse

Int64s = npt.NDArray[np.int64]
Int32s = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class _Documents:
    """Tokens of documents.

    Attributes:
        tokens: [n] int32, of all of them.
        starts: [m] int64, where the document of each piece begins.
        sizes: [m] int64, its tokens.
    """

    tokens: Int32s
    starts: Int64s
    sizes: Int64s


class SequenceFetcher:
    """Reads pieces as rows of tokens. Lives in one process; one thread at a time calls it.

    Columns: `tokens` (fixed-size list of int32), `document_starts` (list of int32: where each document, or part of
    one, begins in the row), `component` (dictionary), `sample` (list of int64: the documents of the row); where rows
    are padded also `length` (int32: tokens before the padding).
    """

    def __init__(self, data: PlanData, layout: TokenLayout, consumer: Consumer, cache_bytes: int) -> None:
        self._data, self._consumer = data, consumer
        self._parameters = layout.parameters
        self._pointers = PointerMap(data)
        self._sequences = SequenceMap(data, self._pointers) if layout.packs else None
        self._contents = Contents(data, text_columns(data, layout.parameters), cache_bytes)
        self._encoder = Encoder(layout.parameters)
        self._names = strings([component.name for component in data.components])
        self._open = OpenDocuments()
        tokenized = [is_tokenized(source.format) for source in data.sources]
        self._tokenized = np.array(tokenized, np.bool_)[to_numpy(data.files.column("source")).astype(np.int64)]

    def fetch(self, pieces: Sequence[Piece]) -> list[pa.RecordBatch]:
        """The reader's own rows of some pieces, one batch per piece.

        Raises:
            SampleError: A record cannot be read as indexed, or has other tokens than were counted.
            StorageError: A file is gone, changed or unreadable.
            TokenizerError: A record is no text.
        """
        parts = [own_sequences(self._pointers, self._sequences, self._parameters, self._consumer, p) for p in pieces]
        sizes = [len(part.position) for part in parts]
        if not sum(sizes):
            return []
        rows = self.rows(joined(parts))
        stops = np.cumsum(sizes).tolist()
        return [rows.slice(stop - size, size) for stop, size in zip(stops, sizes, strict=True)]

    def close(self) -> None:
        """Close all files."""
        self._contents.close()

    def rows(self, found: Sequences) -> pa.RecordBatch:
        """The rows of some positions, whose components are all delivered as tokens; raises as `fetch` does."""
        tokens, sizes = self._parts(found)
        width = self._parameters.row_tokens
        column, more = self._filled(tokens, sizes, found)
        pieces = np.bincount(found.sequence, minlength=len(found.position))
        edges = np.zeros(len(pieces) + 1, np.int32)
        np.cumsum(pieces, out=edges[1:])
        before = np.cumsum(sizes) - sizes
        starts = before - before[edges[:-1]][found.sequence] if len(before) else before
        columns = {
            "tokens": pa.FixedSizeListArray.from_arrays(from_numpy(column), width),
            "document_starts": _lists(edges, starts.astype(np.int32)),
            "component": pa.DictionaryArray.from_arrays(from_numpy(found.component.astype(np.int32)), self._names),
            "sample": _lists(edges, found.documents.sample),
            **more,
        }
        length = {SEQUENCE_LENGTH: str(self._parameters.sequence_length)}
        fields = [pa.field(name, array.type) for name, array in columns.items()]
        schema = pa.schema([fields[0].with_metadata(length), *fields[1:]])
        return pa.RecordBatch.from_arrays(list(columns.values()), schema=schema)

    def _parts(self, found: Sequences) -> tuple[Int32s, Int64s]:
        """The tokens of all pieces, one after the other, and how many each has."""
        ready = self._tokenized[found.documents.file]
        if ready.all():
            return self._ready(found)
        if not ready.any():
            return self._encoded_parts(found)
        ready_tokens, ready_sizes = self._ready(pieces_of(found, ready))
        new_tokens, new_sizes = self._encoded_parts(pieces_of(found, ~ready))
        sizes, starts = (np.empty(len(ready), np.int64) for _ in range(2))
        sizes[ready], sizes[~ready] = ready_sizes, new_sizes
        starts[ready] = np.cumsum(ready_sizes) - ready_sizes
        starts[~ready] = len(ready_tokens) + np.cumsum(new_sizes) - new_sizes
        return gathered(np.concatenate([ready_tokens, new_tokens]), starts, starts + sizes), sizes

    def _ready(self, found: Sequences) -> tuple[Int32s, Int64s]:
        """Pieces of documents that lie as tokens: no more is read than the pieces."""
        file, at = found.documents.file, found.documents
        whole = self._contents.sizes_in_tokens(file, at.stop - at.start)
        longest = self._parameters.max_document_tokens
        whole = whole if longest is None else np.minimum(whole, longest)
        if self._sequences is not None:
            self._check(found, np.arange(len(file)), whole)
        last = np.minimum(found.last, whole)
        sizes = last - found.first
        return self._contents.tokens(file, at.start, found.first, last), sizes

    def _encoded_parts(self, found: Sequences) -> tuple[Int32s, Int64s]:
        """Pieces of documents that are texts."""
        documents = self._documents(found)
        last = np.minimum(found.last, documents.sizes)
        tokens = gathered(documents.tokens, documents.starts + found.first, documents.starts + last)
        return tokens, last - found.first

    def _filled(self, tokens: Int32s, sizes: Int64s, found: Sequences) -> tuple[Int32s, dict[str, pa.Array]]:
        """Tokens of whole rows, and what is to be said of the padding."""
        if self._parameters.packing == "concat":
            return tokens, {}
        width, rows = self._parameters.row_tokens, len(found.position)
        length = np.bincount(found.sequence, sizes, rows).astype(np.int64)
        padded = np.full(rows * width, self._parameters.pad, np.int32)
        padded.reshape(rows, width)[np.arange(width) < length[:, None]] = tokens  # a tenth of the time of indices
        return padded, {"length": from_numpy(length.astype(np.int32))}

    def _documents(self, found: Sequences) -> _Documents:
        """The tokens of the documents of some pieces, each read once."""
        place = found.documents.file << ROW_BITS | found.documents.row
        distinct, which = ranked(place)
        first = np.empty(len(distinct), np.int64)
        first[which[::-1]] = np.arange(len(which))[::-1]
        kept = np.array([one in self._open for one in distinct.tolist()], np.bool_)
        fresh = np.flatnonzero(~kept)
        encoded = self._encoded(found, first[fresh])
        starts, sizes = (np.zeros(len(distinct), np.int64) for _ in range(2))
        starts[fresh], sizes[fresh] = encoded.offsets[:-1], np.diff(encoded.offsets)
        parts, end = [encoded.tokens], len(encoded.tokens)
        for number in np.flatnonzero(kept).tolist():
            parts.append(self._open.take(int(distinct[number])))
            starts[number], sizes[number] = end, len(parts[-1])
            end += len(parts[-1])
        tokens = parts[0] if len(parts) == 1 else np.concatenate(parts)
        if self._sequences is not None:
            self._keep(distinct, _reach(found.last, which, len(distinct)), tokens, starts, sizes)
        return _Documents(tokens, starts[which], sizes[which])

    def _keep(self, distinct: Int64s, reach: Int64s, tokens: Int32s, starts: Int64s, sizes: Int64s) -> None:
        """Keep the documents that go on behind these pieces."""
        for number in np.flatnonzero(reach < sizes).tolist():
            first = int(starts[number])
            self._open.keep(int(distinct[number]), tokens[first : first + int(sizes[number])].copy())

    def _encoded(self, found: Sequences, pieces: Int64s) -> Encoded:
        """The documents of some pieces, read and encoded.

        Raises:
            SampleError: One has other tokens than were counted.
        """
        if not len(pieces):
            return Encoded(np.empty(0, np.int32), np.zeros(1, np.int64))
        at = found.documents
        content = self._contents.of(Samples(at.file[pieces], at.row[pieces], at.start[pieces], at.stop[pieces]))
        encoded = self._encoder.encode(content)
        if self._sequences is not None:
            self._check(found, pieces, np.diff(encoded.offsets))
        return encoded

    def _check(self, found: Sequences, pieces: Int64s, sizes: Int64s) -> None:
        wrong = np.flatnonzero(found.count[pieces] != sizes)
        if not len(wrong):
            return
        piece = pieces[wrong[0]]
        file, row = int(found.documents.file[piece]), int(found.documents.row[piece])
        source = self._data.sources[self._data.files.column("source")[file].as_py()].name
        name = self._parameters.tokenizer
        raise SampleError(
            f"{source}/{self._data.files.column('name')[file].as_py()}#{row} has {sizes[wrong[0]]:,} tokens, and "
            f"{found.count[piece]:,} were counted: its text, or the tokenizer {name}, is not what "
            "it was; run `mixtera index` and compile again"
        )


def own_sequences(
    pointers: PointerMap,
    sequences: SequenceMap | None,
    parameters: TokenParameters,
    consumer: Consumer,
    piece: Piece,
) -> Sequences:
    """What the reader's own positions of a piece consist of.

    Args:
        pointers: The plan's pointers.
        sequences: What finds the documents of packed sequences; None where a row is a document.
        parameters: How samples become rows.
        consumer: The reader.
        piece: The piece.
    """
    where = piece.round, piece.lane, piece.first, piece.last
    found = _alone(pointers.lane(*where), parameters.row_tokens) if sequences is None else sequences.lane(*where)
    own = consumer.owns(found.position)
    return found if own.all() else chosen(found, own)


def text_columns(data: PlanData, parameters: TokenParameters) -> list[str]:
    """The content columns that the text of a document is made of."""
    if parameters.template is None:
        return [name for name, _ in data.sources[0].content]
    return list(dict.fromkeys(parse(parameters.template).fields))


def _reach(last: Int64s, which: Int64s, number: int) -> Int64s:
    """[number] how far the pieces of each document go."""
    reach = np.zeros(number, np.int64)
    np.maximum.at(reach, which, last)
    return reach


def _alone(found: Pointers, width: int) -> Sequences:
    """Rows of one document each."""
    count = len(found.sample)
    rows, zeros = np.arange(count), np.zeros(count, np.int64)
    return Sequences(found.position, found.component, rows, found, zeros, zeros + width, zeros - 1)


def joined(parts: Sequence[Sequences]) -> Sequences:
    """Sequences one after the other."""
    if len(parts) == 1:
        return parts[0]
    sizes = [len(part.position) for part in parts]
    before = np.cumsum(sizes) - sizes
    names = ("position", "component", "first", "last", "count")
    columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    sequence = np.concatenate([part.sequence + first for part, first in zip(parts, before.tolist(), strict=True)])
    return Sequences(sequence=sequence, documents=joined_pointers([part.documents for part in parts]), **columns)


def pieces_of(found: Sequences, mask: npt.NDArray[np.bool_]) -> Sequences:
    """Some of the pieces, of the same positions."""
    documents = Pointers(*(getattr(found.documents, name)[mask] for name in POINTER_FIELDS))
    columns = (getattr(found, name)[mask] for name in ("first", "last", "count"))
    return Sequences(found.position, found.component, found.sequence[mask], documents, *columns)


def _lists(edges: npt.NDArray[np.int32], values: npt.NDArray[np.integer]) -> pa.ListArray:
    return pa.ListArray.from_arrays(from_numpy(edges), from_numpy(values))
