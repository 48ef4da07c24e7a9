"""Megatron datasets: properties, and what is wrong with a pair of files."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mixtera.contracts.format import ContentColumn, PropertyColumn
from mixtera.errors import MixteraError, PluginError, SampleError, StorageError
from mixtera.formats.megatron import Megatron
from mixtera.registry import format_named, storage_of
from mixtera.testing.format import request, scan_file

from .token_files import as_documents, write_megatron

plugin = Megatron()
CONTENT = (ContentColumn("tokens", "tokens"),)
MORE = tuple(PropertyColumn(name, name, "int64") for name in ("tokens", "sequences", "mode"))
DOCUMENTS = [[1, 2, 3], [], [4], [5, 6, 7, 8]]
HEAD = 34
"""Bytes before the lengths of sequences."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "x_text_document.bin"
    write_megatron(path, DOCUMENTS, as_documents(DOCUMENTS))
    return path


def index(path: Path) -> Path:
    return path.with_suffix(".idx")


def scanned(path: Path, properties=(), content=CONTENT, format_=plugin):
    return scan_file(format_, path, properties, content)


def opened(path: Path):
    storage = storage_of(str(path))
    return plugin.reader(storage, storage.stat(str(path)), CONTENT, 0)


def patched(path: Path, at: int, data: bytes) -> None:
    whole = bytearray(path.read_bytes())
    whole[at : at + len(data)] = data
    path.write_bytes(bytes(whole))


