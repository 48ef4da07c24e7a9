"""What is not installed, and catalogs that contradict themselves: named errors, whichever engine finds them."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from mixtera.catalog.indexed import IndexedSource
from mixtera.cli.main import INPUT_IS_WRONG, main
from mixtera.compiler import compile
from mixtera.errors import PlanError
from mixtera.spec.model import Source
from mixtera.testing.catalog import MadeCatalog
from mixtera_backends.engines.postgres import URL
from tests.compiler.made import WEB, spec_of
from tests.engines.server import Postgres

SPEC = """
version: 1
name: s
sources: {web: {path: a.jsonl, content: text}}
mixture: {components: [{name: all, weight: 1}]}
"""
NEEDS = {
    "polars": ("polars",),
    "datafusion": ("datafusion",),
    "postgres": ("psycopg",),
    "clickhouse": ("chdb", "clickhouse_connect"),
}


@pytest.mark.parametrize(("engine", "package"), [(name, package) for name in NEEDS for package in NEEDS[name]])
def test_what_is_not_installed_names_its_extra(
    engine: str, package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.jsonl").write_text('{"text": "x"}\n' * 20)
    (tmp_path / "s.yaml").write_text(SPEC)
    assert main(["index", "s.yaml", "--quiet"]) == 0
    capsys.readouterr()
    for name in NEEDS[engine]:
        monkeypatch.setitem(sys.modules, name, None if name == package else sys)
    assert main(["compile", "s.yaml", "-o", "plan", "--engine", engine]) == INPUT_IS_WRONG
    said = capsys.readouterr().err
    assert said.strip() == f"engine '{engine}' needs {package}: pip install 'mixtera[{engine}]'"
    assert not (tmp_path / "plan").exists()
    assert main(["catalog", "query", "web", "dataset == 'web'", "--engine", engine]) == INPUT_IS_WRONG
    assert f"mixtera[{engine}]" in capsys.readouterr().err


class Doubled(MadeCatalog):
    """A catalog that names each of its Parquet files twice."""

    def source(self, source: Source) -> IndexedSource:
        found = super().source(source)
        return replace(found, data_files=found.data_files * 2)


@pytest.mark.parametrize("engine", ["duckdb", "polars", "datafusion", "postgres"])
def test_duplicate_keys_make_no_plan(
    engine: str, tmp_path: Path, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(URL, postgres.url)
    spec = spec_of(tmp_path, "mixture: {components: [{name: all, weight: 1}]}", [WEB])
    with pytest.raises(PlanError, match=r"in source 'web' a row is there twice; drop .*mixtera catalog drop"):
        compile(spec, Doubled(tmp_path, [WEB]), engine=engine)
