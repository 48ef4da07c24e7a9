r"""Long documents in parts, with the ids of the whole: where a tokenizer's words can be told apart without doubt.

The library's memory for one text is about a hundred times its size, and one text keeps one processor busy. A byte-level
BPE first splits text into words by a regular expression, and merges within a word only. With the expressions below a
word always ends between an ASCII letter and a space with an ASCII letter after it: none of their alternatives has a
space behind its first character and letters, none looks back, and `\s+(?!\S)` looks ahead from spaces alone. So a text
that is cut there has the words of the whole.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mixtera.tokens.texts import Texts

PART_BYTES: Final = 1 << 20
"""A part ends at the first place behind this many bytes."""
_SEARCH_BYTES: Final = 1 << 16
_REST: Final = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_WORDS: Final = frozenset(
    {
        # Llama 3, Qwen 2, and o200k, as their tokenizer.json has them
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}" + _REST,
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}" + _REST,
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
        r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
        r"|\p{N}{1,3}" + _REST.replace("[\\r\\n]*", "[\\r\\n/]*"),
    }
)
_LOCAL_NORMALIZERS: Final = frozenset({"NFC", "NFD", "NFKC", "NFKD"})
_ACROSS: Final = re.compile("[A-Za-z] [A-Za-z]")


def can_be_cut(parsed: Mapping[str, Any]) -> bool:
    """Whether a tokenizer.json gives a text that is cut the ids of the whole.

    Args:
        parsed: Its content.
    """
    normalizer, model = parsed.get("normalizer"), parsed["model"]
    tokens = parsed.get("added_tokens") or ()
    return (
        model.get("type") == "BPE"
        and (normalizer is None or normalizer.get("type") in _LOCAL_NORMALIZERS)
        and _splits_words(parsed.get("pre_tokenizer"))
        and not any(token.get("rstrip") or _ACROSS.search(token.get("content", "")) for token in tokens)
    )


def _splits_words(pre_tokenizer: Mapping[str, Any] | None) -> bool:
    """Byte-level with GPT-2's own expression, or behind one of the expressions above."""
    if pre_tokenizer is None:
        return False
    steps = pre_tokenizer.get("pretokenizers", ()) if pre_tokenizer.get("type") == "Sequence" else (pre_tokenizer,)
    *before, last = steps or ({},)
    if last.get("type") != "ByteLevel" or last.get("add_prefix_space", True):
        return False
    if not before:
        return bool(last.get("use_regex", True))
    return not last.get("use_regex", True) and len(before) == 1 and _is_words(before[0])


def _is_words(step: Mapping[str, Any]) -> bool:
    pattern = step.get("pattern")
    regex = pattern.get("Regex") if isinstance(pattern, dict) else None
    return (
        step.get("type") == "Split"
        and step.get("behavior") == "Isolated"
        and not step.get("invert")
        and regex in _WORDS
    )


def cut(texts: Texts, part_bytes: int = PART_BYTES) -> tuple[Texts, npt.NDArray[np.int64]]:
    """Cut long rows into parts.

    Args:
        texts: The rows.
        part_bytes: A row that is longer is cut, where it can be.

    Returns:
        The parts as rows, and [rows + 1] which part each row begins with.
    """
    long = np.flatnonzero(np.diff(texts.offsets) > part_bytes)
    if not len(long):
        return texts, np.arange(len(texts) + 1)
    spans = [(int(texts.offsets[row]), int(texts.offsets[row + 1])) for row in long]
    inner = np.array([place for span in spans for place in _places(texts.data, *span, part_bytes)], np.int64)
    # Rows of no bytes share an edge: the stable sort by place has to keep every one of them.
    first = np.arange(len(texts) + 1) + np.searchsorted(inner, texts.offsets)
    edges = np.sort(np.concatenate([texts.offsets, inner]), kind="stable")
    return Texts(texts.data, edges, first), first


def _places(data: npt.NDArray[np.uint8], start: int, stop: int, part_bytes: int) -> list[int]:
    """Where one row is cut: before a space, each at the first such place behind `part_bytes` bytes of its part."""
    places = []
    place = _next(data, start + part_bytes, stop)
    while place < stop:
        places.append(place)
        place = _next(data, place + part_bytes, stop)
    return places


def _next(data: npt.NDArray[np.uint8], start: int, stop: int) -> int:
    """The first space between ASCII letters from `start` on, or `stop`."""
    while start < stop - 1:
        window = data[start - 1 : min(start + _SEARCH_BYTES + 1, stop)]
        found = np.flatnonzero(_letters(window[:-2]) & (window[1:-1] == ord(" ")) & _letters(window[2:]))
        if len(found):
            return start + int(found[0])
        start += max(len(window) - 2, 1)
    return stop


def _letters(data: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    lower = data | 0x20
    return (lower >= ord("a")) & (lower <= ord("z"))
