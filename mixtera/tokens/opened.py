"""The tokenizer of a plan, opened by whoever reads it."""

from __future__ import annotations

import posixpath
from pathlib import Path

from mixtera.artifact.model import TokenParameters
from mixtera.contracts.tokenizer import Tokenizer
from mixtera.errors import PlanError
from mixtera.tokens.tokenizers import open_tokenizer


def opened(parameters: TokenParameters) -> Tokenizer:
    """The tokenizer of a plan.

    Raises:
        TokenizerError: It cannot be opened.
        PlanError: Another one is there now under its name.
    """
    tokenizer = open_tokenizer(parameters.tokenizer, directory_of(parameters.base), encoder=parameters.encoder)
    if tokenizer.fingerprint != parameters.fingerprint:
        raise PlanError(
            f"the tokenizer {parameters.tokenizer} is not the one that the plan was compiled with "
            f"({tokenizer.fingerprint[:19]}… instead of {parameters.fingerprint[:19]}…): put that one back, or index "
            "and compile the spec again"
        )
    return tokenizer


def directory_of(base: str) -> Path:
    """The directory of the file that names a tokenizer."""
    return Path(posixpath.dirname(base) or ".").absolute()
