from __future__ import annotations

from pathlib import Path

import pytest

from mixtera.catalog import Catalog
from tests.existing.made import Corpus, keep, make


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """Nobody writes into it."""
    return make(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="session")
def table(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The corpus as a Parquet table of three files, which nobody changes."""
    return keep(corpus.table, tmp_path_factory.mktemp("table"))


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return Catalog.open(str(tmp_path / "catalog"))
