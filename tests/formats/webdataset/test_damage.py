"""Every kind of damage to a tar and to its samples, each with the word that names it."""

from __future__ import annotations

import gzip
import io
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from mixtera.contracts.format import ContentColumn, PropertyColumn
from mixtera.testing.format import scan_file
from tests.formats.webdataset.scans import GOOD, JPG, WEB, keys, reasons, refused, scan
from tests.formats.webdataset.tars import Members, tar_bytes, write_tar


@pytest.mark.skipif(shutil.which("tar") is None, reason="there is no tar")
def test_links_and_sparse_files_say_how_to_pack_them(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(b"x" * 9)
    (folder / "b.jpg").hardlink_to(folder / "a.jpg")
    (folder / "c.jpg").symlink_to("a.jpg")
    with (folder / "d.jpg").open("wb") as file:
        file.truncate(1 << 20)
        file.seek(1 << 19)
        file.write(b"x")
    for form in ("gnu", "pax"):
        command = ["tar", f"--format={form}", "--sparse", "--sort=name", "-cf", tmp_path / "a.tar", "-C", folder]
        subprocess.run([*command, "a.jpg", "b.jpg", "c.jpg", "d.jpg"], check=True, timeout=600)
        table, bad, _ = scan(tmp_path / "a.tar")
        assert table["row"].to_pylist() == [0]
        words = ("--hard-dereference", "--dereference", "without `tar --sparse`")
        assert [row for row, _ in bad] == [1, 2, 3]
        assert all(word in reason for word, (_, reason) in zip(words, bad, strict=True))


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ([("a.json", b"{}")], "sample 'a' has no member 'jpg', it has json"),
        ([("a.jpg", b"1"), ("a.JPG", b"2")], "member 'a.jpg' is there twice"),
        ([("a.jpg", b""), ("a.json", b'{"width": "x"}')], "member 'a.json': property 'width' (width): expected int64"),
        ([("a.jpg", b""), ("a.json", b'{"width": 1.5}')], "expected int64, got 1.5"),
        ([("a.jpg", b""), ("a.json", b'{"width": 3')], "member 'a.json': malformed JSON"),
        ([("a.jpg", b""), ("a.json", b"")], "member 'a.json': malformed JSON"),
        ([("a.jpg", b""), ("a.json", b"[1]")], "member 'a.json': it is a list, must be an object"),
        ([("a.jpg", b""), ("a.json", b'{"width": 9223372036854775808}')], "expected int64"),
        ([("a.jpg", b""), ("a.json", b"[" * 100_000)], "nested too deeply"),
        ([("a.jpg", b""), ("a.json", b'{"n": "\xff"}')], "member 'a.json'"),
    ],
)
def test_a_bad_sample_says_what_is_wrong(members, said: str, tmp_path: Path) -> None:
    width = PropertyColumn("width", "json.width", "int64")
    bad = reasons(tmp_path, [*members, *GOOD[2:]], width)
    if b"\xff" in members[-1][1]:  # a string that nobody asks for is passed over, as in JSONL
        assert bad == []
    else:
        assert [row for row, _ in bad] == [0]
        assert said in bad[0][1]


@pytest.mark.parametrize(
    ("path", "members", "said"),
    [
        ("txt", [("a.txt", b"caf\xe9")], "member 'a.txt' is not valid UTF-8: unexpected end of data at byte 3"),
        ("json.text", [("a.json", b'{"text": 3}')], "content field 'text' is a number, must be a string"),
        ("json.text", [("a.json", b"{}")], "content field 'text' is missing"),
        ("json.text", [("a.txt", b"")], "sample 'a' has no member 'json'"),
        ("jpg;png", [("a.gif", b"")], "sample 'a' has no member 'jpg' or 'png', it has gif"),
        ("seg.png", [("a.seg.png", b"")], "a name with a dot stands in quotes, write '\"seg.png\"'"),
    ],
)
def test_content_that_is_not_there_or_no_text(path: str, members: Members, said: str, tmp_path: Path) -> None:
    bad = reasons(tmp_path, members, content=(ContentColumn("c", path),))
    assert said in bad[0][1]


def test_a_sample_may_lack_what_nobody_asks_for(tmp_path: Path) -> None:
    assert reasons(tmp_path, [("a.jpg", b""), ("a.txt", b"\xff"), ("a.txt", b""), ("b.jpg", b"")]) == []


