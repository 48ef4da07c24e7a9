"""What a lock says of the tokens of a plan, and what differs in that."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, fields
from itertools import pairwise
from typing import Any, Final

import numpy as np

from mixtera.artifact.model import PlanData, TokenParameters
from mixtera.artifact.pointers import kept_counts
from mixtera.lockfile.model import LockedCount, LockedTokens, Scalar

FINGERPRINT: Final = "tokenizer fingerprint"
_OF: Final = "tokens of "
"""What stands before the name of a component."""
_NAMES: Final = frozenset(field.name for field in fields(LockedTokens)) | {FINGERPRINT}
_SHOWN: Final = 19
"""Characters of a fingerprint that people are shown: `sha256:` and twelve digits."""


def tokens_of(data: PlanData) -> LockedTokens | None:
    """What the lock of a plan says of its tokens; None where it has none."""
    return None if data.tokens is None else locked_tokens(data.tokens.parameters, tuple(_counts(data)))


def locked_tokens(parameters: TokenParameters, counts: tuple[LockedCount, ...] = ()) -> LockedTokens:
    """Parameters as a lock has them.

    Args:
        parameters: How samples become rows.
        counts: What was counted of each component.
    """
    p = parameters
    shape = p.vocab_size, p.sequence_length, p.packing, p.bos, p.eos, p.label_shift, p.overlap
    return LockedTokens(p.tokenizer, p.fingerprint, *shape, p.max_document_tokens, p.template, counts)


def _counts(data: PlanData) -> Iterator[LockedCount]:
    if data.tokens is None or not data.packs:
        return
    documents = kept_counts(data)
    for component, (first, last) in zip(data.components, pairwise(data.component_entries.tolist()), strict=True):
        held = data.tokens.entry_counts[first:last].sum(dtype=np.int64)
        yield LockedCount(component.name, int(documents[first:last].sum()), int(held))


def settings_of(tokens: LockedTokens | None) -> dict[str, Scalar]:
    """What is said of tokens, by name; nothing for a plan of samples."""
    if tokens is None:
        return {}
    values: dict[str, Any] = asdict(tokens)
    counts = values.pop("counts")
    values[FINGERPRINT] = values.pop("fingerprint")
    values["label_shift"] = "true" if tokens.label_shift else "false"
    for one in counts:
        values[f"{_OF}{one['name']}"] = one["tokens"]
    return {name: value for name, value in values.items() if value is not None}


def is_of_tokens(name: str) -> bool:
    """Whether a setting is one of tokens, and not of the order or the length."""
    return name in _NAMES or name.startswith(_OF)


def shown(name: str, value: str) -> str:
    """A text as people are shown it."""
    return f"{value[:_SHOWN]}…" if name == FINGERPRINT and len(value) > _SHOWN else value
