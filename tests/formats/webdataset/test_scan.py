"""What makes a sample: names, keys, and where it lies."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixtera.contracts.format import ContentColumn
from mixtera.contracts.storage import FileInfo
from mixtera.registry import storage_of
from mixtera.testing.format import request
from tests.formats.webdataset.scans import GOOD, JPG, KEY, WEB, keys, scan
from tests.formats.webdataset.tars import Members, tar_bytes, write_tar


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
