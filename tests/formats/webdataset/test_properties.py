"""What the properties of a sample are made of, and which paths and values are none."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest

from mixtera.contracts.format import ContentColumn, PropertyColumn
from mixtera.errors import SampleError
from mixtera.registry import storage_of
from mixtera.testing.format import request
from tests.formats.webdataset.scans import GOOD, WEB, infer, reasons, refused, scan
from tests.formats.webdataset.tars import write_tar


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


def test_a_path_for_all_members_is_refused(tmp_path: Path) -> None:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w", format=tarfile.PAX_FORMAT, pax_headers={"path": "a.jpg"}) as tar:
        tar.addfile(tarfile.TarInfo("b.jpg"))
    (tmp_path / "a.tar").write_bytes(sink.getvalue())
    assert "for all members sets their path" in refused(tmp_path / "a.tar")


@pytest.mark.parametrize("path", ["", ".", "a..b", '"a', ";"])
def test_paths_that_are_none(path: str, tmp_path: Path) -> None:
    write_tar(tmp_path / "a.tar", GOOD)
    if path == ";":
        assert "no member ';'" in reasons(tmp_path, GOOD, content=(ContentColumn("c", path),))[0][1]
    else:
        with pytest.raises(SampleError, match="is no path"):
            scan(tmp_path / "a.tar", content=(ContentColumn("c", path),))


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
