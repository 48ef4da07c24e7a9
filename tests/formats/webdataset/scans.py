"""Scans of tars, as the tests of their parts look at them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mixtera.contracts.format import ContentColumn, PropertyColumn
from mixtera.errors import SampleError
from mixtera.formats.webdataset import WebDataset
from mixtera.registry import storage_of
from mixtera.testing.format import scan_file
from tests.formats.webdataset.tars import Members, write_tar

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
