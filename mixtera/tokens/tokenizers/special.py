"""Which ids end, begin and fill up a document: as the spec says, as the tokenizer's files say, or as it is usual."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, get_args

from mixtera.contracts.tokenizer import SpecialTokens, Tokenizer
from mixtera.errors import TokenizerError
from mixtera.tokens.tokenizers.nearest import did_you_mean

Role = Literal["eos", "bos", "pad"]
ROLES: Final[tuple[Role, ...]] = get_args(Role)
_TASKS: Final = {"eos": "ends a document", "bos": "begins a document", "pad": "fills up"}
_USUAL: Final[Mapping[Role, tuple[str, ...]]] = {
    "eos": ("<|endoftext|>", "</s>", "<eos>", "<|end_of_text|>"),
    "bos": ("<|begin_of_text|>", "<s>", "<bos>", "<|startoftext|>"),
    "pad": ("<pad>", "<|pad|>", "<|padding|>", "[PAD]"),
}
_MOST_LISTED: Final = 12


@dataclass(frozen=True, slots=True)
class SpecialIds:
    """Ids of the special tokens; None where there is none."""

    eos: int | None
    bos: int | None
    pad: int | None


class WithSpecialIds:
    """The special tokens of a tokenizer, as properties: found by `special_ids` when it was opened."""

    __slots__ = ()
    special: SpecialIds

    @property
    def eos(self) -> int | None:
        """Id of the token that ends a document; None where there is none."""
        return self.special.eos

    @property
    def bos(self) -> int | None:
        """Id of the token that begins a document; None where there is none."""
        return self.special.bos

    @property
    def pad(self) -> int | None:
        """Id of the token that fills up; None where there is none."""
        return self.special.pad


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What is known of a tokenizer's tokens when the special ones are looked for.

    Attributes:
        name: The tokenizer, for messages.
        size: The greatest id and one.
        id_of: The id of a token's text, or None.
        special: The texts of its special tokens, for messages.
        declared: What the tokenizer's own files say: role → text of the token.
    """

    name: str
    size: int
    id_of: Callable[[str], int | None]
    special: Iterable[str]
    declared: Mapping[Role, str]


def special_ids(asked: SpecialTokens, vocabulary: Vocabulary) -> SpecialIds:
    """Find the ids of all roles.

    A token that the tokenizer's files name and do not have is no token: asking for it is an error then.

    Raises:
        TokenizerError: The spec names a token or an id that the tokenizer does not have.
    """
    return SpecialIds(*(_find(role, getattr(asked, role), vocabulary) for role in ROLES))


def special_id(tokenizer: Tokenizer, role: Role) -> int:
    """The id of a special token that is needed.

    Raises:
        TokenizerError: The tokenizer has none.
    """
    found = {"eos": tokenizer.eos, "bos": tokenizer.bos, "pad": tokenizer.pad}[role]
    if found is None:
        raise TokenizerError(
            f"tokenizer {tokenizer.name!r} has no {role} token: neither its files nor a usual name say which one "
            f"{_TASKS[role]}; write `{role}:` with the text or the id of the token that does"
        )
    return found


def _find(role: Role, asked: int | str | None, vocabulary: Vocabulary) -> int | None:
    if asked is not None:
        return _asked(role, asked, vocabulary)
    if role in vocabulary.declared:
        return vocabulary.id_of(vocabulary.declared[role])
    ids = (vocabulary.id_of(text) for text in _USUAL[role])
    return next((found for found in ids if found is not None), None)


def _asked(role: Role, asked: int | str, vocabulary: Vocabulary) -> int:
    where = f"tokenizer {vocabulary.name!r}: {role} is {asked!r}"
    if isinstance(asked, bool) or not isinstance(asked, int | str):
        raise TokenizerError(f"{where}; write the text of a token, or its id")
    if isinstance(asked, int):
        if not 0 <= asked < vocabulary.size:
            raise TokenizerError(f"{where}; its ids go from 0 to {vocabulary.size - 1:,}")
        return asked
    found = vocabulary.id_of(asked)
    if found is None:
        texts = sorted(vocabulary.special)
        listed = ", ".join(texts[:_MOST_LISTED]) + (", …" if len(texts) > _MOST_LISTED else "")
        known = f"its special tokens: {listed}" if texts else "it has no special tokens"
        raise TokenizerError(f"{where}, which is none of its tokens; {known}{did_you_mean(asked, texts)}")
    return found
