"""Flat token files: types, boundaries, and what is wrong with them."""

from __future__ import annotations

import gzip
import io
import pickle
from pathlib import Path

import numpy as np
import pytest

from mixtera.contracts.format import ContentColumn
from mixtera.errors import MixteraError, PluginError, SampleError, StorageError
from mixtera.formats.tokens import Tokens
from mixtera.registry import format_named, format_of, storage_of
from mixtera.testing.format import request, scan_file

CONTENT = (ContentColumn("tokens", "tokens"),)


def read(path: Path, name: str = "tokens") -> list[list[int]]:
    """All documents of a file."""
    format_ = format_named(name)
    table, bad, facts, _ = scan_file(format_, path, (), CONTENT)
    assert not bad
    assert facts.rows == len(table)
    assert facts.content_bytes == sum(table["length"].to_pylist()) // facts_width(table, path, format_) * 4
    storage = storage_of(str(path))
    reader = format_.reader(storage, storage.stat(str(path)), CONTENT, 0)
    return reader.read(request(table, range(len(table)), 0))["tokens"].to_pylist()


def facts_width(table, path: Path, format_) -> int:
    storage = storage_of(str(path))
    return format_.reader(storage, storage.stat(str(path)), CONTENT, 0).token_bytes


def raw(directory: Path, name: str, tokens: list[int], kind: str = "<u2") -> Path:
    path = directory / name
    np.array(tokens, kind).tofile(path)
    return path


def test_suffixes_are_known() -> None:
    for name in ("a.npy", "a/B.NPY", "a.ds", "a.u16", "a.u32"):
        assert format_of(name).name == "tokens"
    assert format_of("a.bin").name == "megatron"
    assert format_of("a.ds.index") is None


@pytest.mark.parametrize("kind", ["u1", "i1", "<u2", ">u2", "<i2", "<u4", ">u4", "<i4", "<u8", ">i8"])
def test_a_numpy_array_of_any_integers_is_one_document(tmp_path: Path, kind: str) -> None:
    np.save(tmp_path / "a.npy", np.array([1, 2, 127], kind))
    assert read(tmp_path / "a.npy") == [[1, 2, 127]]


def test_a_head_of_version_2(tmp_path: Path) -> None:
    with (tmp_path / "a.npy").open("wb") as file:
        np.lib.format.write_array(file, np.array([1, 2], np.uint16), (2, 0))
    assert read(tmp_path / "a.npy") == [[1, 2]]


@pytest.mark.parametrize(("suffix", "kind"), [(".u16", "<u2"), (".u32", "<u4")])
def test_suffixes_say_the_type(tmp_path: Path, suffix: str, kind: str) -> None:
    assert read(raw(tmp_path, f"a{suffix}", [5, 6], kind)) == [[5, 6]]


def test_raw_tokens_by_separator(tmp_path: Path) -> None:
    path = raw(tmp_path, "train.bin", [1, 0, 2, 3, 0, 0, 4])
    assert read(path, "tokens(dtype=uint16,separator=0)") == [[1, 0], [2, 3, 0], [0], [4]]
    assert read(path, "tokens(dtype=uint16,separator=9)") == [[1, 0, 2, 3, 0, 0, 4]]


def test_separators_across_the_pieces_that_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mixtera.formats.tokens.documents.READ_BYTES", 10)
    random = np.random.default_rng(3)
    for _ in range(20):
        tokens = random.integers(0, 4, random.integers(0, 60)).tolist()
        path = raw(tmp_path, "a.bin", tokens)
        found = read(path, "tokens(dtype=uint16,separator=0)")
        assert [token for document in found for token in document] == tokens
        assert all(document[-1] == 0 for document in found[:-1])
        assert all(0 not in document[:-1] for document in found)


def test_raw_tokens_by_the_id_that_documents_begin_with(tmp_path: Path) -> None:
    path = raw(tmp_path, "train.bin", [0, 1, 0, 0, 2, 3])
    assert read(path, "tokens(dtype=uint16,start=0)") == [[0, 1], [0], [0, 2, 3]]
    assert read(path, "tokens(dtype=uint16,start=1)") == [[0], [1, 0, 0, 2, 3]]
    assert read(path, "tokens(dtype=uint16,start=9)") == [[0, 1, 0, 0, 2, 3]]


