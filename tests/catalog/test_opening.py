from __future__ import annotations

import json
from pathlib import Path

import pytest

from mixtera.catalog import Catalog
from mixtera.catalog.lock import writing
from mixtera.errors import CatalogError
from tests.forked import keeps


def test_a_catalog_is_made_on_first_use(tmp_path: Path) -> None:
    Catalog.open(str(tmp_path / "a" / "b")).close()
    again = Catalog.open(str(tmp_path / "a" / "b"))
    assert again.sources() == ()
    assert again.url == str(tmp_path / "a" / "b")
    again.close()


def test_none_is_made_where_only_looking_was_asked_for(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match=r"no catalog at .*: run `mixtera index SPEC`"):
        Catalog.open(str(tmp_path / "none"), create=False)
    assert not (tmp_path / "none").exists()


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CatalogError, match=r"cannot write the catalog .*choose a directory you can write"):
        Catalog.open(str(tmp_path / "file" / "catalog"))


def test_a_directory_with_something_else_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(CatalogError, match=r"is not a catalog, and not empty .*'thesis.tex'"):
        Catalog.open(str(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("memory://catalog", "the storage 'fsspec' does not say that of several programs .* s3://bucket/catalog"),
        ("zip://catalog::s3://bucket/a.zip", "'::' has a meaning in patterns"),
        ("s3://bucket/[a]", r"'\[' has a meaning in patterns"),
        ("s3://bucket/a*", r"'\*' has a meaning in patterns"),
    ],
)
def test_a_url_where_no_catalog_can_lie(url: str, why: str) -> None:
    with pytest.raises(CatalogError, match=why):
        Catalog.open(url)
    with pytest.raises(CatalogError, match=why):
        Catalog.open(url, create=False)


def test_a_copy_of_a_catalog_at_a_url_is_no_directory_of_one(tmp_path: Path) -> None:
    (tmp_path / "catalog.json").write_text(json.dumps({"version": 2, "root": "s3://b/c", "key": "a1b2"}))
    with pytest.raises(CatalogError, match=r"is a copy of the catalog at s3://b/c.*name that URL"):
        Catalog.open(str(tmp_path))


@pytest.mark.parametrize(
    ("mark", "expected"),
    [
        (json.dumps({"version": 9, "root": "file:///x"}), "version 9.*update Mixtera"),
        ("{", "catalog.json cannot be read"),
    ],
)
def test_a_mark_that_is_newer_or_broken(tmp_path: Path, mark: str, expected: str) -> None:
    (tmp_path / "catalog.json").write_text(mark)
    with pytest.raises(CatalogError, match=expected):
        Catalog.open(str(tmp_path))


def test_a_database_that_is_none(tmp_path: Path) -> None:
    Catalog.open(str(tmp_path / "c")).close()
    (tmp_path / "c" / "catalog.db").write_text("no database")
    with pytest.raises(CatalogError, match=r"catalog.db: file is not a database"):
        Catalog.open(str(tmp_path / "c"))


def test_a_child_that_is_forked_meanwhile_does_not_keep_the_lock(tmp_path: Path) -> None:
    assert not keeps(writing(tmp_path, pytest.fail), tmp_path / "lock")
