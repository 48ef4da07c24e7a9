"""Counts are the lengths of what is encoded, with options that a spec can write down."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pyarrow as pa
import pytest

from mixtera.errors import TokenizerError
from mixtera.tokens.counting import count, opened_once
from mixtera.tokens.template import parse
from mixtera.tokens.tokenizers import open_tokenizer

TEMPLATE = "{title}\n\n{text}"


@pytest.fixture
def batch(corpus: list[str]) -> pa.RecordBatch:
    titles = [f"Document {number}" if number % 3 else None for number in range(len(corpus))]
    return pa.record_batch({"title": titles, "text": corpus})


@pytest.mark.parametrize("name", ["bytes", "small.json", "r50k_base.tiktoken"])
def test_counts_are_lengths(name: str, directory: Path, batch: pa.RecordBatch) -> None:
    options = json.loads(json.dumps({"tokenizer": name, "directory": str(directory), "template": TEMPLATE}))
    got = count(batch, **options)
    assert got.type == pa.int64()
    opened = open_tokenizer(name, directory)
    text = parse(TEMPLATE).render(batch)
    assert got.to_pylist() == [opened.encode(text.slice(row, 1)).offsets[-1] for row in range(len(batch))]
    assert count(batch.slice(3, 4), **options).equals(got.slice(3, 4))
    plain = count(batch.select(["text"]), tokenizer=name, directory=str(directory), prefix="\n")
    assert plain.to_pylist() == [opened.encode(pa.array([f"\n{row}"])).offsets[-1] for row in batch["text"].to_pylist()]


def test_null_has_no_tokens() -> None:
    batch = pa.record_batch({"text": ["ab", None, ""]})
    assert count(batch, tokenizer="bytes").to_pylist() == [2, 0, 0]
    assert count(batch, tokenizer="bytes", prefix="> ").to_pylist() == [4, 0, 2]


def test_a_tokenizer_is_opened_once(directory: Path) -> None:
    first = opened_once("small.json", str(directory))
    assert opened_once("small.json", str(directory), first.fingerprint) is first


def test_a_tokenizer_that_moved_is_refused(directory: Path, tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    shutil.copy(directory / "small.json", path)
    batch = pa.record_batch({"text": ["some words"]})
    options = {"tokenizer": "tokenizer.json", "directory": str(tmp_path)}
    before = opened_once(**options).fingerprint
    expected = count(batch, **options, fingerprint=before)
    content = json.loads(path.read_text())
    content["model"]["merges"].clear()
    path.write_text(json.dumps(content))
    after = open_tokenizer("tokenizer.json", tmp_path).fingerprint
    assert count(batch, **options, fingerprint=after).to_pylist() == [10]  # seen, though it was open
    with pytest.raises(TokenizerError, match=f"'tokenizer.json' has moved: it is {after} now, .* with {before}"):
        count(batch, **options, fingerprint=before)
    shutil.copy(directory / "small.json", path)
    assert count(batch, **options, fingerprint=before) == expected


def test_wrong_options_are_refused(batch: pa.RecordBatch) -> None:
    with pytest.raises(TokenizerError, match="the content has 2 columns"):
        count(batch, tokenizer="bytes")
    with pytest.raises(TokenizerError, match="did you mean 'bytes'"):
        count(batch, tokenizer="byte:", template="{text}")
