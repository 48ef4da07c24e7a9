"""Indexing over S3: what paths capture, and how many requests a file takes."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from urllib.parse import unquote, urlsplit

import mixtera
from tests.storage.faulty import FaultyProxy
from tests.storage.objects import Objects, new_root

SPEC = """\
version: 1
sources:
  web:
    path: {root}/{{language}}/day={{day}}/*.jsonl
    content: text
    properties: {{day: {{capture: day, type: date}}, n: {{path: n, type: int64}}}}
mixture: {{by: language}}
"""
LANGUAGES = ("en", "grün & blau", "a%20b", "中文")


def test_captures_and_requests(tmp_path: Path, objects: Objects, proxy: FaultyProxy) -> None:
    root = new_root()
    for number, language in enumerate(LANGUAGES):
        objects.put(f"{root}/{language}/day=2024-01-0{number + 1}/x.jsonl", b'{"text": "hello", "n": 1}\n' * 3)
    (tmp_path / "spec.yaml").write_text(SPEC.format(root=root))
    spec = mixtera.load(str(tmp_path / "spec.yaml"))
    catalog = mixtera.Catalog.open(str(tmp_path / "catalog"))
    catalog.index(spec, workers=1)
    plan = mixtera.compile(spec, catalog)
    assert {component.name: component.samples for component in plan.data.components} == dict.fromkeys(LANGUAGES, 3)
    (day,) = catalog.statistics("web", "day")
    assert (str(day.smallest), str(day.largest)) == ("2024-01-01", "2024-01-04")
    keys = [unquote(urlsplit(request.path).path) for request in proxy.requests]
    of_files = Counter(
        (request.method, key) for request, key in zip(proxy.requests, keys, strict=True) if key.endswith(".jsonl")
    )
    assert {method for method, _ in of_files} == {"GET"}, "a listing describes files, and reading checks their etag"
    assert len(of_files) == len(LANGUAGES)
