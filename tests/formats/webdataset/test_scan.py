"""What makes a sample, what its properties are, and every kind of damage, each with the word that names it."""

from __future__ import annotations

import gzip
import io
import json
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixtera.contracts.format import ContentColumn, PropertyColumn
from mixtera.contracts.storage import FileInfo
from mixtera.errors import SampleError
from mixtera.formats.webdataset import WebDataset
from mixtera.registry import storage_of
from mixtera.testing.format import request, scan_file
from tests.formats.webdataset.tars import Members, tar_bytes, write_tar

WEB = WebDataset()
KEY = PropertyColumn("key", "__key__", "string")
JPG = (ContentColumn("image", "jpg"),)
GOOD = [("a.jpg", b"1"), ("a.json", b'{"width": 3}'), ("b.jpg", b"22"), ("b.json", b'{"width": 4}')]


def scan(path: Path, *properties: PropertyColumn, content: tuple[ContentColumn, ...] = JPG):
    table, bad, facts, _ = scan_file(WEB, path, properties, content)
    return table, [(sample.row, sample.reason) for sample in bad], facts


def keys(path: Path, content: tuple[ContentColumn, ...] = ()) -> list[str]:
    return scan(path, KEY, content=content)[0]["key"].to_pylist()


def refused(path: Path) -> str:
    with pytest.raises(SampleError, match=re.escape(path.name)) as error:
        scan(path)
    return str(error.value)


def reasons(tmp_path: Path, members: Members, *properties: PropertyColumn, content=JPG) -> list[tuple[int, str]]:
    return scan(write_tar(tmp_path / "a.tar", members), *properties, content=content)[1]


def infer(path: Path, **paths: str):
    storage = storage_of(str(path))
    return WEB.infer(storage, [storage.stat(str(path))], paths)


def test_a_sample_is_one_range_from_its_first_header_to_its_last_block(tmp_path: Path) -> None:
    table, bad, facts = scan(write_tar(tmp_path / "a.tar", GOOD))
    assert table["offset"].to_pylist() == [0, 2048]
    assert table["length"].to_pylist() == [2048, 2048]
    assert (bad, facts.rows, facts.content_bytes, facts.group_rows) == ([], 2, 4096, ())


def test_keys_and_extensions_are_those_of_the_library_webdataset(tmp_path: Path) -> None:
    names = ["x/0.1.jpg", "x/0.JPG", "y/0.jpg", "./0.jpg", "v1.0/a.jpg", "wörld.jpg"]
    path = write_tar(tmp_path / "a.tar", [(name, b"") for name in names], tarfile.GNU_FORMAT)
    assert keys(path) == ["x/0", "y/0", "./0", "v1.0/a", "wörld"]
    table, bad, _ = scan(path)
    assert (table["row"].to_pylist(), bad) == ([0, 1, 2, 3, 4], [])


def test_what_belongs_to_no_sample_is_passed_over(tmp_path: Path) -> None:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w", format=tarfile.PAX_FORMAT, pax_headers={"comment": "of all"}) as tar:
        for name in ("d", "README", "d/.hidden.jpg", "d/._0.jpg", "__index__/0.jpg", "__meta.x__", "d/0.jpg", "d/1"):
            info = tarfile.TarInfo(name)
            info.type = tarfile.DIRTYPE if name == "d" else tarfile.REGTYPE
            info.size = 0 if name == "d" else 5
            tar.addfile(info, io.BytesIO(b"bytes"))
        for kind in (tarfile.FIFOTYPE, tarfile.CHRTYPE):
            info = tarfile.TarInfo("d/0.png")
            info.type = kind
            tar.addfile(info)
        tar.addfile(tarfile.TarInfo("d/0.png"))
    (tmp_path / "a.tar").write_bytes(sink.getvalue())
    content = (ContentColumn("a", "jpg"), ContentColumn("b", "png"))
    table, bad, _ = scan(tmp_path / "a.tar", KEY, content=content)
    assert (table["key"].to_pylist(), bad) == (["d/0"], [])
    storage = storage_of(str(tmp_path))
    reader = WEB.reader(storage, storage.stat(str(tmp_path / "a.tar")), content, 0)
    assert reader.read(request(table, [0])).to_pydict() == {"a": [b"bytes"], "b": [b""]}


