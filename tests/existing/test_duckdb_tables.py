"""A table in a DuckDB file as the catalog of a source: read as it lies, pinned by its rows."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import duckdb
import jsonschema
import pyarrow as pa
import pytest
import yaml

from mixtera.catalog import Catalog
from mixtera.cli.main import main
from mixtera.compiler import compile
from mixtera.contracts.engine import Engine
from mixtera.contracts.holding import HeldTable
from mixtera.errors import CatalogError
from mixtera.registry import engine_named
from mixtera.spec import load
from mixtera.spec.model import Spec
from mixtera.spec.schema import json_schema
from mixtera.testing.holding import HoldingLaws
from tests.existing.databases import check_plan, in_duckdb, named
from tests.existing.made import ROWS, Corpus
from tests.waiting import patience_with


def spec_of(corpus: Corpus, file: Path, folder: Path, name: str = "lake.samples", **more: str) -> Spec:
    return named(corpus, f"{{engine: duckdb, at: {file}, name: {name}}}", folder, **more)


@pytest.fixture
def file(corpus: Corpus, tmp_path: Path) -> Path:
    return in_duckdb(corpus.table, tmp_path / "team.duckdb")


def changed(file: Path, *statements: str) -> None:
    with duckdb.connect(str(file)) as connection:
        for statement in statements:
            connection.execute(statement)


def test_the_plan_is_that_of_the_indexed_files(corpus: Corpus, file: Path, catalog: Catalog, tmp_path: Path) -> None:
    spec = spec_of(corpus, file, tmp_path)
    assert catalog.index(spec).samples == 2 * ROWS
    check_plan(spec, catalog, corpus, "duckdb")


def test_it_is_the_whole_way_by_commands(
    corpus: Corpus, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec_of(corpus, file, tmp_path)
    spec, plan, more = str(tmp_path / "table.yaml"), str(tmp_path / "x.plan"), ["--catalog", str(tmp_path / "catalog")]

    def said(*arguments: str) -> str:
        assert main([*arguments, *more]) == 0
        return capsys.readouterr().out

    said("index", spec)
    assert corpus.digest in said("compile", spec, "-o", plan)
    assert 'FROM "web files"' in said("explain", spec, "--sql")
    shown = said("catalog", "show", "web")
    assert f"table       lake.samples of {file} (duckdb, version 1,800 rows, " in shown
    found = {one["name"]: one for one in json.loads(said("catalog", "stats", "web", "--json"))}
    assert found["year"]["missing"] == 0
    assert found["tags"]["distinct"] == 2
    rows = json.loads(said("catalog", "query", "web", 'lang == "de" and "a" in tags', "--limit", "3", "--json"))
    assert [row["lang"] for row in rows["rows"]] == ["de"] * 3
    assert "nothing changes" in said("diff", plan, spec)


def test_rows_that_are_others_are_refused_until_they_are_pinned(
    corpus: Corpus, file: Path, catalog: Catalog, tmp_path: Path
) -> None:
    spec = spec_of(corpus, file, tmp_path)
    catalog.index(spec)
    changed(file, "CREATE TABLE lake.other AS SELECT * FROM lake.samples ORDER BY random()")
    changed(file, "DROP TABLE lake.samples", "ALTER TABLE lake.other RENAME TO samples")
    assert compile(spec, catalog).digest == corpus.digest  # the same rows, in another order
    changed(file, "UPDATE lake.samples SET year = 1999 WHERE in_row < 90")
    with pytest.raises(
        CatalogError, match=r"is not what `mixtera index` pinned \(1,800 rows, \w{16}\): now it has 1,8"
    ):
        compile(spec, catalog)
    assert catalog.index(spec).samples == 2 * ROWS
    assert compile(spec, catalog).digest != corpus.digest
    changed(file, "ALTER TABLE lake.samples DROP COLUMN day")
    with pytest.raises(CatalogError, match=r"is not what .*: Binder Error: .*day.*: run `mixtera index` again"):
        compile(spec, catalog)
    changed(file, "DROP TABLE lake.samples")
    with pytest.raises(CatalogError, match=r"is not what .*: Catalog Error: .*samples.*: run `mixtera index` again"):
        compile(spec, catalog)
    file.unlink()
    with pytest.raises(CatalogError, match=r"there is no file .*team\.duckdb"):
        compile(spec, catalog)


BAD: dict[str, tuple[str, str]] = {
    "a row twice": (
        "INSERT INTO lake.samples SELECT * FROM lake.samples LIMIT 1",
        r"the sample in_file = '.*', in_row = \d+ is there more than once",
    ),
    "no file": (
        "UPDATE lake.samples SET in_file = NULL WHERE in_row = 3",
        r"the key 'file' \(column 'in_file'\) is NULL in 2 rows: give them a value",
    ),
    "no rows": ("DELETE FROM lake.samples", "has no rows: there is nothing to mix"),
    "no column": (
        "ALTER TABLE lake.samples RENAME COLUMN language TO languages",
        r"no column 'language'; did you mean 'languages'\? columns: ",
    ),
    "a decimal": (
        "ALTER TABLE lake.samples ALTER year TYPE DECIMAL(9, 2)",
        r"'year' is of type DECIMAL\(9,2\), and no property can be: .*; cast it in a view, and name that as the table",
    ),
    "nanoseconds": ("ALTER TABLE lake.samples ALTER seen TYPE TIMESTAMP_NS", "'seen' is of type TIMESTAMP_NS, and no"),
    "a struct": (
        "ALTER TABLE lake.samples ALTER year TYPE STRUCT(a INTEGER) USING {'a': year}",
        r"'year' is of type STRUCT\(.*\), and no property can be",
    ),
    "lists in lists": (
        "ALTER TABLE lake.samples ALTER tags TYPE VARCHAR[][] USING [tags]",
        r"'tags' is of type VARCHAR\[\]\[\], and no property can be",
    ),
    "an infinite day": (
        "UPDATE lake.samples SET day = 'infinity' WHERE in_row = 3",
        "the column 'day' has an infinite value, which no property can have: give it another, or NULL",
    ),
    "rows as texts": (
        "ALTER TABLE lake.samples ALTER in_row TYPE VARCHAR",
        "the key 'row' is the column 'in_row' of type VARCHAR, and not a whole number",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_it_is_refused_and_says_why(name: str, corpus: Corpus, file: Path, catalog: Catalog, tmp_path: Path) -> None:
    statement, message = BAD[name]
    changed(file, statement)
    with pytest.raises(CatalogError, match=message) as caught:
        catalog.index(spec_of(corpus, file, tmp_path))
    assert f"duckdb table lake.samples of {file}" in str(caught.value)
    assert catalog.sources() == ()


def test_a_table_that_is_not_there(corpus: Corpus, file: Path, catalog: Catalog, tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match=r"there is none, or .*; did you mean 'lake\.samples'\?"):
        catalog.index(spec_of(corpus, file, tmp_path, "lake.sample"))
    with pytest.raises(CatalogError, match=r"there is none, .* tables: lake\.samples"):
        catalog.index(spec_of(corpus, file, tmp_path, "samples"))
    with pytest.raises(CatalogError, match=r"a\.b\.c of .*: that is no name of a table: write SCHEMA\.TABLE"):
        catalog.index(spec_of(corpus, file, tmp_path, "a.b.c"))
    (tmp_path / "text").write_text("no database" * 1000)
    with pytest.raises(CatalogError, match=r"the file cannot be opened: .*not a valid DuckDB"):
        catalog.index(spec_of(corpus, tmp_path / "text", tmp_path))
    assert catalog.sources() == ()


def test_names_may_hold_anything(corpus: Corpus, catalog: Catalog, tmp_path: Path) -> None:
    file = in_duckdb(
        corpus.table,
        tmp_path / 'it\'s "a" lake.duckdb',
        'CREATE SCHEMA "my.lake"',
        'CREATE TABLE "my.lake"."a ""b""" AS SELECT * FROM lake.samples',
    )
    table = f'{{engine: duckdb, at: \'{str(file).replace(chr(39), chr(39) * 2)}\', name: \'"my.lake"."a ""b"""\'}}'
    spec = named(corpus, table, tmp_path)
    catalog.index(spec)
    assert compile(spec, catalog).digest == corpus.digest


