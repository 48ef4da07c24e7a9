"""Files of ranks (`.tiktoken`): a token in base64 and its rank on every line.

Such a file does not say how text is split into words first. That is known of the encodings that tiktoken itself has,
and a file is split like one of them.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mixtera.contracts.tokenizer import TokenizerRequest
from mixtera.errors import TokenizerError
from mixtera.tokens.tokenizers.nearest import did_you_mean, file_beside

if TYPE_CHECKING:
    from tiktoken import Encoding

_END: Final = "<|endoftext|>"
_R50K: Final = r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"""
_CL100K: Final = (
    r"""'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|"""
    r"""\s++$|\s*[\r\n]|\s+(?!\S)|\s"""
)
_O200K: Final = "|".join(
    (
        r"""[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?""",
        r"""[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?""",
        r"""\p{N}{1,3}""",
        r""" ?[^\s\p{L}\p{N}]+[\r\n/]*""",
        r"""\s*[\r\n]+""",
        r"""\s+(?!\S)""",
        r"""\s+""",
    )
)


@dataclass(frozen=True, slots=True)
class Splitting:
    """How an encoding of tiktoken splits text, and what it has besides ranks.

    Attributes:
        pattern: The regular expression.
        ranks: How many ranks its own file has.
        special: Its special tokens; for another file, of another number of ranks, they are not.
    """

    pattern: str
    ranks: int
    special: dict[str, int]


_O200K_SPECIAL: Final = {_END: 199999, "<|endofprompt|>": 200018}
_CL100K_SPECIAL: Final = {
    _END: 100257,
    "<|fim_prefix|>": 100258,
    "<|fim_middle|>": 100259,
    "<|fim_suffix|>": 100260,
    "<|endofprompt|>": 100276,
}
ENCODINGS: Final = {
    "gpt2": Splitting(_R50K, 50256, {_END: 50256}),
    "r50k_base": Splitting(_R50K, 50256, {_END: 50256}),
    "p50k_base": Splitting(_R50K, 50280, {_END: 50256}),
    "cl100k_base": Splitting(_CL100K, 100256, _CL100K_SPECIAL),
    "o200k_base": Splitting(_O200K, 199998, _O200K_SPECIAL),
}
"""Encodings by name, as tiktoken defines them."""


def from_file(request: TokenizerRequest, encoding: str, value: str) -> Encoding:
    """An encoding out of a file of ranks.

    A file with as many ranks as the encoding's own has its special tokens; any other has one, `<|endoftext|>`, after
    its last rank.

    Args:
        request: For messages, and where relative paths begin.
        encoding: How to split; empty where the file's name says it.
        value: Path of the file.

    Raises:
        TokenizerError: It is missing or no file of ranks, or how to split is not known.
    """
    import tiktoken

    path = request.directory / Path(value).expanduser()
    splitting = _splitting(request, encoding, path)
    ranks = _ranks(request, path)
    special = splitting.special if len(ranks) == splitting.ranks else {_END: max(ranks.values()) + 1}
    return tiktoken.Encoding(path.stem, pat_str=splitting.pattern, mergeable_ranks=ranks, special_tokens=special)


def _splitting(request: TokenizerRequest, encoding: str, path: Path) -> Splitting:
    name = encoding or path.stem
    if name in ENCODINGS:
        return ENCODINGS[name]
    known = ", ".join(ENCODINGS)
    if encoding:
        raise TokenizerError(
            f"tokenizer {request.name!r}: text cannot be split like {name!r}; known: {known}"
            + did_you_mean(name, ENCODINGS)
        )
    raise TokenizerError(
        f"tokenizer {request.name!r}: a file of ranks does not say how text is split, and {path.name} is not named "
        f"like an encoding ({known}); write which one it is split like: tiktoken:cl100k_base:{request.value}"
    )


def _ranks(request: TokenizerRequest, path: Path) -> dict[bytes, int]:
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError as error:
        raise TokenizerError(f"tokenizer {request.name!r}: there is no {path}{file_beside(path)}") from error
    except OSError as error:
        raise TokenizerError(f"tokenizer {request.name!r}: {path} cannot be read: {error.strerror}") from error
    ranks: dict[bytes, int] = {}
    for number, line in enumerate(lines, 1):
        try:
            token, rank = line.split()
            ranks[base64.b64decode(token, validate=True)] = int(rank)
        except ValueError as error:
            raise TokenizerError(
                f"tokenizer {request.name!r}: {path}:{number} is not a token in base64 and its rank; is it a file of "
                "ranks?"
            ) from error
    if len(ranks) != len(lines) or len(set(ranks.values())) != len(ranks):
        raise TokenizerError(f"tokenizer {request.name!r}: {path} has a token or a rank twice")
    absent = 256 - sum(bytes([value]) in ranks for value in range(256))
    if absent:
        raise TokenizerError(f"tokenizer {request.name!r}: {path} lacks {absent} of the 256 single bytes")
    return ranks
