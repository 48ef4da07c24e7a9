"""Tokenizer: turns a column of texts into token ids, and ids back into text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import pyarrow as pa


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """The tokens of a column of texts.

    Attributes:
        tokens: [n] int32: ids of all rows, one row after the other; it may be read-only.
        offsets: [rows + 1] int64: row `i` has `tokens[offsets[i]:offsets[i + 1]]`.
    """

    tokens: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class SpecialTokens:
    """What a spec says of special tokens: an id, a token's text, or None where the tokenizer itself has to know."""

    eos: int | str | None = None
    bos: int | str | None = None
    pad: int | str | None = None


@dataclass(frozen=True, slots=True)
class TokenizerRequest:
    """Which tokenizer is wanted.

    Attributes:
        name: As it is written in the spec.
        value: That without the name of the kind: a path, a name; empty where there is nothing else.
        directory: Where relative paths begin.
        special: Special tokens that the spec gives itself.
        encoder: Package that encodes, where the spec names one; a kind that has no choice refuses it.
    """

    name: str
    value: str
    directory: Path
    special: SpecialTokens
    encoder: str | None = None


@runtime_checkable
class Tokenizer(Protocol):
    """One tokenizer, opened. It can be used by one thread at a time, and after a fork."""

    @property
    def name(self) -> str:
        """As it is written in the spec."""

    @property
    def fingerprint(self) -> str:
        """`sha256:…` of the content that decides which ids a text gets; the same on every machine.

        Special tokens are not part of it: a text has the same ids and the same count whatever stands between texts.
        """

    @property
    def vocab_size(self) -> int:
        """Rows that an embedding needs: the greatest id, added and special tokens included, and one."""

    @property
    def eos(self) -> int | None:
        """Id of the token that ends a document; None where there is none."""

    @property
    def bos(self) -> int | None:
        """Id of the token that begins a document; None where there is none."""

    @property
    def pad(self) -> int | None:
        """Id of the token that fills up; None where there is none."""

    def encode(self, texts: pa.Array) -> Encoded:
        """Encode a column of texts; no special tokens are added, and NULL has no tokens.

        Args:
            texts: Strings or bytes in UTF-8.

        Raises:
            TokenizerError: It is no column of texts, or a row is no text; the message names the row.
        """

    def count(self, texts: pa.Array) -> npt.NDArray[np.int64]:
        """[rows] int64: how many tokens `encode` gives for every row, made without them.

        Raises:
            TokenizerError: As for `encode`.
        """

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of tokens, special tokens shown; what is no whole character becomes U+FFFD."""


@runtime_checkable
class TokenizerKind(Protocol):
    """A kind of tokenizers: what an entry point of `mixtera.tokenizers` names."""

    @property
    def suffixes(self) -> tuple[str, ...]:
        """Endings of paths that mean this kind, where the spec does not name one."""

    def open(self, request: TokenizerRequest) -> Tokenizer:
        """Open a tokenizer.

        Raises:
            TokenizerError: There is none at that place or of that name, it cannot be read, or its package is missing.
        """

    def names(self) -> tuple[str, ...]:
        """Names that can follow `kind:`; empty where there is no list of them. Used for hints; loads nothing heavy."""