def test_a_view_casts_what_no_property_can_be(corpus: Corpus, catalog: Catalog, tmp_path: Path) -> None:
    file = in_duckdb(
        corpus.table,
        tmp_path / "team.duckdb",
        "ALTER TABLE lake.samples ALTER year TYPE DECIMAL(9, 2)",
        "ALTER TABLE lake.samples ALTER score TYPE FLOAT",
        "CREATE VIEW lake.seen AS SELECT samples.* REPLACE (CAST(year AS INTEGER) AS year) FROM lake.samples",
    )
    spec = spec_of(corpus, file, tmp_path, "lake.seen")
    catalog.index(spec)
    assert compile(spec, catalog).digest == corpus.digest


BY_CASE = """
mixture:
  components:
    - {name: lower, where: lang == "de", weight: 1}
    - {name: upper, where: lang == "DE", weight: 1}
"""


def test_texts_are_compared_by_their_bytes(corpus: Corpus, file: Path, catalog: Catalog, tmp_path: Path) -> None:
    changed(
        file,
        "CREATE TABLE lake.folded (in_file VARCHAR COLLATE NOCASE, in_row UINTEGER, language VARCHAR COLLATE NOCASE)",
        "INSERT INTO lake.folded SELECT in_file, in_row, if(language = 'fr', 'DE', language) FROM lake.samples",
    )
    spec_of(corpus, file, tmp_path, "lake.folded")
    path = tmp_path / "table.yaml"
    text = path.read_text()
    path.write_text(f"{text[: text.index('    properties')]}    properties: {{lang: language}}{BY_CASE}")
    spec = load(path)
    catalog.index(spec)
    expected = corpus.table["language"].to_pylist()
    samples = {component.name: component.samples for component in compile(spec, catalog).data.components}
    assert samples == {"lower": expected.count("de"), "upper": expected.count("fr")}


