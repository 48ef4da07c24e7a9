"""A small corpus in two formats, indexed and compiled once for all tests of the commands."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import mixtera
from mixtera.cli.main import main

SOURCES = """
sources:
  web: {path: web/*.jsonl, content: text, properties: {language: lang, year: {path: year, type: int64}}}
  code: {path: code/*.parquet, content: {text: body}, properties: {language: lang}}
order: {seed: 7, chunk_size: 64, lanes: 4, granule: 16}
"""
MIXED = """version: 1
name: mixed
filter: year >= 2001 or year is None
mixture:
  components:
    - {name: english, where: 'dataset == "web" and language == "en"', weight: 50}
    - {name: recent, where: year >= 2010, weight: 20}
    - name: code
      where: {dataset: code}
      weight: 30
      by: language
      weights: uniform
"""
NATURAL = "version: 1\nname: natural\nmixture: {by: dataset, weights: natural}\n"
ENDLESS = "version: 1\nname: endless\nmixture: {by: dataset, weights: uniform, on_exhaust: repeat}\n"


@pytest.fixture(scope="session")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three specs, their data, the catalog `.mixtera`, and the plans `plan` of mixed.yaml and `endless` of
    endless.yaml."""
    root = tmp_path_factory.mktemp("commands")
    for folder in ("web", "code"):
        (root / folder).mkdir()
    records = [
        {"text": f"page {i}\nof the web", "lang": ("en", "de")[i % 2], "year": 2000 + i % 20} for i in range(400)
    ]
    (root / "web" / "a.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    table = pa.table(
        {"body": [f"code {i}" for i in range(90)], "lang": [("python", "rust", "c")[i % 3] for i in range(90)]}
    )
    pq.write_table(table, root / "code" / "b.parquet", row_group_size=40)
    for name, mixture in (("mixed", MIXED), ("natural", NATURAL), ("endless", ENDLESS)):
        (root / f"{name}.yaml").write_text(mixture + SOURCES, encoding="utf-8")
    spec = mixtera.load(str(root / "mixed.yaml"))
    catalog = mixtera.Catalog.open(str(root / ".mixtera"))
    catalog.index(spec)
    mixtera.compile(spec, catalog).save(str(root / "plan"))
    mixtera.compile(mixtera.load(str(root / "endless.yaml")), catalog).save(str(root / "endless"))
    catalog.close()
    return root


@pytest.fixture
def here(indexed: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same directory, as the current one."""
    monkeypatch.chdir(indexed)
    monkeypatch.delenv("MIXTERA_CATALOG", raising=False)
    return indexed


Run = Callable[..., tuple[int, str, str]]
"""Calls a command: its words → exit code, stdout, stderr."""


@pytest.fixture
def fresh(indexed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the corpus with its catalog of its own, as the current directory; times of files are kept."""
    root = tmp_path / "fresh"
    shutil.copytree(indexed, root, ignore=shutil.ignore_patterns("plan", "endless"))
    monkeypatch.chdir(root)
    monkeypatch.delenv("MIXTERA_CATALOG", raising=False)
    assert main(["index", "mixed.yaml", "--quiet"]) == 0  # the paths are others
    return root


@pytest.fixture
def run(fresh: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(list(words))
        out, err = capsys.readouterr()
        return code, out, err

    return call