def test_a_key_that_comes_again_is_another_sample(tmp_path: Path) -> None:
    assert keys(write_tar(tmp_path / "a.tar", [("a.jpg", b""), ("b.jpg", b""), ("a.txt", b"")])) == ["a", "b", "a"]


def test_a_name_of_100_bytes_and_one_with_a_prefix(tmp_path: Path) -> None:
    names = [f"{'n' * 96}.jpg", f"{'f' * 150}/{'n' * 96}.jpg", f"{'f/' * 120}n.jpg"]
    assert keys(write_tar(tmp_path / "a.tar", [(name, b"x") for name in names])) == [name[:-4] for name in names]


@pytest.mark.skipif(shutil.which("tar") is None, reason="there is no tar")
@pytest.mark.parametrize("form", ["gnu", "oldgnu", "pax", "ustar", "v7"])
def test_what_the_program_tar_writes(form: str, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for i in range(3):
        (folder / f"ü{i}.jpg").write_bytes(b"x" * i)
        (folder / f"ü{i}.txt").write_text(f"{i}")
    subprocess.run(
        ["tar", f"--format={form}", "--sort=name", "-cf", tmp_path / "a.tar", "-C", folder, "."],
        check=True,
        timeout=600,
    )
    content = (ContentColumn("image", "jpg"), ContentColumn("text", "txt"))
    table, bad, _ = scan(tmp_path / "a.tar", KEY, content=content)
    assert (table["key"].to_pylist(), bad) == ([f"./ü{i}" for i in range(3)], [])
    storage = storage_of(str(tmp_path))
    reader = WEB.reader(storage, storage.stat(str(tmp_path / "a.tar")), content, 0)
    found = reader.read(request(table, [0, 1, 2])).to_pydict()
    assert found == {"image": [b"", b"x", b"xx"], "text": ["0", "1", "2"]}


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


def test_numbers_in_binary(tmp_path: Path) -> None:
    """A size with the highest bit set, as for members of 8 GiB and more."""
    data = bytearray(tar_bytes(GOOD[:1]))
    data[124:136] = b"\x80" + (1).to_bytes(11, "big")
    data[148:156] = b"%06o\0 " % (sum(data[:148]) + 8 * 32 + sum(data[156:512]))
    (tmp_path / "a.tar").write_bytes(data)
    table, bad, _ = scan(tmp_path / "a.tar", KEY)
    assert (table["key"].to_pylist(), bad) == (["a"], [])
    storage = storage_of(str(tmp_path))
    reader = WEB.reader(storage, storage.stat(str(tmp_path / "a.tar")), JPG, 0)
    assert reader.read(request(table, [0]))["image"].to_pylist() == [b"1"]


def test_checksums_of_signed_bytes(tmp_path: Path) -> None:
    data = bytearray(tar_bytes([("ü.jpg", b"1")], tarfile.GNU_FORMAT))
    signed = sum(byte - 256 if byte > 127 else byte for byte in data[:148] + data[156:512]) + 8 * 32
    data[148:156] = b"%06o\0 " % signed
    (tmp_path / "a.tar").write_bytes(data)
    table, bad, _ = scan(tmp_path / "a.tar", KEY)
    assert (table["key"].to_pylist(), bad) == (["ü"], [])


def test_properties_come_from_json_from_small_members_and_from_the_key(tmp_path: Path) -> None:
    members = [
        ("x/a.json", b'{\n "size": {"width": 3},\n "tags": ["p", null]\n}\n'),
        ("x/a.cls", b"7\n"),
        ("x/a.txt", b"two words\n"),
        ("x/a.seen", b"true"),
        ("x/a.day.txt", b"2024-02-29\n"),
        ("x/b.json", b"{}"),
        ("x/b.cls", b" "),
    ]
    path = write_tar(tmp_path / "a.tar", members)
    paths = {
        "width": "json.size.width",
        "tags": "json.tags",
        "cls": "cls",
        "txt": "txt",
        "seen": "seen",
        "key": "__key__",
        "absent": "png.x",
    }
    types = infer(path, **paths)
    assert types == {
        "width": "int64",
        "tags": "list<string>",
        "cls": "int64",
        "txt": "string",
        "seen": "bool",
        "key": "string",
        "absent": None,
    }
    columns = [PropertyColumn(name, paths[name], kind or "string") for name, kind in types.items()]
    columns.append(PropertyColumn("day", '"day.txt"', "date"))
    table, bad, _ = scan(path, *columns, content=())
    assert bad == []
    first, second = table.drop(["row", "offset", "length"]).to_pylist()
    assert {**first, "day": str(first["day"])} == {
        "width": 3,
        "tags": ["p"],
        "cls": 7,
        "txt": "two words",
        "seen": True,
        "key": "x/a",
        "absent": None,
        "day": "2024-02-29",
    }
    nothing = dict.fromkeys(("width", "cls", "txt", "seen", "absent", "day"))
    assert second == {**nothing, "tags": [], "key": "x/b"}


def test_words_are_never_numbers(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "a.tar", [("a.txt", b"7"), ("b.txt", b"seven")])
    assert infer(path, caption="txt") == {"caption": "string"}


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
    ("data", "kind", "said"),
    [
        (b"seven", "int64", "property 'p' (cls): expected int64, got seven"),
        (b"7.5", "int64", "expected int64, got 7.5"),
        (b"\xff", "string", "member 'a.cls' is not valid UTF-8"),
        (b"31.2.2024", "date", "expected date, got 31.2.2024"),
        (b'["x"]', "list<int64>", 'expected list<int64>, got ["x"]'),
    ],
)
def test_a_member_that_is_not_of_the_type_of_its_property(data: bytes, kind, said: str, tmp_path: Path) -> None:
    bad = reasons(tmp_path, [("a.jpg", b""), ("a.cls", data)], PropertyColumn("p", "cls", kind))
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


