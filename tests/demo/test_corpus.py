"""The demo's corpus: real files with real properties, the same for the same installation."""

from __future__ import annotations

import json
from email.message import Message
from pathlib import Path, PurePosixPath

import pyarrow.parquet as pq
import pytest
import zstandard

from mixtera.demo import kinds
from mixtera.demo.corpus import build
from mixtera.demo.documents import candidates, within_budget
from mixtera.demo.installation import Installation
from mixtera.demo.kinds import Nature, nature_of
from mixtera.demo.licenses import license_of
from mixtera.errors import StorageError


def records(corpus: Path) -> dict[str, dict[str, object]]:
    """Every record by kind/path, whatever its format, in the form of the JSONL."""
    found = []
    for file in corpus.glob("*/*.jsonl"):
        found += [json.loads(line) for line in file.read_bytes().splitlines()]
    for file in corpus.glob("*/*.jsonl.zst"):
        with zstandard.ZstdDecompressor().stream_reader(file.read_bytes(), read_across_frames=True) as opened:
            found += [json.loads(line) for line in opened.read().splitlines()]
    for file in corpus.glob("*/*.parquet"):
        rows = pq.read_table(file).to_pylist()
        found += [{"text": row.pop("content"), "meta": row} for row in rows]
    return {f"{record['meta']['kind']}/{record['meta']['path']}": record for record in found}


def contents(directory: Path) -> dict[str, bytes]:
    return {p.relative_to(directory).as_posix(): p.read_bytes() for p in directory.rglob("*") if p.is_file()}


def test_every_useful_file_is_a_record_of_its_kind(installation: Installation, tmp_path: Path) -> None:
    corpus = build(tmp_path / "corpus", installation)
    assert corpus.built
    assert sorted(records(corpus.directory)) == [
        "documentation/numbers_kit-1.0.dist-info/DESCRIPTION",
        "documentation/silent.rst",
        "documentation/silent/notes.txt",
        "header/include/Python.h",
        "header/numbers_kit/include/fast.h",
        "license/lib/LICENSE.txt",
        "license/numbers_kit-1.0.dist-info/licenses/LICENSE",
        "metadata/numbers_kit-1.0.dist-info/METADATA",
        "metadata/silent-1.0.dist-info/METADATA",
        "source/lib/os.py",
        "source/numbers_kit/__init__.py",
        "source/numbers_kit/fast.pyx",
        "source/silent.py",
    ]
    assert corpus.documents == {"source": 4, "header": 2, "license": 2, "documentation": 3, "metadata": 2}


def test_a_record_has_the_properties_of_its_file_and_package(installation: Installation, tmp_path: Path) -> None:
    found = records(build(tmp_path / "corpus", installation).directory)
    text = "def add(a, b):\n    return a + b\n"
    assert found["source/numbers_kit/__init__.py"] == {
        "text": text,
        "meta": {
            "path": "numbers_kit/__init__.py",
            "kind": "source",
            "language": "python",
            "package": "numbers-kit",
            "license": "mit",
            "topics": ["adding", "mathematics", "numbers", "scientific/engineering"],
            "bytes": len(text),
            "year": 2021,
        },
    }
    header = found["header/numbers_kit/include/fast.h"]["meta"]
    assert header["topics"] == ["adding", "mathematics", "numbers", "scientific/engineering"]
    assert found["source/silent.py"]["meta"]["license"] is None
    assert found["documentation/numbers_kit-1.0.dist-info/DESCRIPTION"]["meta"]["language"] == "markdown"


def test_the_same_installation_gives_the_same_bytes(installation: Installation, tmp_path: Path) -> None:
    first, second = build(tmp_path / "a", installation), build(tmp_path / "b", installation)
    assert contents(first.directory) == contents(second.directory)


