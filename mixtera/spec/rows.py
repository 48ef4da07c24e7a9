"""How samples become rows of tokens, as a spec says it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from mixtera.spec.properties import Place

Packing: TypeAlias = Literal["concat", "best_fit", "none"]
SpecialToken: TypeAlias = bool | int | str
"""Whether documents get it, or which one: its id, or its text in the vocabulary."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """How samples become sequences of tokens (DESIGN 2.4.7).

    Attributes:
        tokenizer: As it is written: a file, a directory, a hub name, `bytes`, `tiktoken:NAME`.
        base: The file that it is written in: a relative path is meant from there.
        sequence_length: Tokens of a sequence that a model predicts (T).
        packing: `concat`: one stream of tokens per component, cut into sequences. `best_fit`: whole documents, padded.
            `none`: a document a row, cut or padded.
        bos: What stands before each document.
        eos: What stands after each document.
        label_shift: Whether a sequence has one more token, so that inputs and labels are the same tokens, shifted.
        overlap: Tokens that a sequence of `concat` shares with the one before it.
        max_document_tokens: Longer documents are cut there; None: none is.
        template: How content columns become one text; None: there is one column, and it is the text.
        place: Where it stands.
        encoder: What encodes with a tokenizer.json, by the name of its package; None: the one of Hugging Face.
    """

    tokenizer: str
    base: str
    sequence_length: int
    packing: Packing
    bos: SpecialToken
    eos: SpecialToken
    label_shift: bool
    overlap: int
    max_document_tokens: int | None
    template: str | None
    place: Place
    encoder: str | None = None

    @property
    def row_tokens(self) -> int:
        """Tokens of a delivered sequence: T, and one more with `label_shift`."""
        return self.sequence_length + self.label_shift

    @property
    def packs(self) -> bool:
        """Whether a position is a sequence of several documents, so that token counts are needed ahead."""
        return self.packing != "none"
