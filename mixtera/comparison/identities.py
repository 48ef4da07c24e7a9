"""What tells the deliveries of two plans apart, as one number a position.

A sample is told by its file, among those of both plans, and its row. A row of tokens is told by a hash of all its
parts, document and tokens, and of what makes tokens of a document: where only the cut or the tokenizer differs, so does
the number. Two different rows have the same one in 2^64 cases once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mixtera.artifact.model import ROW_BITS, TokenParameters
from mixtera.order.keys import UInt64s, keys, text_keys
from mixtera.order.seats import Int64s
from mixtera.plan import Plan
from mixtera.tokens.columns import is_tokenized

Bools = npt.NDArray[np.bool_]

_SAMPLES = np.uint64(0)
"""What the keys of samples are made of that are delivered as they are."""


@dataclass(frozen=True)
class Identities:
    """What some positions deliver.

    Attributes:
        value: [n] uint64, equal where the same is delivered.
        changed: [n] whether a file of it has another content now.
    """

    value: UInt64s
    changed: Bools

    def first_changed(self, stop: int) -> int | None:
        """The first of the positions before `stop` whose file has changed, counted from the first."""
        found = np.flatnonzero(self.changed[:stop])
        return int(found[0]) if len(found) else None


def identities(plan: Plan, which: Int64s, changed: Bools, first: int, last: int) -> Identities:
    """What the positions [first, last) deliver.

    Args:
        plan: The plan.
        which: [files of the plan] their numbers among those of both plans.
        changed: [files of both plans] whether the content is another.
        first: The first position.
        last: That after the last.
    """
    if plan.data.packs:
        return _of_sequences(plan, which, changed, first - plan.start, last - plan.start)
    found = plan.pointers.range(first - plan.start, last - plan.start)
    sample = keys(_made_of(plan)[found.file], which[found.file] << ROW_BITS | found.row)
    return Identities(sample, changed[which[found.file]])


def _of_sequences(plan: Plan, which: Int64s, changed: Bools, first: int, last: int) -> Identities:
    found = plan.sequences.range(first, last)
    file = found.documents.file
    piece = keys(_made_of(plan)[file], which[file] << ROW_BITS | found.documents.row)
    heads = np.searchsorted(found.sequence, np.arange(len(found.position)))
    ordinal = np.arange(len(piece)) - heads[found.sequence]
    for part in (found.first, found.last, ordinal):
        piece = keys(piece, part)
    # pieces are told by their place in the row too, so a sum loses nothing
    value: UInt64s = np.add.reduceat(piece, heads) if len(heads) else piece
    touched = np.logical_or.reduceat(changed[which[file]], heads) if len(heads) else changed[:0]
    return Identities(value, touched)


def _made_of(plan: Plan) -> UInt64s:
    """[files] what makes of a document what is delivered, as the beginning of a key."""
    tokens = plan.data.tokens
    if tokens is None:
        return np.full(plan.data.files.num_rows, _SAMPLES)
    ready = [is_tokenized(source.format) for source in plan.data.sources]
    found = _texts([_told(tokens.parameters, one) for one in ready])
    of_source: UInt64s = found[plan.data.files.column("source").to_numpy()]
    return of_source


def _told(parameters: TokenParameters, ready: bool) -> str:
    """What makes tokens of the documents of a source; of those that are tokens already, only the cut."""
    p = parameters
    made = () if ready else (p.fingerprint, p.bos, p.eos, p.template)
    padded = () if p.packing == "concat" else (p.packing, p.pad)
    longest = p.max_document_tokens if p.packing == "none" else None  # else parts tell it
    return repr((p.row_tokens, *padded, longest, *made))


def _texts(texts: Sequence[str]) -> UInt64s:
    encoded = [text.encode() for text in texts]
    edges = np.cumsum([0, *map(len, encoded)])
    return text_keys(np.uint64(1), edges, np.frombuffer(b"".join(encoded), np.uint8))
