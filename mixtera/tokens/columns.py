"""Where token counts stand in the catalog: one column for each tokenizer and way to make a text of a sample."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from mixtera.artifact.model import TokenParameters
from mixtera.contracts.format import TokenFormat
from mixtera.registry import format_named

if TYPE_CHECKING:
    from mixtera.spec.model import Source

PREFIX: Final = "_tokens_"
IN_FILE: Final = "_tokens"
"""The column of sources whose files hold tokens: no tokenizer has a part in it."""


def is_tokenized(format_: str) -> bool:
    """Whether files of a format hold tokens, and not texts."""
    return isinstance(format_named(format_), TokenFormat)


def count_column(source: Source, parameters: TokenParameters) -> str:
    """The column that holds the counts of a source by a tokenizer."""
    if is_tokenized(source.format):
        return IN_FILE
    told = [parameters.fingerprint, parameters.template or "", *(f"{c.name}={c.path}" for c in source.content)]
    return PREFIX + hashlib.sha256("\0".join(told).encode()).hexdigest()[:12]