def test_a_bad_sample_has_its_row_offset_and_name(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "a.tar", [*GOOD[:2], ("é.txt", b"x"), *GOOD[2:]])
    (bad,) = scan_file(WEB, path, (), JPG)[1]
    assert (bad.row, bad.offset, bad.excerpt) == (1, 2048, "é")
    assert scan(path)[0]["row"].to_pylist() == [0, 2]


def test_every_place_where_a_tar_may_be_cut_is_noticed(tmp_path: Path) -> None:
    data = tar_bytes(GOOD, tarfile.PAX_FORMAT)
    path = tmp_path / "a.tar"
    whole = 4 * 1024  # of headers and data; then zeros follow
    for size in [*range(0, whole, 256), *range(1, whole, 511), whole]:
        path.write_bytes(data[:size])
        assert "cut short" in refused(path), size
        (tmp_path / "b.tar.gz").write_bytes(gzip.compress(data[:size]))
        assert "cut short" in refused(tmp_path / "b.tar.gz"), size
    path.write_bytes(data[: whole + 512])  # one block of zeros will do
    assert scan(path)[0].num_rows == 2


def test_compressed_data_that_are_cut_short(tmp_path: Path) -> None:
    path = tmp_path / "a.tar.gz"
    path.write_bytes(gzip.compress(tar_bytes(GOOD))[:-30])
    assert "compressed data are cut short" in refused(path)


def test_tars_joined_with_cat_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(tar_bytes(GOOD) + tar_bytes(GOOD))
    assert "`tar --concatenate`" in refused(path)
    path.write_bytes(tar_bytes(GOOD) + bytes(3 << 20) + b"x")
    assert "behind the end of the tar" in refused(path)


def test_an_empty_tar_has_no_samples_and_an_empty_file_is_none(tmp_path: Path) -> None:
    table, bad, facts = scan(write_tar(tmp_path / "a.tar", []))
    assert (table.num_rows, bad, facts.rows) == (0, [], 0)
    (tmp_path / "b.tar").write_bytes(b"")
    assert "cut short" in refused(tmp_path / "b.tar")


@pytest.mark.parametrize("damage", ["size", "checksum", "name", "digits", "negative"])
def test_a_broken_header_is_named_with_its_place(damage: str, tmp_path: Path) -> None:
    data = bytearray(tar_bytes(GOOD))
    at = 2048
    match damage:
        case "size":
            data[at + 124] = ord("1")
        case "checksum":
            data[at + 148 : at + 156] = b"000000\0 "
        case "name":
            data[at] ^= 1
        case "digits":
            data[at + 148 : at + 156] = b"xxxxxx\0 "
        case "negative":
            data[at + 124 : at + 136] = b"\xff" * 12
            data[at + 148 : at + 156] = b"%06o\0 " % (sum(data[at : at + 512]) - sum(data[at + 148 : at + 156]) + 256)
    path = tmp_path / "a.tar"
    path.write_bytes(data)
    assert "byte 2,048: no header of a tar" in refused(path)


def test_a_long_name_without_its_member(tmp_path: Path) -> None:
    data = tar_bytes([("n" * 200 + ".jpg", b"x")], tarfile.GNU_FORMAT)
    path = tmp_path / "a.tar"
    path.write_bytes(data[:1024] + bytes(1024))
    assert "behind that of a long name" in refused(path)


@pytest.mark.parametrize(
    ("records", "said"),
    [
        (b"no length at all", "broken"),
        (b"99 path=x\n", "broken"),
        (b"9 path=x\n", ""),
        (b"10 size=-x\n", "broken"),
        (b"12 size=xyz\n", "the size in a PAX header is broken"),
    ],
)
def test_broken_pax_records(records: bytes, said: str, tmp_path: Path) -> None:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        info = tarfile.TarInfo("x")
        info.type, info.size = tarfile.XHDTYPE, len(records)
        tar.addfile(info, io.BytesIO(records))
        tar.addfile(tarfile.TarInfo("a.jpg"))
    path = tmp_path / "a.tar"
    path.write_bytes(sink.getvalue())
    if said:
        assert said in refused(path)
    else:
        assert keys(path) == []  # `x` has no extension


@pytest.mark.parametrize("data", [b"\x89PNG" + bytes(2000), b"text\n" * 500, bytes(range(256)) * 8])
def test_other_files_are_no_tar(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(data)
    assert "this is no tar" in refused(tmp_path / "a.tar")
