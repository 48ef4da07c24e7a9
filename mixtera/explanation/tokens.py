"""What is to be said of a plan whose samples become rows of tokens."""

from __future__ import annotations

import numpy as np

from mixtera.artifact.model import PlanData, TokenParameters
from mixtera.artifact.pointers import kept_counts
from mixtera.explanation.forecast import TokenPart, TokensSummary


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
            TokenPart(component.name, held, count, component.samples)
            for component, held, count in zip(data.components, documents, tokens, strict=True)
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
    )


def documents_of(data: PlanData) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """[K] samples of each component that are not excluded."""
    component = np.repeat(np.arange(len(data.components)), np.diff(data.component_entries))
    return np.bincount(component, kept_counts(data), len(data.components)).astype(np.int64)


def _around(parameters: TokenParameters) -> str:
    """What stands around a document of text."""
    special = (("bos", parameters.bos), ("eos", parameters.eos))
    told = [f"{name} {token}" for name, token in special if token is not None]
    return ", ".join(told)
