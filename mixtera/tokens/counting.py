r"""How many tokens each sample has: a function over batches, with options of JSON, for computed properties.

::

    count(batch, tokenizer="tokenizers/gpt2.json", directory="specs", template="{title}\n\n{text}")
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import pyarrow as pa

from mixtera.arrow import from_numpy
from mixtera.contracts.tokenizer import Tokenizer
from mixtera.errors import TokenizerError
from mixtera.tokens.template import Template, content_template
from mixtera.tokens.tokenizers import open_tokenizer


def count(
    batch: pa.RecordBatch,
    *,
    tokenizer: str,
    directory: str = ".",
    template: str | None = None,
    prefix: str = "",
    suffix: str = "",
    fingerprint: str | None = None,
    encoder: str | None = None,
) -> pa.Array:
    """Tokens of every row, without special tokens around it.

    Args:
        batch: The content columns; with a `template`, others may be there too.
        tokenizer: As `tokens.tokenizer` of a spec; opened once per process.
        directory: Where its relative paths begin.
        template: How several columns become one text.
        prefix: Text before every document.
        suffix: Text after it.
        fingerprint: What the tokenizer's fingerprint has to be; None takes what is there.
        encoder: As `tokens.encoder` of a spec.

    Returns:
        int64, one a row, without NULLs: a row without content has 0 tokens.

    Raises:
        TokenizerError: The tokenizer or the template is wrong, the tokenizer has moved, or a row is no text.
    """
    opened = opened_once(tokenizer, directory, fingerprint, encoder)
    text = _template(tuple(batch.schema.names), template, prefix, suffix).render(batch)
    return from_numpy(opened.count(text))


def opened_once(
    tokenizer: str, directory: str = ".", fingerprint: str | None = None, encoder: str | None = None
) -> Tokenizer:
    """The tokenizer of this process; a forked worker goes on with that of its parent.

    Raises:
        TokenizerError: It cannot be opened, or its fingerprint is another than the one that is expected.
    """
    opened = _opened(tokenizer, directory, encoder)
    if fingerprint is None or opened.fingerprint == fingerprint:
        return opened
    _opened.cache_clear()  # its file may have been replaced since this process opened it
    opened = _opened(tokenizer, directory, encoder)
    if opened.fingerprint != fingerprint:
        raise TokenizerError(
            f"tokenizer {tokenizer!r} has moved: it is {opened.fingerprint} now, and tokens were counted with "
            f"{fingerprint}; bring that one back, or count again with `mixtera index`"
        )
    return opened


@lru_cache(maxsize=4)
def _opened(tokenizer: str, directory: str, encoder: str | None) -> Tokenizer:
    return open_tokenizer(tokenizer, Path(directory), encoder=encoder)


@lru_cache(maxsize=16)
def _template(columns: tuple[str, ...], template: str | None, prefix: str, suffix: str) -> Template:
    return content_template(columns, template, prefix, suffix)
