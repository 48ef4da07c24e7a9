"""The section `tokens:` and the tokenizer that it names → what a plan keeps of them."""

from __future__ import annotations

from mixtera.artifact.model import TokenParameters
from mixtera.contracts.tokenizer import Tokenizer
from mixtera.errors import SpecError, TokenizerError
from mixtera.spec.issues import Issues
from mixtera.spec.model import SpecialToken, Tokens
from mixtera.tokens.opened import directory_of
from mixtera.tokens.tokenizers import open_tokenizer


def token_parameters(tokens: Tokens) -> TokenParameters:
    """What a plan keeps of a section.

    Raises:
        SpecError: The tokenizer cannot be opened, or has no token that is asked for.
    """
    issues = Issues()
    try:
        tokenizer = open_tokenizer(
            tokens.tokenizer, directory_of(tokens.base), eos=_named(tokens.eos), bos=_named(tokens.bos)
        )
    except TokenizerError as error:
        issues.add(tokens.place, str(error))
        raise SpecError(issues.found) from error
    for name, wanted, found in (("eos", tokens.eos, tokenizer.eos), ("bos", tokens.bos, tokenizer.bos)):
        if wanted is True and found is None:
            issues.add(tokens.place, _lacks(name, tokens.tokenizer))
    if issues.found:
        raise SpecError(issues.found)
    eos, bos = (None if wanted is False else found for wanted, found in _special(tokens, tokenizer))
    pad = next((one for one in (tokenizer.pad, eos, tokenizer.eos) if one is not None), 0)
    return TokenParameters(
        tokens.tokenizer,
        tokens.base,
        tokenizer.fingerprint,
        tokenizer.vocab_size,
        tokens.sequence_length,
        tokens.packing,
        bos,
        eos,
        pad,
        tokens.label_shift,
        tokens.overlap,
        tokens.max_document_tokens,
        tokens.template,
    )


def _special(tokens: Tokens, tokenizer: Tokenizer) -> tuple[tuple[SpecialToken, int | None], ...]:
    return (tokens.eos, tokenizer.eos), (tokens.bos, tokenizer.bos)


def _named(token: SpecialToken) -> int | str | None:
    return None if isinstance(token, bool) else token


def _lacks(name: str, tokenizer: str) -> str:
    where = "after" if name == "eos" else "before"
    return (
        f"{name}: the tokenizer {tokenizer} does not say which token stands {where} a document; write its text or id, "
        f'such as `{name}: "</s>"`, or `{name}: false`'
    )
