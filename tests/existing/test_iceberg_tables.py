"""An Iceberg table of a team as the catalog of a source."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.compute as pc
import pytest
from pyiceberg.expressions import EqualTo
from pyiceberg.table import Table
from pyiceberg.types import StringType

from mixtera.catalog import Catalog
from mixtera.compiler import compile
from mixtera.errors import CatalogError
from tests.existing.lakehouse import delete_one_row, iceberg, place_of
from tests.existing.made import ROWS, Corpus, tabled


@pytest.fixture
def lake(corpus: Corpus, tmp_path: Path) -> Table:
    return iceberg(tmp_path / "lake", corpus.table)


@pytest.mark.parametrize("engine", ["duckdb", "polars", "datafusion"])
def test_the_plan_is_that_of_the_indexed_files(
    engine: str, corpus: Corpus, lake: Table, catalog: Catalog, tmp_path: Path
) -> None:
    spec = tabled(corpus, place_of(lake), tmp_path, "iceberg")
    assert catalog.index(spec).samples == 2 * ROWS
    assert compile(spec, catalog, engine=engine).digest == corpus.digest


def test_folders_of_any_name(corpus: Corpus, catalog: Catalog, tmp_path: Path) -> None:
    lake = iceberg(tmp_path / "100%25 of it", corpus.table)
    text = tabled(corpus, tmp_path, tmp_path, "iceberg", table=f"{{format: iceberg, at: 'file://{place_of(lake)}'}}")
    assert catalog.index(text).samples == 2 * ROWS
    assert compile(text, catalog).digest == corpus.digest


def test_a_snapshot_is_pinned_and_stays_readable(corpus: Corpus, lake: Table, catalog: Catalog, tmp_path: Path) -> None:
    spec = tabled(corpus, place_of(lake), tmp_path, "iceberg")
    catalog.index(spec)
    pinned = catalog.state("web").definition.table
    assert pinned is not None
    assert pinned.version == str(lake.current_snapshot().snapshot_id)
    lake.delete(EqualTo("language", "de"))  # writes files anew, and leaves those of the snapshot before
    assert compile(spec, catalog).digest == corpus.digest
    kept = pc.sum(pc.invert(pc.fill_null(pc.equal(corpus.table["language"], "de"), False))).as_py()
    assert catalog.index(spec).samples == kept
    assert catalog.state("web").definition.table != pinned


def test_one_metadata_file_is_one_state(corpus: Corpus, lake: Table, catalog: Catalog, tmp_path: Path) -> None:
    metadata = Path(lake.metadata_location.removeprefix("file://"))
    lake.delete(EqualTo("language", "de"))
    spec = tabled(corpus, metadata, tmp_path, "iceberg")
    assert catalog.index(spec).samples == 2 * ROWS
    assert compile(spec, catalog).digest == corpus.digest


def test_a_snapshot_whose_files_are_gone_is_refused(
    corpus: Corpus, lake: Table, catalog: Catalog, tmp_path: Path
) -> None:
    spec = tabled(corpus, place_of(lake), tmp_path, "iceberg")
    catalog.index(spec)
    next((place_of(lake) / "data").glob("*.parquet")).unlink()
    message = r"pinned of the iceberg table .* \(version \d+\) cannot be read any more: no file .*: run `mixtera index`"
    with pytest.raises(CatalogError, match=message):
        compile(spec, catalog)
    with pytest.raises(CatalogError, match=r"a file of it cannot be read: no file"):
        catalog.index(spec)


def test_deletes_of_rows_are_refused(corpus: Corpus, lake: Table, catalog: Catalog, tmp_path: Path) -> None:
    delete_one_row(lake)
    with pytest.raises(CatalogError, match=r"deletes rows of .*\.parquet by files of their own, .*: compact the table"):
        catalog.index(tabled(corpus, place_of(lake), tmp_path, "iceberg"))


def test_a_column_that_was_renamed_is_refused(corpus: Corpus, lake: Table, catalog: Catalog, tmp_path: Path) -> None:
    with lake.update_schema() as update:
        update.rename_column("language", "tongue")
    with lake.update_schema() as update:
        update.add_column("language", StringType())  # the same name for something else
    with pytest.raises(CatalogError, match=r"'language' is not in .* under this name: .* rewrite the table's files"):
        catalog.index(tabled(corpus, place_of(lake), tmp_path, "iceberg"))


def test_what_is_no_table_is_said_so(corpus: Corpus, lake: Table, catalog: Catalog, tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    with pytest.raises(CatalogError, match=r"there is no \*\.metadata\.json in .*none/metadata: name the folder"):
        catalog.index(tabled(corpus, tmp_path / "none", tmp_path, "iceberg"))
    for name, text in {"broken": "{", "other": json.dumps({"format-version": 2})}.items():
        path = tmp_path / f"{name}.metadata.json"
        path.write_text(text)
        with pytest.raises(CatalogError, match=r"cannot be read as the metadata of an Iceberg table"):
            catalog.index(tabled(corpus, path, tmp_path, "iceberg"))
    with pytest.raises(CatalogError, match=r"cannot be read as the metadata of an Iceberg table"):
        catalog.index(tabled(corpus, tmp_path / "gone.metadata.json", tmp_path, "iceberg"))
    empty = lake.catalog.create_table("db.empty", lake.schema())
    with pytest.raises(CatalogError, match=r"has no rows: there is nothing to mix"):
        catalog.index(tabled(corpus, place_of(empty), tmp_path, "iceberg"))
