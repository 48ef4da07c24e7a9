"""tiktoken: an encoding by name, or a file of ranks.

::

    tiktoken:cl100k_base                      a name; tiktoken fetches it once, or finds it below TIKTOKEN_CACHE_DIR
    tokenizers/cl100k_base.tiktoken           a file; its name says how text is split before the ranks are used
    tiktoken:cl100k_base:tokenizers/ours.tiktoken      a file of another name, split as that encoding does

The text of a special token inside a document is text like any other (`encode_ordinary`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mixtera.contracts.tokenizer import Encoded, Tokenizer, TokenizerRequest
from mixtera.errors import TokenizerError
from mixtera.tokens.texts import Texts
from mixtera.tokens.tokenizers.nearest import did_you_mean
from mixtera.tokens.tokenizers.parallel import one_thread_in_forks, threads
from mixtera.tokens.tokenizers.ranks import ENCODINGS, from_file
from mixtera.tokens.tokenizers.special import SpecialIds, Vocabulary, WithSpecialIds, special_ids

if TYPE_CHECKING:
    from tiktoken import Encoding

_GROUP_BYTES: Final = 4 << 20


class Tiktoken:
    """The kind `tiktoken`."""

    suffixes: tuple[str, ...] = (".tiktoken",)

    def open(self, request: TokenizerRequest) -> Tokenizer:
        """Open an encoding or a file of ranks.

        Raises:
            TokenizerError: The package is missing, or there is no such encoding or file.
        """
        try:
            import tiktoken
        except ImportError as error:
            raise TokenizerError(
                f"tokenizer {request.name!r} needs the package {error.name}: pip install 'mixtera[tiktoken]'"
            ) from error
        encoding, _, path = request.value.rpartition(":")
        is_file = bool(encoding) or path.endswith(self.suffixes) or (request.directory / path).is_file()
        opened = from_file(request, encoding, path) if is_file else _named(request, tiktoken.list_encoding_names())
        one_thread_in_forks()
        return TiktokenTokenizer(request.name, fingerprint(opened), _special(request, opened), opened)

    def names(self) -> tuple[str, ...]:
        """The encodings whose names are known here."""
        return tuple(ENCODINGS)


def _named(request: TokenizerRequest, known: Sequence[str]) -> Encoding:
    import tiktoken

    name = request.value
    if name not in known:
        raise TokenizerError(
            f"tokenizer {request.name!r}: tiktoken has no encoding {name!r}; it has {', '.join(sorted(known))}"
            + did_you_mean(name, known)
        )
    try:
        return tiktoken.get_encoding(name)
    except (OSError, ValueError) as error:  # no network; a file in the cache that is not what it should be
        raise TokenizerError(
            f"tokenizer {request.name!r}: the ranks of {name} are not on this machine and could not be fetched "
            f"({type(error).__name__}); open it once where there is a network with TIKTOKEN_CACHE_DIR set to a "
            f"directory, and set that variable here; or name a file of ranks: {name}.tiktoken"
        ) from error


def _special(request: TokenizerRequest, encoding: Encoding) -> SpecialIds:
    special = {text: encoding.encode_single_token(text) for text in encoding.special_tokens_set}

    def id_of(text: str) -> int | None:
        try:
            return special[text] if text in special else encoding.encode_single_token(text)
        except KeyError:
            return None

    return special_ids(request.special, Vocabulary(request.name, encoding.n_vocab, id_of, special, {}))


def fingerprint(encoding: Encoding) -> str:
    """`sha256:…` of an encoding: how it splits, and every token by rank; its name does not count."""
    digest = hashlib.sha256(encoding._pat_str.encode() + b"\0")
    for token in encoding.token_byte_values():  # sorted by its bytes, not by its rank
        digest.update(b"%d %d " % (encoding.encode_single_token(token), len(token)) + token)
    return "sha256:" + digest.hexdigest()


@dataclass(frozen=True, slots=True)
class TiktokenTokenizer(WithSpecialIds):
    """An encoding of tiktoken, over columns."""

    name: str
    fingerprint: str
    special: SpecialIds
    backend: Encoding

    @property
    def vocab_size(self) -> int:
        """The greatest id, special tokens included, and one."""
        return self.backend.n_vocab

    def encode(self, texts: pa.Array) -> Encoded:
        """All rows, on all processors of this process, straight into numpy."""
        column = Texts.of(texts)
        offsets = np.zeros(len(column) + 1, np.int64)
        parts: list[npt.NDArray[np.int32]] = [np.empty(0, np.int32)]
        for row, ids in enumerate(self._ids(column)):
            offsets[row + 1] = len(ids)
            parts.append(ids)
        np.cumsum(offsets, out=offsets)
        return Encoded(np.concatenate(parts), offsets)

    def count(self, texts: pa.Array) -> npt.NDArray[np.int64]:
        """Lengths of what `encode` gives."""
        column = Texts.of(texts)
        return np.fromiter(map(len, self._ids(column)), np.int64, len(column))

    def decode(self, tokens: Sequence[int]) -> str:
        """The text again, special tokens included.

        Raises:
            TokenizerError: An id is none of its tokens.
        """
        try:
            return self.backend.decode([int(token) for token in tokens])
        except (KeyError, OverflowError) as error:
            raise TokenizerError(
                f"tokenizer {self.name!r} has ids from 0 to {self.vocab_size - 1:,}, not all of them: {error}"
            ) from error

    def _ids(self, column: Texts) -> Iterator[npt.NDArray[np.int32]]:
        workers = threads()
        if workers == 1 or len(column) == 1:
            for start, stop in column.groups(_GROUP_BYTES):
                yield from map(self._one, column.strings(start, stop))
            return
        with ThreadPoolExecutor(workers, thread_name_prefix="mixtera-tokens") as pool:
            for start, stop in column.groups(_GROUP_BYTES):
                yield from pool.map(self._one, column.strings(start, stop))

    def _one(self, text: str) -> npt.NDArray[np.int32]:
        ids = self.backend.encode_to_numpy(text, allowed_special=set(), disallowed_special=())
        return ids.view(np.int32)
