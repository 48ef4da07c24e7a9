"""Hugging Face `tokenizer.json`: a file, a directory with one, or a name on the hub.

The ids are those of `Tokenizer.encode(text, add_special_tokens=False)` with the file's truncation and padding switched
off. The text of a special token inside a document (`<|endoftext|>`) becomes that token, as it does wherever this file
is used.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mixtera.contracts.tokenizer import Encoded, TokenizerRequest
from mixtera.contracts.tokenizer import Tokenizer as TokenizerContract
from mixtera.errors import TokenizerError
from mixtera.tokens.texts import Texts
from mixtera.tokens.tokenizers.cutting import can_be_cut, cut
from mixtera.tokens.tokenizers.declared import declared_tokens
from mixtera.tokens.tokenizers.faster import faster
from mixtera.tokens.tokenizers.locating import located
from mixtera.tokens.tokenizers.parallel import one_thread_in_forks
from mixtera.tokens.tokenizers.special import SpecialIds, Vocabulary, WithSpecialIds, special_ids

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

_GROUP_BYTES: Final = 4 << 20
"""Bytes of text that are encoded in one go: enough for all threads, little enough for the memory of their ids."""
_WITHOUT_EFFECT: Final = ("truncation", "padding")
"""Parts of the file that are switched off."""


class HuggingFace:
    """The kind `huggingface`, and what a value without another kind is."""

    suffixes: tuple[str, ...] = (".json",)

    def open(self, request: TokenizerRequest) -> TokenizerContract:
        """Open a file, a directory or a name.

        Raises:
            TokenizerError: The package is missing, nothing is there, or it is no tokenizer.
        """
        try:
            import tokenizers
        except ImportError as error:
            raise TokenizerError(
                f"tokenizer {request.name!r} needs the package {error.name}: pip install 'mixtera[tokenizers]'"
            ) from error
        path = located(request)
        content = _read(path)
        parsed = _parsed(request.name, path, content)
        try:
            backend = tokenizers.Tokenizer.from_buffer(content)
        except Exception as error:  # the library has no class of its own for its errors
            raise TokenizerError(f"tokenizer {request.name!r}: {path} cannot be opened: {error}") from error
        backend.no_truncation()
        backend.no_padding()
        one_thread_in_forks()
        return _opened(request, path, parsed, backend)

    def names(self) -> tuple[str, ...]:
        """None: the hub has no list here."""
        return ()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise TokenizerError(f"{path} cannot be read: {error.strerror or error}") from error


def _parsed(name: str, path: Path, content: bytes) -> dict[str, Any]:
    try:
        parsed = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise TokenizerError(f"tokenizer {name!r}: {path} is no JSON: {error}; {_EXPECTED}") from error
    if not isinstance(parsed, dict) or not isinstance(parsed.get("model"), dict):
        raise TokenizerError(f"tokenizer {name!r}: {path} is no tokenizer: it has no `model`; {_EXPECTED}")
    if parsed["model"].get("dropout"):
        raise TokenizerError(
            f"tokenizer {name!r}: {path} has a dropout of {parsed['model']['dropout']}: a text would have other ids "
            "each time it is read; set `dropout` of its `model` to null"
        )
    return parsed


_EXPECTED: Final = "expected is the tokenizer.json that the package tokenizers saves"


def _opened(request: TokenizerRequest, path: Path, parsed: dict[str, Any], backend: Tokenizer) -> TokenizerContract:
    size = max(backend.get_vocab(with_added_tokens=True).values(), default=-1) + 1
    added = [token.content for token in backend.get_added_tokens_decoder().values() if token.special]
    declared = declared_tokens(path, parsed)
    vocabulary = Vocabulary(request.name, size, backend.token_to_id, added, declared)
    special = special_ids(request.special, vocabulary)
    found = HuggingFaceTokenizer(request.name, fingerprint(parsed), size, special, backend, can_be_cut(parsed))
    return found if request.encoder is None else faster(found, request.encoder, deciding_parts(parsed))


def fingerprint(parsed: Mapping[str, Any]) -> str:
    """`sha256:…` of a tokenizer.json, whatever its spacing and the order of its keys."""
    return "sha256:" + hashlib.sha256(msgspec.json.encode(deciding_parts(parsed), order="sorted")).hexdigest()


def deciding_parts(parsed: Mapping[str, Any]) -> dict[str, Any]:
    """The content of a tokenizer.json without what is switched off."""
    return {key: value for key, value in parsed.items() if key not in _WITHOUT_EFFECT}


@dataclass(frozen=True, slots=True)
class HuggingFaceTokenizer(WithSpecialIds):
    """A tokenizer of the package `tokenizers`, over columns."""

    name: str
    fingerprint: str
    vocab_size: int
    special: SpecialIds
    backend: Tokenizer
    cuttable: bool

    def encode(self, texts: pa.Array) -> Encoded:
        """All rows, in groups of some megabytes: the ids of a group are Python numbers for a moment."""
        column, first = self._cut(texts)
        offsets = np.zeros(len(column) + 1, np.int64)
        groups = []
        for start, encodings in self._encodings(column):
            ids = [encoding.ids for encoding in encodings]
            lengths = np.fromiter(map(len, ids), np.int64, len(ids))
            offsets[start + 1 : start + 1 + len(ids)] = lengths
            groups.append(np.fromiter(chain.from_iterable(ids), np.int32, int(lengths.sum())))
        np.cumsum(offsets, out=offsets)
        return Encoded(np.concatenate(groups) if groups else np.empty(0, np.int32), offsets[first])

    def count(self, texts: pa.Array) -> npt.NDArray[np.int64]:
        """Lengths of the encodings; the ids stay where they are."""
        column, first = self._cut(texts)
        offsets = np.zeros(len(column) + 1, np.int64)
        for start, encodings in self._encodings(column):
            stop = start + len(encodings)
            offsets[start + 1 : stop + 1] = np.fromiter(map(len, encodings), np.int64, len(encodings))
        return np.diff(np.cumsum(offsets)[first])

    def decode(self, tokens: Sequence[int]) -> str:
        """The text as the tokenizer's decoder makes it, special tokens included.

        Raises:
            TokenizerError: An id is negative, or too great.
        """
        ids = [int(token) for token in tokens]
        if ids and not 0 <= min(ids) <= max(ids) < self.vocab_size:
            raise TokenizerError(f"tokenizer {self.name!r} has ids from 0 to {self.vocab_size - 1:,}; others are none")
        return self.backend.decode(ids, skip_special_tokens=False)

    def ids_of(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of some texts, for comparison."""
        return [encoding.ids for encoding in self.backend.encode_batch_fast(texts, add_special_tokens=False)]

    def _cut(self, texts: pa.Array) -> tuple[Texts, npt.NDArray[np.int64]]:
        column = Texts.of(texts)
        return cut(column) if self.cuttable else (column, np.arange(len(column) + 1))

    def _encodings(self, column: Texts) -> Iterator[tuple[int, list[Encoding]]]:
        for start, stop in column.groups(_GROUP_BYTES):
            yield start, self.backend.encode_batch_fast(column.strings(start, stop), add_special_tokens=False)
