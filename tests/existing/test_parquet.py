"""A Parquet table as the catalog of a source: the plan is the one that `mixtera index` of the files gives."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import jsonschema
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import yaml

from mixtera.catalog import Catalog
from mixtera.cli.main import main
from mixtera.compiler import compile
from mixtera.compiler.locking import unindexed
from mixtera.errors import CatalogError
from mixtera.spec import load
from mixtera.spec.model import Spec
from mixtera.spec.schema import json_schema
from tests.existing.made import FILES, ROWS, Corpus, keep, tabled


@pytest.mark.parametrize("engine", ["duckdb", "polars", "datafusion"])
def test_the_plan_is_that_of_the_indexed_files(
    engine: str, corpus: Corpus, table: Path, catalog: Catalog, tmp_path: Path
) -> None:
    spec = tabled(corpus, table, tmp_path)
    report = catalog.index(spec)
    assert (report.samples, report.sources[0].new, report.sources[0].bytes) == (2 * ROWS, 2, 0)
    assert compile(spec, catalog, engine=engine).digest == corpus.digest
    assert compile(spec, catalog, engine=engine).digest == corpus.digest  # nothing that was kept changes it


def test_no_property_is_copied(corpus: Corpus, table: Path, catalog: Catalog, tmp_path: Path) -> None:
    catalog.index(tabled(corpus, table, tmp_path))
    written = list(catalog.path.rglob("*.parquet"))
    columns = {name for path in written for name in pq.read_schema(path).names}
    assert not columns & {"language", "year", "score", "tags", "day", "seen", "in_row", "row"}
    assert sum(pq.read_metadata(path).num_rows for path in written) < 20


def test_it_is_the_whole_way_by_commands(
    corpus: Corpus, table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tabled(corpus, table, tmp_path)
    spec, plan = str(tmp_path / "table.yaml"), str(tmp_path / "x.plan")
    more = ["--catalog", str(tmp_path / "catalog")]

    def said(*arguments: str) -> str:
        assert main([*arguments, *more] if arguments[0] != "stream" else list(arguments)) == 0
        return capsys.readouterr().out

    assert main(["check", spec]) == 0
    said("index", spec)
    assert corpus.digest in said("compile", spec, "-o", plan)
    said("lock", spec)
    assert corpus.digest in (tmp_path / "table.yaml.lock").read_text()
    assert 'FROM "web files"' in said("explain", spec, "--sql")
    assert json.loads(said("catalog", "ls", "--json"))[0]["samples"] == 2 * ROWS
    shown = said("catalog", "show", "web")
    assert f"table       {table} (parquet, version " in shown
    assert "keys        file: in_file, row: in_row" in shown
    assert "all is as it was indexed" not in said("index", spec, "--verify", "--json")
    found = json.loads(said("catalog", "stats", "web", "--property", "score", "--json"))[0]
    expected = pc.sum(pc.is_finite(corpus.table["score"])).as_py()
    assert found["missing"] == 2 * ROWS - expected
    assert found["smallest"] == -2.0
    rows = json.loads(said("catalog", "query", "web", 'lang == "de" and "a" in tags', "--limit", "3", "--json"))
    assert [row["lang"] for row in rows["rows"]] == ["de"] * 3
    assert "nothing changes" in said("diff", plan, spec)


def test_samples_are_read_where_they_lie(corpus: Corpus, table: Path, catalog: Catalog, tmp_path: Path) -> None:
    spec = tabled(corpus, table, tmp_path)
    catalog.index(spec)
    plan = compile(spec, catalog)
    name = dict(zip(plan.data.files["file_id"].to_pylist(), FILES, strict=True))
    batch = next(iter(plan.stream(batch_size=50)))
    for text, sample in zip(batch["text"].to_pylist(), batch["sample"].to_pylist(), strict=True):
        assert text == f"{name[sample >> 31]} {sample & (2**31 - 1)}"


def test_a_table_of_some_of_the_rows_is_a_plan_of_those(corpus: Corpus, catalog: Catalog, tmp_path: Path) -> None:
    part = corpus.table.filter(pc.equal(corpus.table["language"], "de"))
    spec = tabled(corpus, keep(part, tmp_path / "meta"), tmp_path)
    assert catalog.index(spec).samples == len(part) < 2 * ROWS
    assert {source["rows"] for source in compile(spec, catalog).data.facts["sources"]} == {len(part)}


def test_whole_paths_and_pieces_of_them_name_the_same_files(corpus: Corpus, catalog: Catalog, tmp_path: Path) -> None:
    names = [
        name if number % 3 else f"{corpus.data}/{name}" if number % 2 else f"./{name}"
        for number, name in enumerate(corpus.table["in_file"].to_pylist())
    ]
    place = corpus.table.column_names.index("in_file")
    mixed = corpus.table.set_column(place, "in_file", pa.array(names).dictionary_encode())
    spec = tabled(corpus, keep(mixed, tmp_path / "meta"), tmp_path)
    assert catalog.index(spec).files == 2
    assert compile(spec, catalog).digest == corpus.digest


@pytest.mark.parametrize("engine", ["duckdb", "polars", "datafusion"])
def test_columns_of_other_widths_mean_the_same(engine: str, corpus: Corpus, catalog: Catalog, tmp_path: Path) -> None:
    """As pandas and other writers have them."""
    types = {
        "language": pa.dictionary(pa.int32(), pa.string()),
        "year": pa.uint16(),
        "tags": pa.large_list(pa.large_string()),
        "seen": pa.timestamp("ns", "UTC"),
        "in_file": pa.large_string(),
        "in_row": pa.uint32(),
        "score": pa.float32(),
    }
    fields = [pa.field(field.name, types.get(field.name, field.type)) for field in corpus.table.schema]
    spec = tabled(corpus, keep(corpus.table.cast(pa.schema(fields)), tmp_path / "meta"), tmp_path)
    catalog.index(spec)
    assert compile(spec, catalog, engine=engine).digest == corpus.digest


def test_what_is_as_it_was_is_not_read_again(corpus: Corpus, table: Path, catalog: Catalog, tmp_path: Path) -> None:
    spec = tabled(corpus, table, tmp_path)
    first, again = catalog.index(spec).sources[0], catalog.index(spec).sources[0]
    assert again.snapshot_id == first.snapshot_id
    assert (again.new, again.changed, again.unchanged, again.samples) == (0, 0, 2, 2 * ROWS)


def test_runs_that_died_before_and_behind_the_commit(
    corpus: Corpus, table: Path, catalog: Catalog, tmp_path: Path
) -> None:
    spec = tabled(corpus, table, tmp_path)
    catalog.index(spec)
    run = catalog.state("web").run
    dead = shutil.copytree(run, run.with_name("dead"))
    for directory in (run, dead):
        (directory / "run.json").write_text("{}")  # what a run removes when it is done
    assert catalog.index(spec).sources[0].unchanged == 2
    assert not dead.exists()
    assert compile(spec, catalog).digest == corpus.digest


def test_a_table_that_moved_on_is_refused_until_it_is_pinned_again(
    corpus: Corpus, catalog: Catalog, tmp_path: Path
) -> None:
    meta = keep(corpus.table, tmp_path / "meta")
    spec = tabled(corpus, meta, tmp_path)
    catalog.index(spec)
    keep(corpus.table.slice(5), tmp_path / "meta")
    with pytest.raises(CatalogError, match=r"what `mixtera index` pinned of the parquet table .* run `mixtera index`"):
        compile(spec, catalog)
    assert catalog.index(spec).samples == 2 * ROWS - 5
    compile(spec, catalog)
    (meta / "0.parquet").unlink()
    with pytest.raises(CatalogError, match=r"cannot be read any more: no file .*0\.parquet"):
        compile(spec, catalog)


def test_a_file_beside_those_that_were_pinned_changes_nothing(corpus: Corpus, catalog: Catalog, tmp_path: Path) -> None:
    meta = keep(corpus.table, tmp_path / "meta")
    spec = tabled(corpus, meta, tmp_path)
    catalog.index(spec)
    shutil.copy(meta / "0.parquet", meta / "9.parquet")
    assert compile(spec, catalog).digest == corpus.digest
    with pytest.raises(CatalogError, match="is there more than once"):
        catalog.index(spec)
    assert compile(spec, catalog).digest == corpus.digest  # the state before is whole


def test_payload_that_moved_is_seen(corpus: Corpus, table: Path, catalog: Catalog, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(corpus.data, data)
    spec = tabled(corpus, table, tmp_path, path=str(data))
    catalog.index(spec)
    assert unindexed(spec, catalog) == ()
    assert not catalog.verify(spec)[0].differences
    os.utime(data / FILES[0], (1, 1))
    assert [change.name for source in unindexed(spec, catalog) for change in source.files] == [FILES[0]]
    assert [one.what for one in catalog.verify(spec)[0].differences] == ["has changed since it was indexed"]
    assert catalog.index(spec).sources[0].changed == 1
    (data / FILES[1]).unlink()
    assert [one.what for one in catalog.verify(spec)[0].differences] == ["is gone"]
    with pytest.raises(CatalogError, match=r"names the file .*b\.parquet, which is not there"):
        catalog.index(spec)


def test_a_source_goes_from_files_to_a_table_and_back(
    corpus: Corpus, table: Path, catalog: Catalog, tmp_path: Path
) -> None:
    plain, spec = load(corpus.folder / "plain.yaml"), tabled(corpus, table, tmp_path)
    catalog.index(plain)
    with pytest.raises(CatalogError, match=r"no table, now parquet table .*: run `mixtera index"):
        compile(spec, catalog)
    catalog.index(spec)
    assert compile(spec, catalog).digest == corpus.digest
    with pytest.raises(CatalogError, match=r"parquet table .*, now no table"):
        compile(plain, catalog)
    report = catalog.index(plain).sources[0]
    assert report.changed == 2
    assert compile(plain, catalog).digest == corpus.digest
    catalog.drop("web")
    assert catalog.sources() == ()
    assert len(list(table.iterdir())) == 3  # what is dropped is the catalog's alone


def test_tables_and_files_stand_in_one_spec(corpus: Corpus, table: Path, catalog: Catalog, tmp_path: Path) -> None:
    """Three sources of the same properties, two of one table whose names of files mean files of two folders."""
    shutil.copytree(corpus.data, tmp_path / "copy")
    sources = {
        "files": f"path: {corpus.data}/**/*.parquet",
        "first": f"path: {corpus.data}",
        "second": f"path: {tmp_path / 'copy'}",
    }
    keyed = f"table: {{format: parquet, at: {table}}}, keys: {{file: in_file, row: in_row}}, format: parquet, "

    def spec(tables: tuple[str, ...]) -> Spec:
        lines = []
        for name, path in sources.items():
            pattern = "" if name in tables or "*" in path else "/**/*.parquet"
            lang = "language" if name in tables else "lang"
            more = keyed if name in tables else ""
            text = f"{more}{path}{pattern}, content: text, properties: {{lang: {lang}, year: year}}"
            lines.append(f"  {name}: {{{text}}}")
        body = "\n".join(["version: 1", "name: x", "sources:", *lines, "mixture: {by: [dataset, lang]}"])
        path = tmp_path / f"{len(tables)}.yaml"
        path.write_text(f"{body}\n")
        return load(path)

    plain, mixed = spec(()), spec(("first", "second"))
    other = Catalog.open(str(tmp_path / "other"))
    other.index(plain)
    catalog.index(mixed)
    expected = compile(plain, other).digest
    assert compile(mixed, catalog).digest == expected
    assert compile(mixed, catalog).digest == expected  # labels of the files are remembered, those of tables asked


def test_the_schema_for_editors_knows_tables(corpus: Corpus, table: Path, tmp_path: Path) -> None:
    tabled(corpus, table, tmp_path)
    written = yaml.safe_load((tmp_path / "table.yaml").read_text())
    validator = jsonschema.Draft202012Validator(json_schema())
    assert not list(validator.iter_errors(written))
    source = written["sources"]["web"]
    for wrong in (
        {**source, "keys": {"file": "in_file"}},
        {**source, "keys": {"file": "in_file", "offset": "at"}},
        {**source, "table": {"format": "csv", "at": "x"}},
        {name: value for name, value in source.items() if name != "keys"},
        {name: value for name, value in source.items() if name != "table"},
        {name: value for name, value in source.items() if name not in ("table", "keys", "path")},
    ):
        assert list(validator.iter_errors({**written, "sources": {"web": wrong}}))


MORE = """
filter: year < 2020
mixture:
  components:
    - {name: groups, by: [lang, day], where: year > 2015, weight: 1}
    - name: sorted
      where: score is not None
      weight: 2
      order: {by: [score, seen, {value: '"a" in tags', descending: true}]}
    - {name: rest, weight: 1}
exclude:
  - {path: dull.csv, columns: {year: year}}
"""


def test_groups_curricula_and_exclusions_go_by_columns_of_a_table(
    corpus: Corpus, table: Path, catalog: Catalog, tmp_path: Path
) -> None:
    (tmp_path / "dull.csv").write_text("year\n2001\n2007\n")
    plain = (corpus.folder / "plain.yaml").read_text()
    keyed = tabled(corpus, table, tmp_path)
    specs = []
    for name, text in {"plain": plain, "keyed": (tmp_path / "table.yaml").read_text()}.items():
        path = tmp_path / f"{name}.yaml"
        path.write_text(text[: text.index("\nfilter")] + MORE)
        specs.append(load(path))
    catalog.index(keyed)
    indexed = Catalog.open(str(corpus.folder / "plain"))
    assert compile(specs[1], catalog).digest == compile(specs[0], indexed).digest
