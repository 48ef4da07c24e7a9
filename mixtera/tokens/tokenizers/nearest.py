"""Names that were perhaps meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path

from mixtera import registry


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'cl100k_base'?`, or nothing where no name is near."""
    near = difflib.get_close_matches(name, list(known), 1)
    return f"; did you mean {near[0]!r}?" if near else ""


def tokenizer_like(name: str) -> str:
    """The same for a whole value of `tokenizer:`: kinds, and the names that they list, with their prefix."""
    kinds = registry.names("tokenizers")
    values = {kind: kind for kind in kinds}
    for kind in kinds:
        values |= {known: f"{kind}:{known}" for known in registry.tokenizer_kind_named(kind).names()}
    near = difflib.get_close_matches(name, values, 1)
    return f"; did you mean {values[near[0]]!r}?" if near else ""


def file_beside(path: Path) -> str:
    """The same for a path that is not there: what lies beside it."""
    try:
        present = [entry.name for entry in path.parent.iterdir()]
    except OSError:
        return ""
    return did_you_mean(path.name, present)