@pytest.mark.parametrize(("magic", "version", "kind"), [(20240520, 1, "<u2"), (20240801, 7, "<u4")])
def test_the_head_of_llm_c(tmp_path: Path, magic: int, version: int, kind: str) -> None:
    head = np.zeros(256, "<i4")
    head[:3] = magic, version, 5
    path = tmp_path / "fineweb_train_000001.bin"
    path.write_bytes(head.tobytes() + np.array([50256, 1, 2, 50256, 3], kind).tobytes())
    assert read(path, "tokens(start=50256)") == [[50256, 1, 2], [50256, 3]]
    with pytest.raises(SampleError, match=r"000001\.bin holds uint\d\d by its head, and the spec says another dtype"):
        read(path, "tokens(dtype=uint8,start=5)")
    path.write_bytes(path.read_bytes() + bytes(2))  # the head does not fit: a raw file
    with pytest.raises(SampleError, match="does not say the type of its tokens"):
        read(path, "tokens(start=50256)")


def test_documents_of_one_length(tmp_path: Path) -> None:
    path = raw(tmp_path, "a.bin", list(range(7)))
    assert read(path, "tokens(dtype=uint16,length=3)") == [[0, 1, 2], [3, 4, 5], [6]]
    assert read(path, "tokens(dtype=uint16,length=7)") == [list(range(7))]
    assert read(path, "tokens(dtype=uint16,length=100)") == [list(range(7))]


@pytest.mark.parametrize("more", ["", ",separator=0", ",length=5", ",boundaries=none"])
def test_a_file_without_tokens_has_no_documents(tmp_path: Path, more: str) -> None:
    assert read(raw(tmp_path, "a.bin", []), f"tokens(dtype=uint16{more})") == []


def test_an_index_beside_it_and_documents_without_tokens(tmp_path: Path) -> None:
    path = raw(tmp_path, "a.ds", [1, 2, 3])
    raw(tmp_path, "a.ds.index", [0, 2, 2, 3, 3], "<u8")
    assert read(path) == [[], [1, 2], [], [3], []]
    assert read(path, "tokens(dtype=uint16,boundaries=none)") == [[1, 2, 3]]


def test_an_empty_index_of_an_empty_file(tmp_path: Path) -> None:
    raw(tmp_path, "a.ds.index", [], "<u8")
    assert read(raw(tmp_path, "a.ds", [])) == []


def write_csv(path: Path, text: str) -> None:
    path.write_bytes(gzip.compress(text.encode()))


def test_a_table_of_documents(tmp_path: Path) -> None:
    path = raw(tmp_path, "a.npy", [1, 2, 3], "<u4")
    write_csv(tmp_path / "a.csv.gz", '0,2,"x, ""y""\nz",s3://b,0\r\n2,3,id,s3://b,1\r\n')
    assert read(path, "tokens(dtype=uint32,boundaries=csv)") == [[1, 2], [3]]
    write_csv(tmp_path / "b.csv.gz", "")
    assert read(raw(tmp_path, "b.npy", [], "<u4"), "tokens(dtype=uint32,boundaries=csv)") == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0,2,a\n", r"a\.npy: its documents end at token 2 and it has 3 tokens, by .*a\.csv\.gz"),
        ("0,4,a\n", r"a\.npy: document 0 ends at token 4 and the file has 3"),
        ("0,2,a\n1,3,b\n", r"a\.csv\.gz, line 2: the document begins at token 1"),
        ("0,1,a\n2,3,b\n", r"a\.csv\.gz, line 2: the document begins at token 2"),
        ("start,end\n0,3\n", r"a\.csv\.gz is no table of documents"),
        ("0\n3\n", r"a\.csv\.gz is no table of documents"),
        ("0,,a\n", r"a\.csv\.gz is no table of documents"),
        ("0,2,a\n2,1,b\n", r"a\.npy: document 1 ends at token 1, before the one in front"),
        ("", r"a\.npy: its documents end at token 0"),
    ],
)
def test_a_table_that_does_not_fit(tmp_path: Path, text: str, said: str) -> None:
    path = raw(tmp_path, "a.npy", [1, 2, 3], "<u4")
    write_csv(tmp_path / "a.csv.gz", text)
    with pytest.raises(SampleError, match=said):
        read(path, "tokens(dtype=uint32,boundaries=csv)")


