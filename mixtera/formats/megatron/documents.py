"""The documents of a Megatron dataset, out of its index."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mixtera.arrow import from_numpy
from mixtera.contracts.format import Int64s
from mixtera.contracts.storage import FileInfo
from mixtera.errors import SampleError
from mixtera.formats.megatron.index import MegatronIndex
from mixtera.formats.tokenfiles.content import TOKENS
from mixtera.formats.tokenfiles.scan import PIECE_ROWS, Documents, TokenFile

DOCUMENTS, SEQUENCES, MODE = "documents", "sequences", "mode"
KNOWN: Final = (TOKENS, SEQUENCES, MODE)


def token_file(index: MegatronIndex, file: FileInfo, rows: str) -> TokenFile:
    """What the index says of a `.bin` file.

    Args:
        index: The index.
        file: The `.bin` file.
        rows: What a row is: `documents` or `sequences`.

    Raises:
        SampleError: It and the file do not belong together.
    """
    width = index.kind.itemsize
    first_byte = int(index.pointers(0, 1)[0]) if index.sequences else 0
    if not 0 <= first_byte <= file.size or (file.size - first_byte) % width:
        raise SampleError(
            f"{file.url}: its {file.size:,} bytes from byte {first_byte:,} on are no whole number of "
            f"{index.kind.name} tokens, by {index.url}: the two do not belong together, or one of them is cut short"
        )
    found = _documents(index) if rows == DOCUMENTS else _sequences(index)
    tokens = (file.size - first_byte) // width
    return TokenFile(index.kind, first_byte, tokens, _pieces(index, found, first_byte), index.url)


def _documents(index: MegatronIndex) -> Iterator[Int64s]:
    """The edges of documents, counted in sequences; each piece begins with the edge that the last one ended with."""
    last = 0
    if not index.document_ends or int(index.ends(0, 1)[0]) != 0:
        raise SampleError(f"{index.url}: its list of document ends does not begin with 0: it is damaged")
    for first in range(0, index.document_ends - 1, PIECE_ROWS):
        edges = index.ends(first, min(first + PIECE_ROWS + 1, index.document_ends))
        if bool((edges[1:] < edges[:-1]).any()) or int(edges[-1]) > index.sequences:
            place = int(np.flatnonzero((edges[1:] < edges[:-1]) | (edges[1:] > index.sequences))[0])
            raise SampleError(
                f"{index.url}: document {first + place:,} has the sequences from {edges[place]:,} to "
                f"{edges[place + 1]:,}, of {index.sequences:,}: it is damaged"
            )
        yield edges
        last = int(edges[-1])
    if last != index.sequences:
        raise SampleError(
            f"{index.url}: {index.sequences - last:,} of {index.sequences:,} sequences belong to no document: it was "
            "written without `end_document`; write `format: {name: megatron, rows: sequences}` to read each sequence "
            "as a document"
        )


def _sequences(index: MegatronIndex) -> Iterator[Int64s]:
    for first in range(0, index.sequences, PIECE_ROWS):
        yield np.arange(first, min(first + PIECE_ROWS, index.sequences) + 1)


def _pieces(index: MegatronIndex, found: Iterator[Int64s], first_byte: int) -> Iterator[Documents]:
    """Documents by their edges in sequences."""
    before = 0
    for edges in found:
        low, high = int(edges[0]), int(edges[-1])
        lengths = index.lengths(low, high)
        if len(lengths) and int(lengths.min()) < 0:
            place = int(np.flatnonzero(lengths < 0)[0])
            raise SampleError(f"{index.url}: sequence {low + place:,} has {lengths[place]:,} tokens: it is damaged")
        ends = np.concatenate([[before], before + np.cumsum(lengths)])
        _check_places(index, low, first_byte + ends[:-1] * index.kind.itemsize)
        more = {SEQUENCES: from_numpy(np.diff(edges))}
        modes = index.modes(low, high)
        if modes is not None:
            more[MODE] = _common(modes, edges - low)
        yield Documents(ends[edges[1:] - low], more)
        before = int(ends[-1])


def _check_places(index: MegatronIndex, first: int, expected: Int64s) -> None:
    """Check that sequences lie back to back, as Megatron writes them.

    Raises:
        SampleError: One does not.
    """
    places = index.pointers(first, first + len(expected))
    wrong = np.flatnonzero(places != expected)
    if len(wrong):
        place = int(wrong[0])
        what = "overlaps" if places[place] < expected[place] else "leaves a gap behind"
        raise SampleError(
            f"{index.url}: sequence {first + place:,} begins at byte {places[place]:,} and {what} the one before it, "
            f"which ends at byte {expected[place]:,}: only sequences that lie back to back can be read"
        )


def _common(modes: Int64s, edges: Int64s) -> pa.Array:
    """The mode of the sequences of each document; NULL where they differ, or there are none."""
    changes = np.concatenate([[0], np.cumsum(modes[1:] != modes[:-1])]) if len(modes) else np.zeros(1, np.int64)
    first, last = edges[:-1], np.maximum(edges[1:] - 1, edges[:-1])
    inside: npt.NDArray[np.bool_] = edges[1:] > edges[:-1]
    places = [np.minimum(at, max(0, len(modes) - 1)) for at in (first, last)]
    same = inside & (changes[places[0]] == changes[places[1]])
    values = modes[places[0]] if len(modes) else np.zeros(len(first), np.int64)
    return pa.array(values, pa.int64(), mask=~same)
