"""Patterns match what the standard library's glob matches, and each directory is listed once."""

from __future__ import annotations

import glob
import os
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixtera_backends.storage.local import LocalStorage, list_directory, look_up
from mixtera_backends.storage.walk import Walk

PARTS = st.sampled_from(["**", "*", "a", "b*", "?", "[ab]", "[!a]", ".*", ".h", "*.x", "?*", "a.x", "{a}", "x-?*"])
FILES = (
    "a/a.x", "a/b.x", "a/b/a.x", "a/b/.h", "a/b/c/d.x", "b1/a", "b1/.h/a.x", ".h/a.x", ".h/a", "a.x", "b", "x-1/a/a.x",
    "{a}/b",
)  # fmt: skip


def expanded(base: str, pattern: str, *, looking_up: bool = True) -> set[str]:
    walk = Walk(list_directory, look_up if looking_up else None)
    return {base + name for name, _ in walk.matching(base, pattern.split("/"))}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("tree")
    for name in FILES:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("")
    (root / "a" / "link").symlink_to(root / "b1")
    (root / "b1" / "circle").symlink_to(root / "b1" / "circle")
    (root / "b1" / "broken").symlink_to(root / "nothing")
    return root


@settings(max_examples=300, deadline=None)
@given(parts=st.lists(PARTS, min_size=1, max_size=4), looking_up=st.booleans())
def test_the_same_as_glob(parts: list[str], looking_up: bool, tree: Path) -> None:
    pattern = "/".join(parts)
    found = set(glob.glob(f"{tree}/{pattern}", recursive=True))  # noqa: PTH207
    ours = expanded(f"{tree}/", pattern, looking_up=looking_up)
    if parts[-1] == "**":  # glob gives the directories themselves too, and `file/` where it takes a file for one
        found, ours = ({path for path in paths if os.path.isfile(path)} for paths in (found, ours))  # noqa: PTH113
    assert ours == found


def test_each_directory_is_listed_once(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed: Counter[str] = Counter()
    scandir = os.scandir

    def counting(path: str):
        listed[os.fspath(path)] += 1
        return scandir(path)

    monkeypatch.setattr(os, "scandir", counting)
    assert expanded(f"{tree}/", "**/*.x")
    assert set(listed.values()) == {1}


def test_a_directory_that_is_none() -> None:
    assert expanded("/nowhere/", "*/x") == set()
    assert expanded("/dev/null/", "*") == set()


def test_a_name_is_found_in_a_directory_that_may_not_be_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a/x", "b/y", "c/x"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text("")
    (tmp_path / "d").symlink_to(tmp_path / "nothing")
    scandir = os.scandir
    listed: list[str] = []
    monkeypatch.setattr(os, "scandir", lambda path: listed.append(path) or scandir(path))
    assert expanded(f"{tmp_path}/", "*/x") == {f"{tmp_path}/a/x", f"{tmp_path}/c/x"}
    assert listed == [f"{tmp_path}/"]


def test_a_link_back_to_where_it_lies_is_not_followed_without_an_end(tmp_path: Path) -> None:
    (tmp_path / "data" / "a").mkdir(parents=True)
    (tmp_path / "other").mkdir()
    for name in ("data/x", "data/a/y", "other/z"):
        (tmp_path / name).touch()
    (tmp_path / "data" / "self").symlink_to(".")
    (tmp_path / "data" / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "data" / "a" / "beside").symlink_to(tmp_path / "other")
    found = LocalStorage().expand([f"{tmp_path}/data/**/*"])
    assert [file.url.removeprefix(f"{tmp_path}/") for file in found] == ["data/a/beside/z", "data/a/y", "data/x"]
    assert [file.name for file in LocalStorage().expand([f"{tmp_path}/data/*/x"])] == ["self/x"]