def test_a_table_cut_short(tmp_path: Path) -> None:
    path = raw(tmp_path, "a.npy", [1, 2, 3], "<u4")
    whole = gzip.compress(b"".join(b"%d,%d,%d\n" % (i, i + 1, i * 7919) for i in range(2000)))
    (tmp_path / "a.csv.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SampleError, match=r"a\.(csv\.gz|npy)"):
        read(path, "tokens(dtype=uint32,boundaries=csv)")


@pytest.mark.parametrize(
    ("ends", "said"),
    [
        ([2, 1, 3], r"a\.ds: document 1 ends at token 1, before the one in front of it \(2\), by .*a\.ds\.index"),
        ([2, 2**63 - 1, 3], r"a\.ds: document 1 ends at token 9,223,372,036,854,775,807|before the one"),
        ([2**64 - 1, 3], r"a\.ds: document 0 ends at token -1, before"),
        ([5, 3], r"document 1 ends at token 3, before the one in front of it \(5\)"),
        ([2], r"a\.ds has 6 bytes and its index counts 2 tokens|its documents end at token 2"),
        ([4], r"a\.ds has 6 bytes and its index counts 4 tokens"),
        ([], r"a\.ds has 6 bytes and its index counts 0 tokens"),
    ],
)
def test_an_index_that_does_not_fit(tmp_path: Path, ends: list[int], said: str) -> None:
    path = raw(tmp_path, "a.ds", [1, 2, 3])
    raw(tmp_path, "a.ds.index", ends, "<u8")
    with pytest.raises(SampleError, match=said):
        read(path)


def test_an_index_cut_short_or_not_there(tmp_path: Path) -> None:
    path = raw(tmp_path, "a.ds", [1, 2, 3])
    (tmp_path / "a.ds.index").write_bytes(bytes(7))
    with pytest.raises(SampleError, match=r"a\.ds\.index is cut short: its 7 bytes"):
        read(path)
    (tmp_path / "a.ds.index").unlink()
    with pytest.raises(StorageError, match=r"a\.ds: no file .*a\.ds\.index.*`boundaries: none`"):
        read(path)
    with pytest.raises(StorageError, match=r"a\.npy: no file .*a\.csv\.gz.*`separator: ID`"):
        read(raw(tmp_path, "a.npy", [1]), "tokens(dtype=uint16,boundaries=csv)")


class Trap:
    """What a pickle runs when it is loaded."""

    def __reduce__(self):
        return (pytest.fail, ("the pickle was loaded",))


def test_pickles_are_never_loaded(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    np.save(path, np.array([Trap(), Trap()], object), allow_pickle=True)
    with pytest.raises(SampleError, match=r"a\.npy holds Python objects \(pickles\), which are never loaded"):
        read(path)
    path.write_bytes(pickle.dumps([Trap()]))
    with pytest.raises(SampleError, match=r"a\.npy does not say the type of its tokens"):
        read(path)


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.zeros((2, 3), np.int32), r"a\.npy holds an array of shape \(2, 3\).*reshape\(-1\)"),
        (np.asfortranarray(np.zeros((2, 3), np.int32)), r"a\.npy holds an array of shape \(2, 3\)"),
        (np.array(5), r"a\.npy holds an array of shape \(\)"),
        (np.zeros(3), r"a\.npy holds float64, and token ids are integers"),
        (np.zeros(3, bool), r"a\.npy holds bool"),
        (np.zeros(3, "U2"), r"a\.npy holds <U2"),
        (np.zeros(3, [("a", "i4")]), r"a\.npy holds \[\('a', '<i4'\)\]"),
    ],
)
def test_arrays_of_something_else(tmp_path: Path, array: np.ndarray, said: str) -> None:
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(SampleError, match=said):
        read(tmp_path / "a.npy")