def test_a_path_for_all_members_is_refused(tmp_path: Path) -> None:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w", format=tarfile.PAX_FORMAT, pax_headers={"path": "a.jpg"}) as tar:
        tar.addfile(tarfile.TarInfo("b.jpg"))
    (tmp_path / "a.tar").write_bytes(sink.getvalue())
    assert "for all members sets their path" in refused(tmp_path / "a.tar")


@pytest.mark.parametrize("data", [b"\x89PNG" + bytes(2000), b"text\n" * 500, bytes(range(256)) * 8])
def test_other_files_are_no_tar(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(data)
    assert "this is no tar" in refused(tmp_path / "a.tar")


@pytest.mark.parametrize("path", ["", ".", "a..b", '"a', ";"])
def test_paths_that_are_none(path: str, tmp_path: Path) -> None:
    write_tar(tmp_path / "a.tar", GOOD)
    if path == ";":
        assert "no member ';'" in reasons(tmp_path, GOOD, content=(ContentColumn("c", path),))[0][1]
    else:
        with pytest.raises(SampleError, match="is no path"):
            scan(tmp_path / "a.tar", content=(ContentColumn("c", path),))


def test_a_large_member_that_nobody_asks_for_is_passed_over(tmp_path: Path) -> None:
    """Only headers and what lies around them are read: counted by the storage's own file."""
    path = write_tar(
        tmp_path / "a.tar", [(f"{i}.{e}", bytes(n)) for i in range(20) for e, n in (("bin", 1 << 20), ("jpg", 1))]
    )
    storage = _Counting(storage_of(str(path)))
    found = WEB.scan(storage, storage.stat(str(path)), (), JPG)
    assert sum(piece.table.num_rows for piece in found) == 20
    assert storage.read_bytes < 20 * 64 << 10


class _Counting:
    """A storage that counts the bytes that are read through `open`."""

    def __init__(self, inner) -> None:
        self._inner = inner
        self.read_bytes = 0

    def stat(self, url: str) -> FileInfo:
        return self._inner.stat(url)

    def open(self, url: str):
        return _CountingFile(self._inner.open(url), self)


class _CountingFile(io.RawIOBase):
    def __init__(self, file, storage: _Counting) -> None:
        self._file, self._storage = file, storage

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self._storage.read_bytes += len(data)
        return data

    def seek(self, place: int, whence: int = 0) -> int:
        return self._file.seek(place, whence)

    def tell(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        self._file.close()
        super().close()


NAMES = st.text(st.sampled_from("ab./_JpGé"), min_size=1, max_size=12).filter(
    lambda name: not name.endswith(("/", "/."))
)
MEMBERS = st.lists(st.tuples(NAMES, st.binary(max_size=1200)), max_size=12)


@given(MEMBERS, st.sampled_from([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]))
@settings(max_examples=150, deadline=None)
def test_any_tar_gives_what_the_standard_library_sees(tmp_path_factory, members: Members, form: int) -> None:
    """Grouped as the library webdataset does, from the members that `tarfile` finds."""
    path = tmp_path_factory.mktemp("any") / "a.tar"
    write_tar(path, members, form)
    expected: list[tuple[str, dict[str, list[bytes]]]] = []
    with tarfile.open(path) as tar:
        for member in tar:
            match = re.fullmatch(r"((?:.*/|)[^/.]+)[.]([^/]*)", member.name, re.DOTALL)
            if not member.isreg() or match is None or re.match(r"__[^/]*__($|/)", member.name):
                continue
            if "/" not in member.name and member.name.startswith("__") and member.name.endswith("__"):
                continue
            if not expected or expected[-1][0] != match[1]:
                expected.append((match[1], {}))
            expected[-1][1].setdefault(match[2].lower(), []).append(tar.extractfile(member).read())
    assert keys(path) == [key for key, _ in expected]
    table, bad, _ = scan(path, KEY)
    good = [i for i, (_, found) in enumerate(expected) if len(found.get("jpg", ())) == 1]
    assert table["row"].to_pylist() == good
    assert [row for row, _ in bad] == [i for i in range(len(expected)) if i not in good]
    storage = storage_of(str(path))
    reader = WEB.reader(storage, storage.stat(str(path)), (*JPG, ContentColumn("key", "__key__")), 0)
    for chosen in (range(len(good)), range(0, len(good), 2)):
        batch = reader.read(request(table, chosen))
        assert batch["image"].to_pylist() == [expected[good[i]][1]["jpg"][0] for i in chosen]
        assert batch["key"].to_pylist() == [expected[good[i]][0] for i in chosen]
    reader.close()


def test_json_is_read_whole_when_it_is_asked_for(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "a.tar", GOOD)
    content = (ContentColumn("json", "json"), ContentColumn("image", "png;jpg"))
    table, _, _ = scan(path, content=content)
    storage = storage_of(str(path))
    batch = WEB.reader(storage, storage.stat(str(path)), content, 0).read(request(table, [0, 1]))
    assert [json.loads(text) for text in batch["json"].to_pylist()] == [{"width": 3}, {"width": 4}]
    assert batch["image"].to_pylist() == [b"1", b"22"]


def test_properties_take_the_elements_of_lists_in_json_members(tmp_path: Path) -> None:
    documents = [
        {"tags": [{"name": "x", "at": [1, 2]}, None, {"name": None}], "words": ["a", None], "a[*]b": [{"n": 5}]},
        {"tags": None},
        {"tags": [{"name": "y", "at": [3]}]},
    ]
    members = [(f"{n}.json", json.dumps(one).encode()) for n, one in enumerate(documents)]
    path = write_tar(tmp_path / "a.tar", [*members, ("9.txt", b"no json at all")])
    paths = {"names": "json.tags[*].name", "at": "json.tags[*].at[*]", "words": "json;jsn.words[*]"}
    paths["quoted"] = 'json."a[*]b"[*].n'
    assert infer(path, **paths) == {
        "names": "list<string>", "at": "list<int64>", "words": "list<string>", "quoted": "list<int64>"
    }  # fmt: skip
    kinds = infer(path, **paths)
    table, bad, _ = scan(path, *(PropertyColumn(n, paths[n], kinds[n]) for n in paths), content=())
    assert bad == []
    assert table["names"].to_pylist() == [["x"], [], ["y"], []]
    assert table["at"].to_pylist() == [[1, 2], [], [3], []]
    assert table["words"].to_pylist() == [["a"], [], [], []]
    assert table["quoted"].to_pylist() == [[5], [], [], []]


@pytest.mark.parametrize("path", ["json[*].name", "json[*]", "cls[*]", "__key__[*]"])
def test_a_whole_member_has_no_elements(path: str, tmp_path: Path) -> None:
    tar = write_tar(tmp_path / "a.tar", GOOD)
    with pytest.raises(SampleError, match="takes the elements of a whole member: name a key of its JSON"):
        scan(tar, PropertyColumn("p", path, "list<string>"))


def test_a_value_that_is_no_list_is_a_bad_sample(tmp_path: Path) -> None:
    members = [("a.json", b'{"tags": 3}'), ("b.json", b'{"tags": [{"name": "x"}]}')]
    ((row, reason),) = reasons(tmp_path, members, PropertyColumn("n", "json.tags[*].name", "list<string>"), content=())
    assert row == 0
    assert "tags" in reason
