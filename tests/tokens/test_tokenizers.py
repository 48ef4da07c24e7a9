"""All tokenizers keep one contract: ids of columns, counts, text again, on any Arrow type and in any process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer as Library

from mixtera.contracts.tokenizer import Tokenizer
from mixtera.errors import TokenizerError
from mixtera.tokens.tokenizers import open_tokenizer
from tests.tokens.conftest import END

KINDS = ["bytes", "small.json", "r50k_base.tiktoken"]
TYPES = [pa.string(), pa.large_string(), pa.binary(), pa.large_binary(), pa.string_view(), pa.binary_view()]


@pytest.fixture(scope="session", params=KINDS)
def tokenizer(request: pytest.FixtureRequest, directory: Path) -> Tokenizer:
    return open_tokenizer(request.param, directory)


def rows(tokenizer: Tokenizer, column: pa.Array) -> list[list[int]]:
    encoded = tokenizer.encode(column)
    assert encoded.tokens.dtype == np.int32
    assert encoded.offsets.dtype == np.int64
    assert len(encoded.offsets) == len(column) + 1
    assert encoded.offsets[0] == 0
    assert encoded.offsets[-1] == len(encoded.tokens)
    assert np.diff(encoded.offsets).tolist() == tokenizer.count(column).tolist()
    return [part.tolist() for part in np.split(encoded.tokens, encoded.offsets[1:-1])] if len(column) else []


def test_ids_are_those_of_the_library(directory: Path, trained: Library, corpus: list[str]) -> None:
    opened = open_tokenizer("small.json", directory)
    expected = [trained.encode(text, add_special_tokens=False).ids for text in corpus]
    assert rows(opened, pa.array(corpus)) == expected


def test_ranks_give_the_ids_of_the_same_merges(directory: Path, corpus: list[str]) -> None:
    small, ranks = (rows(open_tokenizer(name, directory), pa.array(corpus)) for name in KINDS[1:])
    assert small == [[number + 1 for number in row] for row in ranks]


def test_ids_of_bytes_are_the_bytes(corpus: list[str], directory: Path) -> None:
    assert rows(open_tokenizer("bytes", directory), pa.array(corpus)) == [list(text.encode()) for text in corpus]


@pytest.mark.parametrize("kind", TYPES, ids=str)
def test_every_type_of_text_gives_the_same_ids(tokenizer: Tokenizer, corpus: list[str], kind: pa.DataType) -> None:
    expected = rows(tokenizer, pa.array(corpus))
    assert rows(tokenizer, pa.array([text.encode() for text in corpus], pa.binary()).cast(kind)) == expected


def test_slices_dictionaries_and_nulls(tokenizer: Tokenizer, corpus: list[str]) -> None:
    texts = [*corpus[-6:], None, "", "last"]
    column = pa.array(texts)
    expected = rows(tokenizer, column)
    assert expected[6:8] == [[], []]
    assert rows(tokenizer, column.slice(2, 5)) == expected[2:7]
    assert rows(tokenizer, column.dictionary_encode()) == expected
    assert rows(tokenizer, column.slice(0, 0)) == []
    assert rows(tokenizer, pa.nulls(3)) == [[], [], []]
    assert rows(tokenizer, pa.nulls(2, pa.string())) == [[], []]
    assert rows(tokenizer, pa.array([], pa.string())) == []


def test_a_null_over_bytes_that_are_there_has_no_tokens(tokenizer: Tokenizer) -> None:
    buffers = pa.array(["one", "two", "three"]).buffers()
    hidden = pa.Array.from_buffers(pa.string(), 3, [pa.py_buffer(b"\x05"), *buffers[1:]])
    assert hidden.to_pylist() == ["one", None, "three"]
    assert rows(tokenizer, hidden) == rows(tokenizer, pa.array(["one", None, "three"]))


@given(texts=st.lists(st.text(max_size=40) | st.none(), max_size=12))
def test_decoding_gives_the_text_again(tokenizer: Tokenizer, texts: list[str | None]) -> None:
    safe = [None if text is None else text.replace(END, "") for text in texts]
    got = rows(tokenizer, pa.array(safe, pa.string()))
    assert [tokenizer.decode(row) for row in got] == [text or "" for text in safe]


def test_rows_of_groups_lie_together(tokenizer: Tokenizer) -> None:
    texts = ["x" * (5 << 20), "", "a small one", "y z " * (3 << 18), "b" * 100] * 2  # beyond one group, and at its edge
    texts[0] = texts[0][:100_000]
    got = rows(tokenizer, pa.array(texts))
    assert got[2] == rows(tokenizer, pa.array(["a small one"]))[0]
    assert got[8] == rows(tokenizer, pa.array([texts[8]]))[0]
    assert got[9] == got[4]


def test_what_stands_for_a_special_token_in_a_text(directory: Path) -> None:
    text = pa.array([f"a{END}b"])
    small, ranks, plain = (open_tokenizer(name, directory) for name in ("small.json", "r50k_base.tiktoken", "bytes"))
    assert rows(small, text)[0].count(small.eos) == 1  # the token itself, as wherever the file is used
    assert ranks.eos not in rows(ranks, text)[0]
    assert plain.eos not in rows(plain, text)[0]


@pytest.mark.parametrize("name", ["small.json", "r50k_base.tiktoken"])
def test_what_is_not_utf8_is_named(name: str, directory: Path) -> None:
    column = pa.array([b"fine", b"ok", b"bad \xff\xfe"], pa.binary())
    for broken in (column, column.view(pa.string())):
        for use in (open_tokenizer(name, directory).encode, open_tokenizer(name, directory).count):
            with pytest.raises(
                TokenizerError, match="row 2 of the column is not UTF-8: invalid start byte at byte 4 of 6"
            ):
                use(broken)


def test_bytes_take_what_is_not_utf8(directory: Path) -> None:
    opened = open_tokenizer("bytes", directory)
    got = rows(opened, pa.array([b"\xff\x00\xfe"], pa.binary()))
    assert got == [[255, 0, 254]]
    assert opened.decode([*got[0], opened.bos, 65, opened.eos, opened.eos]) == "\ufffd\x00\ufffd<bos>A<eos><eos>"


@pytest.mark.parametrize("column", [pa.array([1, 2]), pa.array([["a"]]), pa.array([True])], ids=["int", "list", "bool"])
def test_a_column_of_something_else_is_refused(tokenizer: Tokenizer, column: pa.Array) -> None:
    with pytest.raises(TokenizerError, match="cannot be tokenized; strings and bytes can"):
        tokenizer.encode(column)
    with pytest.raises(TokenizerError, match="cannot be tokenized"):
        tokenizer.count(column)


@pytest.mark.parametrize("wrong", [[-1], [10**6], [5, 2**40]])
def test_ids_of_no_token_are_refused(tokenizer: Tokenizer, wrong: list[int]) -> None:
    with pytest.raises(TokenizerError, match="has ids from 0 to"):
        tokenizer.decode(wrong)


def test_sizes_hold_every_id(tokenizer: Tokenizer, corpus: list[str]) -> None:
    encoded = tokenizer.encode(pa.array(corpus))
    assert 0 <= encoded.tokens.min() <= encoded.tokens.max() < tokenizer.vocab_size
    assert tokenizer.eos is not None
    assert tokenizer.eos < tokenizer.vocab_size


FORKED = """
import multiprocessing, os, sys, warnings
from pathlib import Path
import pyarrow as pa
from mixtera.tokens.tokenizers import open_tokenizer