def test_an_array_cut_short_or_too_long(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    np.save(path, np.arange(10, dtype=np.uint16))
    whole = path.read_bytes()
    for data in (whole[:-2], whole + b"\0\0"):
        path.write_bytes(data)
        with pytest.raises(SampleError, match=r"a\.npy is cut short or damaged: 10 tokens of uint16"):
            read(path)


def test_any_damage_to_the_head_is_a_named_error_or_harmless(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    np.save(path, np.arange(8, dtype=np.uint16))
    whole = path.read_bytes()
    random = np.random.default_rng(2)
    for _ in range(500):
        damaged = bytearray(whole)
        for at in random.integers(6, 80, random.integers(1, 4)).tolist():
            damaged[at] = random.integers(0, 256)
        path.write_bytes(bytes(damaged[: random.integers(1, 130)] if random.random() < 0.3 else damaged))
        try:
            read(path)
        except MixteraError as error:
            assert path.name in str(error)  # noqa: PT017 - some damage does no harm


def test_the_type_that_the_spec_says_must_be_that_of_the_head(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.arange(3, dtype=np.uint16))
    assert read(tmp_path / "a.npy", "tokens(dtype=uint16)") == [[0, 1, 2]]
    with pytest.raises(SampleError, match=r"a\.npy holds uint16 and the spec says dtype uint32"):
        read(tmp_path / "a.npy", "tokens(dtype=uint32)")


def test_raw_tokens_that_do_not_fit_their_type(tmp_path: Path) -> None:
    path = raw(tmp_path, "a.bin", [1, 2, 3])
    with pytest.raises(SampleError, match=r"a\.bin does not say the type of its tokens.*dtype: uint16"):
        read(path)
    with pytest.raises(SampleError, match=r"a\.bin: its 6 bytes are no whole number of uint32 tokens"):
        read(path, "tokens(dtype=uint32)")
    with pytest.raises(SampleError, match=r"a\.bin: no token can be 300: its tokens are uint8, at most 255"):
        read(path, "tokens(dtype=uint8,separator=300)")


def test_tokens_that_32_bits_do_not_hold(tmp_path: Path) -> None:
    path = raw(tmp_path, "a.u32", [1, 2**32 - 1, 3], "<u4")
    with pytest.raises(SampleError, match=r"a\.u32, byte 4: 4294967295 is no token id.*taken for uint32"):
        read(path)
    assert read(raw(tmp_path, "b.u32", [2**31 - 1], "<u4")) == [[2**31 - 1]]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("dtype=float32", "dtype: 'float32' is not allowed; allowed: uint8, int8, uint16"),
        ("separator=-1", "separator: expected a whole number from 0 to"),
        ("separator=x", "separator: expected a whole number"),
        ("length=0", "length: expected a whole number from 1 to"),
        ("boundaries=json", "boundaries: 'json' is not allowed; allowed: index, csv, none"),
        ("separator=1,length=2", "separator and length: one of them says where documents end"),
        ("seperator=1", "no option 'seperator'; it has dtype, separator, start, length, boundaries"),
    ],
)
def test_options_that_are_wrong(options: str, said: str) -> None:
    with pytest.raises(PluginError, match=said):
        format_named(f"tokens({options})")


def test_a_numpy_archive_is_none(tmp_path: Path) -> None:
    data = io.BytesIO()
    np.savez(data, a=np.arange(3))
    (tmp_path / "a.npy").write_bytes(data.getvalue())
    with pytest.raises(SampleError, match=r"a\.npy"):
        read(tmp_path / "a.npy")


def test_the_format_keeps_its_options_in_other_processes() -> None:
    format_ = Tokens().configured({"dtype": "uint16", "separator": "0"})
    assert pickle.loads(pickle.dumps(format_)).configured({}) is not None
