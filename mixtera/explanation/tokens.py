"""What is to be said of a plan whose samples become rows of tokens."""

from __future__ import annotations

from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

from mixtera.artifact.model import PlanData, TokenParameters
from mixtera.artifact.pointers import kept_counts
from mixtera.explanation.forecast import SamplePart, TokenPart, TokensSummary
from mixtera.order.fitting import cut

_BLOCK: Final = 1 << 20


def tokens_of(data: PlanData) -> TokensSummary | None:
    """The tokens of a plan; None for a plan of samples."""
    if data.tokens is None:
        return None
    parameters = data.tokens.parameters
    parts: tuple[TokenPart, ...] = ()
    if data.packs:
        documents = documents_of(data).tolist()
        bounds = data.component_entries
        sums = np.concatenate(([0], np.cumsum(data.tokens.entry_counts)))
        tokens = (sums[bounds[1:]] - sums[bounds[:-1]]).tolist()
        parts = tuple(
            TokenPart(component.name, held, count, component.samples, padding)
            for component, held, count, padding, columns in zip(
                data.components, documents, tokens, padding_of(data), data.columns, strict=True
            )
            if not columns
        )
    return TokensSummary(
        tokenizer=parameters.tokenizer,
        fingerprint=parameters.fingerprint,
        vocab_size=parameters.vocab_size,
        sequence_length=parameters.sequence_length,
        row_tokens=parameters.row_tokens,
        packing=parameters.packing,
        overlap=parameters.overlap,
        around=_around(parameters),
        max_document_tokens=parameters.max_document_tokens,
        parts=parts,
        as_samples=tuple(
            SamplePart(component.name, columns, component.samples)
            for component, columns in zip(data.components, data.columns, strict=True)
            if columns
        ),
        group=None if data.blocks is None else data.blocks.size,
    )


def padding_of(data: PlanData) -> list[float | None]:
    """[K] the part of each component's rows that is padding; None where rows are never padded."""
    layout = data.tokens
    if layout is None or not layout.parameters.fits:
        return [None] * len(data.components)
    width, shift = layout.parameters.row_tokens, int(layout.parameters.label_shift)
    entry_first = np.concatenate(([0], np.cumsum(data.entries.column("count").to_numpy(), dtype=np.int64)))
    edges = entry_first[data.component_entries].tolist()
    held = [
        sum(_held(layout.counts[at : min(at + _BLOCK, last)], width, shift) for at in range(first, last, _BLOCK))
        for first, last in pairwise(edges)
    ]
    rows = [component.samples for component in data.components]
    return [1 - tokens / (row * width) if row else 0.0 for tokens, row in zip(held, rows, strict=True)]


def _held(counts: npt.NDArray[np.uint32], width: int, shift: int) -> int:
    """Tokens of rows that some documents take: what two rows of a cut document share is in both."""
    full, rest = cut(counts.astype(np.int64), width, shift)
    return int(full.sum()) * width + int(rest.sum())


def documents_of(data: PlanData) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """[K] samples of each component that are not excluded."""
    component = np.repeat(np.arange(len(data.components)), np.diff(data.component_entries))
    return np.bincount(component, kept_counts(data), len(data.components)).astype(np.int64)


def _around(parameters: TokenParameters) -> str:
    """What stands around a document of text."""
    special = (("bos", parameters.bos), ("eos", parameters.eos))
    told = [f"{name} {token}" for name, token in special if token is not None]
    return ", ".join(told)
