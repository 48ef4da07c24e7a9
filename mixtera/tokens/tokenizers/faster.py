"""`encoder: fastokens`: the ids of a tokenizer.json, made by a faster package that gives the same ones.

Whether they are the same depends on the tokenizer: each is tried when it is opened, on texts that encoders differ in
and on the tokenizer's own vocabulary, and refused where one id differs. The fingerprint is that of the tokenizer.json:
counts and plans are the same with any encoder.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mixtera.contracts.tokenizer import Encoded
from mixtera.contracts.tokenizer import Tokenizer as TokenizerContract
from mixtera.errors import TokenizerError
from mixtera.tokens.texts import Texts
from mixtera.tokens.tokenizers.special import SpecialIds, WithSpecialIds

if TYPE_CHECKING:
    from mixtera.tokens.tokenizers.huggingface import HuggingFaceTokenizer

_GROUP_BYTES: Final = 16 << 20
"""Bytes of text that are encoded in one go."""
_TRIED: Final = 4096
"""Tokens of the vocabulary that are tried, spread over all of it, alone and side by side."""
_ODD: Final = (
    "",
    " ",
    "  leading and trailing  ",
    "a  b   c\t\td\r\n\n\n \n e",
    "it's we'll I'M they'VE can't '' 'quoted'",
    "1234567890 3.14 1,000,000 2026-11-25 0x1F x2 2x",
    "snake_case CamelCase kebab-case a.b.c != <= ->{}[]()<>;:,.!?/\\|@#$%^&*~`",
    "# -*- coding: utf-8 -*-\n" + "-" * 90 + "\n" + "=" * 90 + '\n"""Docstring."""\n\n\n    def f(x):\n\treturn x',
    "naïve café e\u0301 Å ﬁ ﬀ ǅ ʰ Ⅷ ½ ² ſ İi ß",
    "日本語のテキスト。中文，混合 text 한국어 ไทย हिन्दी العربية עברית",
    "🙂👩\u200d👩\u200d👧 🇩🇪 emoji\ufe0f",
    "\u200bzero\u00a0nbsp\u2028line\u2029paragraph\u3000wide\ufeffbom\x00\x01\x1f\x7f",
    "x" * 3000,
    " " * 3000,
    "\n" * 3000,
    "abc" * 1000 + "é" * 1000,
)


def faster(whole: HuggingFaceTokenizer, encoder: str, parsed: dict[str, Any]) -> TokenizerContract:
    """A tokenizer that another package encodes with.

    Args:
        whole: The tokenizer, as the library of Hugging Face has it.
        encoder: The package.
        parsed: The content of its tokenizer.json, without truncation and padding.

    Raises:
        TokenizerError: The package is missing, cannot open the tokenizer, or gives other ids.
    """
    try:
        import fastokens
    except ImportError as error:
        raise TokenizerError(
            f"encoder {encoder!r} needs the package {error.name}: pip install 'mixtera[fastokens]'"
        ) from error
    try:
        backend = fastokens.Tokenizer.from_json_str(msgspec.json.encode(parsed).decode())
    except Exception as error:  # the library has no class of its own for its errors
        raise TokenizerError(
            f"encoder {encoder!r} cannot open the tokenizer {whole.name!r}: {error}; leave `encoder` out"
        ) from error
    found = FastTokenizer(whole.name, whole.fingerprint, whole.vocab_size, whole.special, whole, backend)
    _check_same(found, encoder, whole)
    return found


@dataclass(frozen=True, slots=True)
class FastTokenizer(WithSpecialIds):
    """A tokenizer of the package `fastokens`, over columns."""

    name: str
    fingerprint: str
    vocab_size: int
    special: SpecialIds
    whole: HuggingFaceTokenizer
    backend: Any

    def encode(self, texts: pa.Array) -> Encoded:
        """All rows, in groups of some megabytes; ids never become Python numbers."""
        column = Texts.of(texts)
        groups, edges, before = [np.empty(0, np.int32)], [np.zeros(1, np.int64)], 0
        for start, stop in column.groups(_GROUP_BYTES):
            ids, offsets = self._encoded(column.strings(start, stop))
            groups.append(ids)
            edges.append(offsets[1:] + before)
            before += len(ids)
        return Encoded(groups[1] if len(groups) == 2 else np.concatenate(groups), np.concatenate(edges))

    def count(self, texts: pa.Array) -> npt.NDArray[np.int64]:
        """Lengths of the encodings."""
        return np.diff(self.encode(texts).offsets)

    def decode(self, tokens: Sequence[int]) -> str:
        """The text as the library of Hugging Face makes it.

        Raises:
            TokenizerError: An id is negative, or too great.
        """
        return self.whole.decode(tokens)

    def ids_of(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of some texts, for comparison."""
        ids, offsets = self._encoded(list(texts))
        return [ids[first:last].tolist() for first, last in pairwise(offsets.tolist())]

    def _encoded(self, texts: list[str]) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
        try:
            ids, offsets = self.backend.encode_batch_flat(texts, add_special_tokens=False)
        except Exception as error:  # the library has no class of its own for its errors
            raise TokenizerError(f"tokenizer {self.name!r}: {error}; leave `encoder` out") from error
        return np.frombuffer(ids, np.uint32).view(np.int32), np.frombuffer(offsets, np.uint64).astype(np.int64)


def _check_same(found: FastTokenizer, encoder: str, whole: HuggingFaceTokenizer) -> None:
    """Refuse an encoder that gives one text other ids."""
    step = max(1, whole.vocab_size // _TRIED)
    words = [whole.backend.decode([number], skip_special_tokens=False) for number in range(0, whole.vocab_size, step)]
    texts = [*_ODD, *words, *("".join(words[at : at + 40]) for at in range(0, len(words), 40)), " ".join(words)]
    for text, one, other in zip(texts, whole.ids_of(texts), found.ids_of(texts), strict=True):
        if one != other:
            raise TokenizerError(
                f"encoder {encoder!r} gives other ids than the tokenizer {whole.name!r} has: {text[:40]!r} is "
                f"{other[:8]} and not {one[:8]}; leave `encoder` out"
            )
