"""The bytes of the text as tokens: ids 0 to 255, `<eos>` 256, `<bos>` 257. Needs no file, and loses nothing.

Bytes that are no UTF-8 are tokens like all others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mixtera.contracts.tokenizer import Encoded, Tokenizer, TokenizerRequest
from mixtera.errors import TokenizerError
from mixtera.tokens.texts import Texts
from mixtera.tokens.tokenizers.special import SpecialIds, Vocabulary, WithSpecialIds, special_ids

_SPECIAL: Final = {"<eos>": 256, "<bos>": 257}
_NAMES: Final = {number: text.encode() for text, number in _SPECIAL.items()}
_FINGERPRINT: Final = "sha256:" + hashlib.sha256(b"mixtera bytes 1").hexdigest()


class Bytes:
    """The kind `bytes`."""

    suffixes: tuple[str, ...] = ()

    def open(self, request: TokenizerRequest) -> Tokenizer:
        """The tokenizer; there is nothing to read.

        Raises:
            TokenizerError: Something follows the name, or a special token is none of its tokens.
        """
        if request.value:
            raise TokenizerError(f"tokenizer {request.name!r}: nothing follows `bytes`; write `bytes` alone")
        vocabulary = Vocabulary(request.name, 258, _SPECIAL.get, _SPECIAL, {"eos": "<eos>", "bos": "<bos>"})
        return BytesTokenizer(request.name, special_ids(request.special, vocabulary))

    def names(self) -> tuple[str, ...]:
        """None: the kind's name is the whole value."""
        return ()


@dataclass(frozen=True, slots=True)
class BytesTokenizer(WithSpecialIds):
    """Text → its UTF-8 bytes, taken from Arrow's own buffer."""

    name: str
    special: SpecialIds

    @property
    def fingerprint(self) -> str:
        """The same for all of them."""
        return _FINGERPRINT

    @property
    def vocab_size(self) -> int:
        """The bytes, `<eos>` and `<bos>`."""
        return 258

    def encode(self, texts: pa.Array) -> Encoded:
        """The bytes, widened: the cost is that of a copy."""
        column = Texts.of(texts)
        return Encoded(column.data.astype(np.int32), column.offsets)

    def count(self, texts: pa.Array) -> npt.NDArray[np.int64]:
        """Lengths in bytes; the text itself is not touched."""
        return np.diff(Texts.of(texts).offsets)

    def decode(self, tokens: Sequence[int]) -> str:
        """The text again.

        Raises:
            TokenizerError: An id is not of this tokenizer.
        """
        ids = np.asarray(tokens, np.int64)
        if ((ids < 0) | (ids >= self.vocab_size)).any():
            raise TokenizerError(f"tokenizer {self.name!r} has ids from 0 to 257; {int(ids.max())} or another is none")
        special = np.flatnonzero(ids >= 256)
        parts = np.split(ids, special)
        texts = [parts[0].astype(np.uint8).tobytes()]
        texts += [_NAMES[int(part[0])] + part[1:].astype(np.uint8).tobytes() for part in parts[1:]]
        return b"".join(texts).decode("utf-8", "replace")
