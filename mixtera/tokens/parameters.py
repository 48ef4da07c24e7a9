"""The section `tokens:` and the tokenizer that it names → what a plan keeps of them."""

from __future__ import annotations

from mixtera.artifact.model import TokenParameters
from mixtera.contracts.tokenizer import Tokenizer
from mixtera.errors import SpecError, TokenizerError
from mixtera.spec.issues import Issues
from mixtera.spec.model import SpecialToken, Tokens
from mixtera.tokens.opened import directory_of
from mixtera.tokens.tokenizers import open_tokenizer, special_id
from mixtera.tokens.tokenizers.special import Role


def token_parameters(tokens: Tokens) -> TokenParameters:
    """What a plan keeps of a section.

    Raises:
        SpecError: The tokenizer cannot be opened, or has no token that is asked for.
    """
    issues = Issues()
    try:
        tokenizer = open_tokenizer(
            tokens.tokenizer,
            directory_of(tokens.base),
            eos=_named(tokens.eos),
            bos=_named(tokens.bos),
            encoder=tokens.encoder,
        )
    except TokenizerError as error:
        issues.add(tokens.place, str(error))
        raise SpecError(issues.found) from error
    eos, bos = (_wanted(role, wanted, tokenizer, tokens, issues) for role, wanted in _roles(tokens))
    if issues.found:
        raise SpecError(issues.found)
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
        tokens.encoder,
    )


def _roles(tokens: Tokens) -> tuple[tuple[Role, SpecialToken], ...]:
    return ("eos", tokens.eos), ("bos", tokens.bos)


def _wanted(role: Role, wanted: SpecialToken, tokenizer: Tokenizer, tokens: Tokens, issues: Issues) -> int | None:
    """The id of a token that stands around documents; None where none does."""
    if wanted is False:
        return None
    try:
        return special_id(tokenizer, role)
    except TokenizerError as error:
        issues.add(tokens.place, f"{error}, or `{role}: false`")
        return None


def _named(token: SpecialToken) -> int | str | None:
    return None if isinstance(token, bool) else token
