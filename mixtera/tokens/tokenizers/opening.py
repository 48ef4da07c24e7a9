"""What `tokens.tokenizer: VALUE` means: a kind by name, by the ending of a path, or a `tokenizer.json`.

::

    bytes                          the bytes of the text
    tokenizers/gpt2.json           a tokenizer.json of Hugging Face; a directory with one; a name on the hub
    tiktoken:cl100k_base           an encoding of tiktoken; a file of ranks that ends with .tiktoken
    KIND:VALUE                     whatever a plugin of the group mixtera.tokenizers makes of VALUE
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from mixtera import registry
from mixtera.contracts.tokenizer import SpecialTokens, Tokenizer, TokenizerRequest
from mixtera.errors import TokenizerError
from mixtera.tokens.tokenizers.nearest import did_you_mean

DEFAULT_KIND: Final = "huggingface"
_PREFIX: Final = re.compile(r"([A-Za-z0-9_-]+):(?!//)(.*)", re.DOTALL)


def open_tokenizer(
    value: str,
    base_directory: Path,
    *,
    eos: int | str | None = None,
    bos: int | str | None = None,
    pad: int | str | None = None,
    encoder: str | None = None,
) -> Tokenizer:
    """Open the tokenizer that a spec names.

    Args:
        value: What the spec says: see the module.
        base_directory: Where relative paths begin: the directory of the spec.
        eos: The token that ends a document, by id or text; by default the tokenizer's own files or its name tell.
        bos: The same for the token that begins one.
        pad: The same for the token that fills up.
        encoder: Package that encodes with a tokenizer.json; None: that of Hugging Face.

    Returns:
        A tokenizer of this process; it may be used in forked processes too.

    Raises:
        TokenizerError: There is no such tokenizer, it cannot be read, its package is missing, or it has no token of
            the text or id that was given.
    """
    if not isinstance(value, str) or not value.strip():
        raise TokenizerError(
            f"tokenizer is {value!r}; write `bytes`, a file, a directory, a hub name, or tiktoken:NAME"
        )
    kind, rest = _kind_and_rest(value, base_directory)
    if encoder is not None and kind != DEFAULT_KIND:
        raise TokenizerError(
            f"encoder {encoder!r} goes with a tokenizer.json, and the tokenizer {value!r} is of the kind {kind}; "
            "leave it out"
        )
    request = TokenizerRequest(value, rest, base_directory, SpecialTokens(eos, bos, pad), encoder)
    return registry.tokenizer_kind_named(kind).open(request)


def _kind_and_rest(value: str, base_directory: Path) -> tuple[str, str]:
    kinds = registry.names("tokenizers")
    if value in kinds:
        return value, ""
    prefixed = _PREFIX.fullmatch(value)
    if prefixed and prefixed[1] in kinds:
        return prefixed[1], prefixed[2]
    if prefixed and not (base_directory / value).exists():
        raise TokenizerError(
            f"tokenizer {value!r}: no kind of tokenizers is named {prefixed[1]!r}; kinds: {', '.join(kinds)}"
            + did_you_mean(prefixed[1], kinds)
        )
    suffixes = {suffix: kind for kind in kinds for suffix in registry.tokenizer_kind_named(kind).suffixes}
    matching = [suffix for suffix in suffixes if value.lower().endswith(suffix)]
    return (suffixes[max(matching, key=len)] if matching else DEFAULT_KIND), value