name, directory = sys.argv[1], Path(sys.argv[2])
texts = pa.array(["some words of a text, and more of them " * 20] * 200)
tokenizer = open_tokenizer(name, directory)
expected = int(tokenizer.encode(texts).tokens.sum())  # the threads have run before the fork


def work(place, answers):
    opened = tokenizer if place % 2 else open_tokenizer(name, directory)
    answers.put((int(opened.encode(texts).tokens.sum()), os.environ["TOKENIZERS_PARALLELISM"]))


before = os.environ.get("TOKENIZERS_PARALLELISM")
context = multiprocessing.get_context("fork")
answers = context.SimpleQueue()
workers = [context.Process(target=work, args=(place, answers)) for place in range(4)]
for worker in workers:
    worker.start()
for worker in workers:
    assert answers.get() == (expected, "false")
    worker.join()
assert os.environ.get("TOKENIZERS_PARALLELISM") == before
assert int(tokenizer.encode(texts).tokens.sum()) == expected
print("same")
"""


@pytest.mark.parametrize("parallelism", [None, "true", "false"])
@pytest.mark.parametrize("name", KINDS[1:])
def test_forked_workers_neither_warn_nor_hang(name: str, directory: Path, parallelism: str | None) -> None:
    environment = {key: value for key, value in os.environ.items() if key != "TOKENIZERS_PARALLELISM"}
    if parallelism is not None:
        environment["TOKENIZERS_PARALLELISM"] = parallelism
    done = subprocess.run(
        [sys.executable, "-c", FORKED, name, str(directory)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "same\n", "")


ELSEWHERE = """
import json, sys
from pathlib import Path
import pyarrow as pa
from mixtera.tokens.tokenizers import open_tokenizer

opened = open_tokenizer(sys.argv[1], Path(sys.argv[2]))
print(json.dumps([opened.fingerprint, opened.encode(pa.array(json.loads(sys.argv[3]))).tokens.tolist()]))
"""


@pytest.mark.parametrize("name", KINDS)
def test_another_process_gives_the_same(name: str, directory: Path) -> None:
    texts = ["a few words", "and more"]
    command = [sys.executable, "-c", ELSEWHERE, name, str(directory), json.dumps(texts)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=True)
    opened = open_tokenizer(name, directory)
    assert json.loads(done.stdout) == [opened.fingerprint, opened.encode(pa.array(texts)).tokens.tolist()]
