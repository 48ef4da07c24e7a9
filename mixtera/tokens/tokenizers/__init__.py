"""Tokenizers: `open_tokenizer` finds what `tokens.tokenizer` of a spec means."""

from mixtera.tokens.tokenizers.opening import open_tokenizer
from mixtera.tokens.tokenizers.special import special_id

__all__ = ["open_tokenizer", "special_id"]
