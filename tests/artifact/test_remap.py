"""Data that lies elsewhere: prefixes of URLs are exchanged when a plan is opened."""

from __future__ import annotations

from pathlib import Path

import pytest

from mixtera.artifact import layout
from mixtera.artifact.digest import digest
from mixtera.errors import PlanError
from tests.artifact.tiny import tiny


def urls(tmp_path: Path, remap: dict[str, str]) -> list[str]:
    layout.write(str(tmp_path / "plan"), tiny(), digest(tiny()))
    opened = layout.open(str(tmp_path / "plan"), remap)
    assert digest(opened.data) == digest(tiny())
    found: list[str] = opened.data.files.column("url").to_pylist()
    return found


def test_a_prefix_is_exchanged(tmp_path: Path) -> None:
    assert urls(tmp_path, {"s3://bucket": "file:///scratch/"}) == [
        "/data/web/a.jsonl",
        "file:///data/web/ü/b.jsonl",
        "file:///scratch/code/c.parquet",
    ]


@pytest.mark.parametrize("prefix", ["/data/web", "/data/web/", "file:///data/web"])
def test_a_path_and_its_file_url_are_the_same(tmp_path: Path, prefix: str) -> None:
    assert urls(tmp_path, {prefix: "s3://b/w"})[:2] == ["s3://b/w/a.jsonl", "s3://b/w/ü/b.jsonl"]


def test_the_longest_prefix_counts(tmp_path: Path) -> None:
    found = urls(tmp_path, {"/data": "/d", "/data/web/ü": "/u", "s3://bucket/code/c.parquet": "/c.parquet"})
    assert found == ["/d/web/a.jsonl", "/u/b.jsonl", "/c.parquet"]


def test_two_prefixes_may_be_swapped(tmp_path: Path) -> None:
    found = urls(tmp_path, {"s3://bucket": "/data", "/data": "s3://bucket"})
    assert found == ["s3://bucket/web/a.jsonl", "s3://bucket/web/ü/b.jsonl", "/data/code/c.parquet"]


@pytest.mark.parametrize("prefix", ["s3://buck", "/dat", "s3://other", "/data/we"])
def test_a_prefix_that_fits_nothing_names_those_that_would(tmp_path: Path, prefix: str) -> None:
    with pytest.raises(PlanError, match=f"no file of the plan lies below '{prefix}'; its files lie below /data/web/, "):
        urls(tmp_path, {prefix: "/x"})
