"""A table of others is labelled alike by engines that are no library over files; tests/existing has those that are."""

from __future__ import annotations

import importlib.util
from contextlib import closing
from pathlib import Path

import pytest

from mixtera.catalog import Catalog
from mixtera.compiler import compile
from mixtera.registry import engine_named
from mixtera_backends.engines.postgres import URL
from tests.engines.server import Postgres
from tests.existing.made import Corpus, keep, make, tabled


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return make(tmp_path_factory.mktemp("corpus"))


@pytest.mark.parametrize("name", ["postgres", "clickhouse"])
def test_the_plan_is_that_of_the_indexed_files(
    name: str, corpus: Corpus, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name == "clickhouse" and importlib.util.find_spec("chdb") is None:
        pytest.skip("chDB is not installed: pip install 'mixtera[clickhouse]'")
    if name == "postgres":
        server: Postgres = request.getfixturevalue("postgres")
        monkeypatch.setenv(URL, server.url)
    catalog = Catalog.open(str(tmp_path / "catalog"))
    spec = tabled(corpus, keep(corpus.table, tmp_path / "meta"), tmp_path)
    catalog.index(spec)
    with closing(engine_named(name)) as engine:
        assert compile(spec, catalog, engine=engine).digest == corpus.digest
