from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mixtera.catalog import Catalog
from tests.catalog.corpus import write_lines


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Four files of 30, 31, 32 and 33 samples; returns the directory."""
    for number in range(4):
        write_lines(tmp_path / "data" / f"part-{number}.jsonl", range(100 * number, 100 * number + 30 + number))
    return tmp_path / "data"


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    catalog = Catalog.open(str(tmp_path / "catalog"))
    yield catalog
    catalog.close()
