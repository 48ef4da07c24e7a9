"""A long document that is encoded in parts has the ids of the whole; where that is not sure, it is not cut."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from mixtera.errors import TokenizerError
from mixtera.tokens.texts import Texts
from mixtera.tokens.tokenizers import cutting, open_tokenizer
from tests.tokens.conftest import END

EDGES = ["a", "Z", " ", "  ", "\n", "\r\n ", "é", "e\u0301", "'s", "'", "1", "234", "ſ", "日本", "-", "\t", "x y", END]
TEXT = st.lists(st.sampled_from(EDGES), max_size=60).map("".join)
PATTERNS = sorted(cutting._WORDS)


@pytest.fixture(scope="session", params=[None, *PATTERNS], ids=["gpt2", "first", "second", "third"])
def splitting(request: pytest.FixtureRequest, corpus: list[str]) -> Tokenizer:
    """A tokenizer that is trained with each of the expressions, on text that is joined and full of edges."""
    tokenizer = Tokenizer(models.BPE())
    last = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=request.param is None)
    split = [] if request.param is None else [pre_tokenizers.Split(Regex(request.param), "isolated")]
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([*split, last]) if split else last
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=1500, special_tokens=[END], initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator([*corpus, "a x  y's Z\n x y"] * 2, trainer)
    return tokenizer


def ids_of_parts(tokenizer: Tokenizer, text: str, part_bytes: int) -> tuple[list[int], int]:
    parts, first = cutting.cut(Texts.of(pa.array([text])), part_bytes)
    assert first.tolist() == [0, len(parts)]
    encoded = tokenizer.encode_batch_fast(parts.strings(0, len(parts)), add_special_tokens=False)
    return [number for one in encoded for number in one.ids], len(parts)


@given(text=TEXT, part_bytes=st.integers(1, 9))
def test_parts_have_the_ids_of_the_whole(splitting: Tokenizer, text: str, part_bytes: int) -> None:
    assert cutting.can_be_cut(json.loads(splitting.to_str()))
    got, _ = ids_of_parts(splitting, text, part_bytes)
    assert got == splitting.encode(text, add_special_tokens=False).ids


def test_a_corpus_in_parts_has_the_ids_of_the_whole(splitting: Tokenizer, corpus: list[str]) -> None:
    text = "\n".join(corpus)
    got, parts = ids_of_parts(splitting, text, 50)
    assert parts > 1000
    assert got == splitting.encode(text, add_special_tokens=False).ids


@given(texts=st.lists(TEXT, max_size=8), part_bytes=st.integers(1, 30))
def test_parts_are_the_rows_again(texts: list[str], part_bytes: int) -> None:
    whole = Texts.of(pa.array(texts, pa.string()))
    parts, first = cutting.cut(whole, part_bytes)
    strings = parts.strings(0, len(parts))
    assert ["".join(strings[start:stop]) for start, stop in pairwise(first.tolist())] == texts
    inner = set(range(len(parts))) - set(first.tolist())
    assert all(strings[part].startswith(" ") for part in inner)
    assert all(len(strings[part - 1].encode()) >= part_bytes for part in inner)


def test_a_long_row_has_the_ids_of_the_library(directory: Path, trained: Tokenizer, corpus: list[str]) -> None:
    long = "\n".join(corpus) * 12
    assert len(long) > 2 * cutting.PART_BYTES
    texts = ["short", long, "", long[:100], "y" * (cutting.PART_BYTES + 5)]
    opened = open_tokenizer("small.json", directory)
    encoded = opened.encode(pa.array(texts))
    expected = [trained.encode(text, add_special_tokens=False).ids for text in texts]
    assert np.diff(encoded.offsets).tolist() == [len(ids) for ids in expected] == opened.count(pa.array(texts)).tolist()
    assert encoded.tokens.tolist() == [number for ids in expected for number in ids]


def test_what_is_not_utf8_is_named_by_its_row_and_byte(directory: Path) -> None:
    long = b"some words " * (cutting.PART_BYTES // 10)
    column = pa.array([b"", long + b"\xff end", b"x"], pa.binary())
    said = f"row 1 of the column is not UTF-8: invalid start byte at byte {len(long):,} of {len(long) + 5:,}"
    with pytest.raises(TokenizerError, match=said):
        open_tokenizer("small.json", directory).encode(column)


@pytest.mark.parametrize(
    "changes",
    [
        {"normalizer": {"type": "Lowercase"}},
        {"normalizer": {"type": "Prepend", "prepend": "_"}},
        {"pre_tokenizer": None},
        {"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}},
        {"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}},
        {"pre_tokenizer": {"type": "Metaspace", "replacement": "_", "prepend_scheme": "first", "split": False}},
        {"pre_tokenizer": {"type": "Sequence", "pretokenizers": []}},
        {"added_tokens": [{"id": 0, "content": "x y", "rstrip": False}]},
        {"added_tokens": [{"id": 0, "content": END, "rstrip": True}]},
        {"model": {"type": "Unigram"}},
    ],
)
def test_what_is_not_sure_is_not_cut(trained: Tokenizer, changes: dict[str, object]) -> None:
    content = json.loads(trained.to_str())
    assert cutting.can_be_cut(content)
    assert not cutting.can_be_cut(content | changes)


def test_an_expression_that_is_not_known_is_not_cut(splitting: Tokenizer) -> None:
    content = json.loads(splitting.to_str())
    steps = content["pre_tokenizer"].get("pretokenizers")
    if steps:
        steps[0]["pattern"]["Regex"] += "|x y"
        assert not cutting.can_be_cut(content)