def test_documents_of_several_sequences_and_their_modes(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    write_megatron(path, [[1], [2, 3], [4], [], [5]], [0, 2, 2, 3, 5], "int32", [1, 1, 0, 0, 2])
    table = scanned(path, MORE)[0]
    assert table.select(["tokens", "sequences", "mode"]).to_pydict() == {
        "tokens": [3, 0, 1, 1],
        "sequences": [2, 0, 1, 2],
        "mode": [1, None, 0, None],
    }
    assert opened(path).read(request(table, range(4), 0))["tokens"].to_pylist() == [[1, 2, 3], [], [4], [5]]


def test_sequences_may_be_rows(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    write_megatron(path, [[1], [2, 3], [4], [], [5]], [0, 2, 2, 3, 5], "int32", [1, 1, 0, 0, 2])
    format_ = format_named("megatron(rows=sequences)")
    table = scanned(path, MORE, format_=format_)[0]
    assert table["tokens"].to_pylist() == [1, 2, 1, 0, 1]
    assert table["mode"].to_pylist() == [1, 1, 0, 0, 2]


def test_there_is_no_mode_where_the_index_has_none(path: Path) -> None:
    assert scanned(path, MORE)[0]["mode"].to_pylist() == [None] * 4


def test_negative_tokens_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    write_megatron(path, [[-100, 5]], [0, 1], "int8")
    assert opened(path).read(request(scanned(path)[0], [0], 0))["tokens"].to_pylist() == [[-100, 5]]


@pytest.mark.parametrize("token", [2**31, -(2**31) - 1, 2**62])
def test_a_token_that_needs_more_than_32_bits_is_named(tmp_path: Path, token: int) -> None:
    path = tmp_path / "a.bin"
    write_megatron(path, [[1, 2], [3, token, 2**31 - 1]], [0, 1, 2], "int64")
    table = scanned(path)[0]
    reader = opened(path)
    assert reader.read(request(table, [0], 0))["tokens"].to_pylist() == [[1, 2]]
    with pytest.raises(SampleError, match=rf"a\.bin, byte 24: {token} is no token id that 32 bits hold.*int64"):
        reader.read(request(table, [0, 1], 0))


def fewer_bytes(path: Path, count: int) -> None:
    path.write_bytes(path.read_bytes()[:-count])


def more_bytes(path: Path, count: int) -> None:
    path.write_bytes(path.read_bytes() + bytes(count))


LENGTHS, POINTERS = HEAD, HEAD + 4 * len(DOCUMENTS)
ENDS = POINTERS + 8 * len(DOCUMENTS)
BAD: list[tuple[Callable[[Path], None], str]] = [
    (lambda path: patched(index(path), 0, b"TNTIDX"), r"\.idx is no index of a Megatron dataset.*MMIDIDX"),
    (lambda path: index(path).write_bytes(b""), r"\.idx is no index"),
    (lambda path: index(path).write_bytes(b"MMIDIDX\0\0\1"), r"\.idx is cut short: an index has at least 34"),
    (lambda path: patched(index(path), 9, b"\2"), r"\.idx is an index of version 2"),
    (lambda path: patched(index(path), 17, b"\6"), r"\.idx: the dataset holds float64"),
    (lambda path: patched(index(path), 17, b"\7"), r"\.idx: the dataset holds float32"),
    (lambda path: patched(index(path), 17, b"\0"), r"\.idx: code 0 is no type"),
    (lambda path: patched(index(path), 17, b"\x63"), r"\.idx: code 99 is no type"),
    (lambda path: patched(index(path), 17, b"\4"), r"\.bin: document 3 .*|\.idx: sequence 1 begins at byte 6"),
    (lambda path: patched(index(path), 18, struct.pack("<Q", 2**63)), r"\.idx is cut short"),
    (lambda path: fewer_bytes(index(path), 1), r"\.idx is cut short: 4 sequences and 5 document ends need"),
    (lambda path: more_bytes(index(path), 3), r"\.idx has 3 bytes behind its end"),
    (lambda path: patched(index(path), LENGTHS, struct.pack("<i", -1)), r"\.idx: sequence 0 has -1 tokens"),
    (lambda path: patched(index(path), POINTERS + 16, struct.pack("<q", 2)), r"sequence 2 begins at byte 2 and overl"),
    (lambda path: patched(index(path), POINTERS + 16, struct.pack("<q", 8)), r"sequence 2 begins at byte 8 and leav"),
    (lambda path: patched(index(path), POINTERS, struct.pack("<q", -6)), r"\.bin: its 16 bytes from byte -6 on"),
    (lambda path: patched(index(path), ENDS, struct.pack("<q", 1)), r"document ends does not begin with 0"),
    (lambda path: patched(index(path), ENDS + 16, struct.pack("<q", 0)), r"document 1 has the sequences from 1 to 0"),
    (lambda path: patched(index(path), ENDS + 32, struct.pack("<q", 9)), r"document 3 has the sequences from 3 to 9"),
    (lambda path: patched(index(path), ENDS + 32, struct.pack("<q", 3)), r"1 of 4 sequences belong to no document"),
    (lambda path: fewer_bytes(path, 1), r"\.bin: its 15 bytes .* no whole number of uint16 tokens"),
    (lambda path: fewer_bytes(path, 4), r"\.bin: document 3 ends at token 8 and the file has 6.*\.idx.*cut short"),
    (lambda path: more_bytes(path, 2), r"\.bin: its documents end at token 8 and it has 9 tokens, by .*\.idx"),
]


@pytest.mark.parametrize(("damage", "said"), BAD, ids=[said[:40] for _, said in BAD])
def test_a_damaged_pair_is_refused(path: Path, damage: Callable[[Path], None], said: str) -> None:
    damage(path)
    with pytest.raises(SampleError, match=said):
        scanned(path)


def test_any_damage_to_an_index_is_a_named_error_or_harmless(path: Path) -> None:
    whole = index(path).read_bytes()
    random = np.random.default_rng(11)
    refused = 0
    for _ in range(600):
        damaged = bytearray(whole)
        for at in random.integers(0, len(whole), random.integers(1, 4)).tolist():
            damaged[at] = random.integers(0, 256)
        index(path).write_bytes(
            bytes(damaged[: random.integers(1, len(whole) + 1)] if random.random() < 0.3 else damaged)
        )
        try:
            table = scanned(path, MORE)[0]
        except MixteraError as error:
            refused += 1
            assert path.stem in str(error)  # noqa: PT017 - some damage does no harm
        else:
            assert sum(table["tokens"].to_pylist()) * 2 in (16, 32, 8, 4)
    assert refused > 300


def test_an_index_that_is_not_there(path: Path) -> None:
    index(path).unlink()
    for use in (scanned, opened):
        with pytest.raises(StorageError, match=r"its index cannot be opened \(no file .*\.idx.*name: tokens, dtype"):
            use(path)


def test_files_of_other_names(path: Path) -> None:
    with pytest.raises(SampleError, match=r"\.idx is the index of a Megatron dataset: let `path` name the \.bin"):
        scanned(index(path))
    with pytest.raises(SampleError, match=r"a Megatron dataset is a file X\.bin"):
        scanned(path.rename(path.with_suffix(".dat")))


def test_other_content_and_other_types_of_properties(path: Path) -> None:
    with pytest.raises(SampleError, match=r"no content 'text': .*`content: \{text: tokens\}`"):
        scanned(path, content=(ContentColumn("text", "text"),))
    with pytest.raises(SampleError, match=r"property 'n' \(tokens\) is declared as string.*write type int64"):
        scanned(path, (PropertyColumn("n", "tokens", "string"),))
    assert scanned(path, (PropertyColumn("n", "tokens", "float64"),))[0]["n"].to_pylist() == [3.0, 0.0, 1.0, 4.0]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("megatron(rows=words)", "rows: 'words' is not allowed; allowed: documents, sequences"),
        ("megatron(row=documents)", "the format 'megatron' has no option 'row'; it has 'rows'"),
        ("jsonl(rows=words)", "the format 'jsonl' takes no options; found rows"),
        ("megatron(rows)", r"no format with options; write NAME\(OPTION=VALUE"),
    ],
)
def test_options_that_are_wrong(name: str, said: str) -> None:
    with pytest.raises(PluginError, match=said):
        format_named(name)