WRITING = """
import duckdb, sys
connection = duckdb.connect(sys.argv[1])
connection.execute("INSERT INTO lake.samples SELECT * FROM lake.samples LIMIT 0")
print("open", flush=True)
sys.stdin.read()
"""


def test_nobody_reads_while_another_writes_nor_writes_while_one_reads(
    corpus: Corpus, file: Path, catalog: Catalog, tmp_path: Path
) -> None:
    spec, writer = spec_of(corpus, file, tmp_path), [sys.executable, "-c", WRITING, str(file)]
    catalog.index(spec)
    with subprocess.Popen(writer, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        with patience_with(running):
            assert running.stdout.readline() == "open\n"
        with pytest.raises(CatalogError, match=r"the file cannot be opened: .*lock"):
            compile(spec, catalog)
        running.communicate("")
    with closing(engine_named("duckdb")) as engine:
        assert compile(spec, catalog, engine=engine).digest == corpus.digest
        refused = subprocess.run(writer, input="", capture_output=True, text=True, check=False)
        assert "lock" in refused.stderr
    subprocess.run(writer, input="", capture_output=True, text=True, check=True)


def test_another_engine_says_which_one_it_is(corpus: Corpus, file: Path, catalog: Catalog, tmp_path: Path) -> None:
    spec = spec_of(corpus, file, tmp_path)
    catalog.index(spec)
    with pytest.raises(
        CatalogError, match=r"'web' are in the duckdb table .*, which polars cannot read: use `--engine du"
    ):
        compile(spec, catalog, engine="polars")
    assert compile(spec, catalog, engine="duckdb(threads=1)").digest == corpus.digest


def test_the_schema_for_editors_knows_databases(corpus: Corpus, file: Path, tmp_path: Path) -> None:
    spec_of(corpus, file, tmp_path)
    written = yaml.safe_load((tmp_path / "table.yaml").read_text())
    validator = jsonschema.Draft202012Validator(json_schema())
    assert not list(validator.iter_errors(written))
    source = written["sources"]["web"]
    server = {**source, "table": {"engine": "postgres", "name": "lake.samples"}}
    assert not list(validator.iter_errors({**written, "sources": {"web": server}}))
    for table in (
        {"engine": "postgres"},
        {"name": "lake.samples"},
        {"at": str(file), "name": "lake.samples"},
        {"engine": "duckdb", "format": "parquet", "at": str(file), "name": "lake.samples"},
    ):
        assert list(validator.iter_errors({**written, "sources": {"web": {**source, "table": table}}}))


class TestDuckDB(HoldingLaws):
    def engine(self) -> Engine:
        return engine_named("duckdb")

    def keep(self, table: pa.Table, folder: Path) -> HeldTable:
        return HeldTable("duckdb", "lake.samples", str(in_duckdb(table, folder / "team.duckdb")))