def test_an_unchanged_corpus_is_left_alone(installation: Installation, tmp_path: Path) -> None:
    build(tmp_path / "corpus", installation)
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "corpus").rglob("*")}
    again = build(tmp_path / "corpus", installation)
    assert not again.built
    assert again.documents["source"] == 4
    assert before == {p: p.stat().st_mtime_ns for p in (tmp_path / "corpus").rglob("*")}


@pytest.mark.parametrize("stamp", ["", "[]", '{"version": 0, "requirements": [], "documents": {}}'])
def test_a_corpus_with_another_stamp_is_built_anew(installation: Installation, tmp_path: Path, stamp: str) -> None:
    build(tmp_path / "corpus", installation)
    (tmp_path / "corpus" / "corpus.json").write_text(stamp)
    (tmp_path / "corpus" / "source" / "left-over.jsonl").write_text("{}")
    assert build(tmp_path / "corpus", installation).built
    assert not (tmp_path / "corpus" / "source" / "left-over.jsonl").exists()


def test_nothing_half_built_is_left_behind(installation: Installation, tmp_path: Path) -> None:
    place = tmp_path / "file"
    place.write_text("in the way")
    with pytest.raises(StorageError, match="corpus"):
        build(place / "corpus", installation)
    build(tmp_path / "corpus", installation)
    assert not list(tmp_path.glob("*.tmp"))


def test_what_is_above_the_budget_is_sampled_and_keeps_its_order(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = list(candidates(installation))
    sources = [c for c in found if c.nature.kind == "source"]
    assert within_budget(found, "source") == sources
    monkeypatch.setitem(kinds.BUDGET_BYTES, "source", sum(c.size for c in sources) - 1)
    chosen = within_budget(found, "source")
    assert 0 < len(chosen) < len(sources)
    assert chosen == [c for c in sources if c in chosen]


def test_a_file_that_vanished_after_installing_is_left_out(installation: Installation, tmp_path: Path) -> None:
    (tmp_path / "site-packages" / "silent.py").unlink()
    assert "source/silent.py" not in records(build(tmp_path / "corpus", installation).directory)


@pytest.mark.parametrize(
    ("path", "nature"),
    [
        ("a/b.py", Nature("source", "python")),
        ("a/b.HPP", Nature("header", "c++")),
        ("a/COPYING", Nature("license", "text")),
        ("a/license.py", Nature("source", "python")),
        ("a-1.dist-info/METADATA", Nature("metadata", "text")),
        ("x/_vendor/a-1.dist-info/METADATA", None),
        ("a-1.dist-info/top_level.txt", None),
        ("a/b.so", None),
    ],
)
def test_the_nature_of_a_file_is_told_by_its_path(path: str, nature: Nature | None) -> None:
    assert nature_of(PurePosixPath(path)) == nature


@pytest.mark.parametrize(
    ("fields", "license_"),
    [
        ({"License-Expression": "Apache-2.0 WITH LLVM-exception"}, "apache-2.0"),
        ({"License-Expression": "(MIT OR Apache-2.0)"}, "mit"),
        ({"Classifier": "License :: OSI Approved :: BSD License"}, "bsd"),
        ({"License": "BSD 3-Clause"}, "bsd-3-clause"),
        ({"License": "New BSD"}, "bsd-3-clause"),
        ({"License": "Apache License, Version 2.0"}, "apache-2.0"),
        ({"License": "MIT " * 100}, None),
        ({"License": "ask us"}, None),
        ({}, None),
    ],
)
def test_licenses_are_normalised_where_the_package_lets_us(fields: dict[str, str], license_: str | None) -> None:
    metadata = Message()
    for name, value in fields.items():
        metadata[name] = value
    assert license_of(metadata) == license_


def test_the_running_installation_has_packages_and_a_standard_library() -> None:
    current = Installation.current()
    assert any(requirement.startswith("pyarrow==") for requirement in current.requirements())
    names = {package.name: package for package in current.packages()}
    assert "mixtera" not in names
    assert any(file.name.as_posix() == "lib/os.py" for file in names["python"].files)
    assert any(file.name.as_posix() == "include/Python.h" for file in names["python"].files)
