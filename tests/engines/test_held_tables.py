"""A table of a PostgreSQL server as the catalog of a source: read where it is, pinned by its rows."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import ibis
import psycopg
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from mixtera.catalog import Catalog
from mixtera.cli.main import OUTSIDE_FAILED, main
from mixtera.compiler import compile
from mixtera.contracts.engine import Engine
from mixtera.contracts.holding import HeldTable
from mixtera.errors import CatalogError
from mixtera.spec import load
from mixtera.spec.model import Spec
from mixtera.testing.holding import HoldingLaws
from mixtera_backends.engines import heldpostgres
from mixtera_backends.engines.postgres import URL, PostgresEngine
from tests.engines.cutting import CuttingProxy
from tests.engines.server import PASSWORD, USER, Postgres
from tests.existing.databases import in_duckdb, in_postgres, named
from tests.existing.made import ROWS, Corpus, keep, make

TABLE = "{engine: postgres, name: lake.samples}"
FEW = pa.schema([("language", pa.string()), ("file_id", pa.int64())])
HELD = HeldTable("postgres", "lake.samples", "", (("language", "string"), ("in_row", "int64")))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return make(tmp_path_factory.mktemp("corpus"))


@pytest.fixture
def server(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> Postgres:
    monkeypatch.setenv(URL, postgres.url)
    return postgres


@pytest.fixture
def team(server: Postgres, corpus: Corpus) -> Iterator[psycopg.Connection]:
    """The team's own connection; `lake.samples` is the corpus."""
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA IF NOT EXISTS lake")
        in_postgres(corpus.table, "lake.samples", connection)
        yield connection
        connection.execute("DROP SCHEMA lake CASCADE")


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return Catalog.open(str(tmp_path / "catalog"))


@pytest.fixture
def spec(team: psycopg.Connection, corpus: Corpus, tmp_path: Path) -> Spec:
    return named(corpus, TABLE, tmp_path)


def digest(spec: Spec, catalog: Catalog) -> str:
    return compile(spec, catalog, engine="postgres").digest


def test_the_plan_is_that_of_the_indexed_files(spec: Spec, corpus: Corpus, catalog: Catalog) -> None:
    report = catalog.index(spec)
    assert (report.samples, report.sources[0].bytes) == (2 * ROWS, 0)
    plan = compile(spec, catalog, engine="postgres")
    assert plan.digest == corpus.digest
    assert next(iter(plan.stream(batch_size=8))).num_rows == 8
    again = catalog.index(spec).sources[0]
    assert (again.new, again.changed, again.unchanged) == (0, 0, 2)
    assert not catalog.verify(spec)[0].differences


def test_it_is_the_whole_way_by_commands(
    spec: Spec, corpus: Corpus, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, plan, more = str(spec.file), str(tmp_path / "x.plan"), ["--catalog", str(tmp_path / "catalog")]
    engine = ["--engine", "postgres"]
    everything = []

    def said(*arguments: str) -> str:
        assert main([*arguments, *more] if arguments[0] != "stream" else list(arguments)) == 0
        captured = capsys.readouterr()
        everything.append(captured.out + captured.err)
        return captured.out

    said("index", file, "-v")
    assert corpus.digest in said("compile", file, "-o", plan, *engine, "-v")
    assert "german" in said("explain", file, *engine)
    assert 'FROM "web files"' in said("explain", file, "--sql", "--dialect", "postgres")
    assert "Seq Scan on samples" in said("explain", file, "--analyze", *engine)
    said("lock", file, *engine)
    assert corpus.digest in Path(f"{file}.lock").read_text()
    assert "table       lake.samples (postgres, version 1,800 rows, " in said("catalog", "show", "web")
    stats = {one["name"]: one for one in json.loads(said("catalog", "stats", "web", "--json"))}
    assert stats["score"]["missing"] == 2 * ROWS - pc.sum(pc.is_finite(corpus.table["score"])).as_py()
    assert stats["tags"]["distinct"] == 2
    found = json.loads(
        said("catalog", "query", "web", 'lang == "de" and "a" in tags', "--limit", "3", "--json", *engine)
    )
    assert [row["lang"] for row in found["rows"]] == ["de"] * 3
    assert "nothing changes" in said("diff", plan, file, *engine)
    assert said("stream", plan, "--limit", "3")
    written = [path for folder in ("catalog", "x.plan") for path in (tmp_path / folder).rglob("*") if path.is_file()]
    assert not [path for path in written if PASSWORD.encode() in path.read_bytes()]
    assert PASSWORD not in "".join(everything)


def test_nothing_of_the_table_is_copied(spec: Spec, catalog: Catalog, team: psycopg.Connection) -> None:
    catalog.index(spec)
    assert {path.name for path in catalog.path.rglob("*.parquet")} == {"paths.parquet", "files.parquet"}
    with closing(PostgresEngine()) as engine:
        compile(spec, catalog, engine=engine)
        made = team.execute(
            "SELECT relname FROM pg_class WHERE relpersistence = 't' AND relkind IN ('r', 'v')"
        ).fetchall()
        assert made == [("web files",)]
        team.execute("SET lock_timeout = '60s'")
        team.execute("DROP TABLE lake.samples")  # nothing of the session that is still open depends on it


def test_lines_are_found_by_bytes(team: psycopg.Connection, catalog: Catalog, tmp_path: Path) -> None:
    from tests.existing import test_jsonl_tables as lines

    table = lines.write_lines(tmp_path / "data", blank=False)
    in_postgres(table, "lake.lines", team)
    spec = lines.tabled(tmp_path / "data", keep(table, tmp_path / "meta"), tmp_path)
    catalog.index(spec)
    expected = compile(spec, catalog).digest
    at = f"{{format: parquet, at: {tmp_path / 'meta'}}}"
    text = Path(spec.file).read_text()
    for keys in (lines.ROW, lines.NO_ROW):
        path = tmp_path / "held.yaml"
        path.write_text(text.replace(at, "{engine: postgres, name: lake.lines}").replace(lines.ROW, keys))
        assert catalog.index(load(path)).samples == len(table)
        assert digest(load(path), catalog) == expected


def test_rows_that_are_others_are_refused_until_they_are_pinned(
    spec: Spec, corpus: Corpus, catalog: Catalog, team: psycopg.Connection
) -> None:
    catalog.index(spec)
    team.execute("CREATE TABLE lake.other AS SELECT *, 1 AS more FROM lake.samples ORDER BY random()")
    team.execute("DROP TABLE lake.samples; ALTER TABLE lake.other RENAME TO samples")
    assert digest(spec, catalog) == corpus.digest  # the same rows, in another order
    team.execute("UPDATE lake.samples SET more = in_row")
    assert digest(spec, catalog) == corpus.digest  # nobody asked for that column
    for statement, what in {
        "UPDATE lake.samples SET year = 1999 WHERE in_row = 7": r"now it has 1,800 rows, \w{16}",
        "DELETE FROM lake.samples WHERE in_row < 90": r"now it has 1,620 rows, \w{16}",
        "INSERT INTO lake.samples SELECT * FROM lake.samples LIMIT 1": r"now it has 1,801 rows, \w{16}",
        "UPDATE lake.samples SET tags = '{a,NULL}' WHERE tags = '{b,NULL,a}'": r"now it has 1,800 rows, \w{16}",
        "UPDATE lake.samples SET language = NULL WHERE language = 'de'": r"now it has 1,800 rows, \w{16}",
        "ALTER TABLE lake.samples ALTER year TYPE text USING 'x' || year": "invalid input syntax",
        "ALTER TABLE lake.samples DROP COLUMN day": r'column "day" does not exist',
        "ALTER TABLE lake.samples RENAME TO others": r'relation "lake\.samples" does not exist',
    }.items():
        with team.transaction(force_rollback=False):
            team.execute("CREATE TABLE lake.kept AS SELECT * FROM lake.samples")
            team.execute(statement)
        message = rf"postgres table lake\.samples is not what `mixtera index` pinned \(1,800 rows, \w{{16}}\): {what}"
        with pytest.raises(CatalogError, match=rf"{message}.*: run `mixtera index` again"):
            digest(spec, catalog)
        team.execute("DROP TABLE IF EXISTS lake.samples; ALTER TABLE lake.kept RENAME TO samples")
    team.execute("UPDATE lake.samples SET year = 1999 WHERE in_row < 90")
    assert catalog.index(spec).samples == 2 * ROWS
    assert digest(spec, catalog) != corpus.digest


def test_the_answer_is_of_the_state_that_was_looked_at(
    spec: Spec, corpus: Corpus, catalog: Catalog, team: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody writes behind the look at the pin, and before the question."""
    catalog.index(spec)
    looked, look = [], heldpostgres.check_pin

    def check(table: HeldTable, found: str) -> None:
        look(table, found)
        team.execute("UPDATE lake.samples SET year = 1999")
        looked.append(table)

    monkeypatch.setattr(heldpostgres, "check_pin", check)
    assert digest(spec, catalog) == corpus.digest
    assert len(looked) == 1
    with pytest.raises(CatalogError, match="is not what `mixtera index` pinned"):
        digest(spec, catalog)


def test_a_table_that_changes_while_it_is_pinned(
    spec: Spec, catalog: Catalog, team: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    columns = PostgresEngine.held_rows

    def rows(engine: PostgresEngine, table: HeldTable, names: list[str]) -> Iterator[pa.RecordBatch]:
        team.execute("DELETE FROM lake.samples WHERE in_row = 5")
        return columns(engine, table, names)

    monkeypatch.setattr(PostgresEngine, "held_rows", rows)
    with pytest.raises(CatalogError, match="is not what `mixtera index` pinned"):
        catalog.index(spec)
    assert catalog.sources() == ()


def test_tables_and_files_stand_in_one_spec(
    corpus: Corpus, team: psycopg.Connection, catalog: Catalog, tmp_path: Path
) -> None:
    for name in ("second", "third"):
        shutil.copytree(corpus.data, tmp_path / name)
    places = {"first": corpus.data, "second": tmp_path / "second", "third": tmp_path / "third"}

    def spec(name: str, tables: dict[str, str]) -> Spec:
        lines = []
        for source, place in places.items():
            lang = "language" if source in tables else "lang"
            more = f"table: {tables[source]}, keys: {{file: in_file, row: in_row}}, " if source in tables else ""
            pattern = "" if source in tables else "/**/*.parquet"
            rest = f"path: {place}{pattern}, format: parquet, content: text"
            lines.append(f"  {source}: {{{more}{rest}, properties: {{lang: {lang}, year: year}}}}")
        path = tmp_path / f"{name}.yaml"
        body = "\n".join(["version: 1", "name: x", "sources:", *lines, "mixture: {by: [dataset, lang]}"])
        path.write_text(f"{body}\n")
        return load(path)

    plain = spec("plain", {})
    mixed = spec("mixed", {"first": TABLE, "second": TABLE})
    catalog.index(plain)
    expected = compile(plain, catalog).digest
    catalog.index(mixed)
    assert digest(mixed, catalog) == expected
    file = in_duckdb(corpus.table, tmp_path / "team.duckdb")
    two = spec("two", {"first": TABLE, "second": f"{{engine: duckdb, at: {file}, name: lake.samples}}"})
    catalog.index(two)
    with pytest.raises(CatalogError, match=r"'second' are in the duckdb table .*, which postgres cannot read"):
        digest(two, catalog)


def test_another_engine_says_which_one_it_is(
    spec: Spec, catalog: Catalog, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    catalog.index(spec)
    plan, more = tmp_path / "x.plan", ["--catalog", str(tmp_path / "catalog")]
    assert main(["compile", str(spec.file), "-o", str(plan), *more]) == 1
    said = capsys.readouterr().err
    assert "'web' are in the postgres table lake.samples, which duckdb cannot read: use `--engine postgres`" in said
    assert main(["catalog", "query", "web", "year == 2000", *more]) == 1
    assert "use `--engine postgres`" in capsys.readouterr().err
    assert not plan.exists()


BAD: dict[str, tuple[str, str]] = {
    "a row twice": (
        "INSERT INTO lake.samples SELECT * FROM lake.samples LIMIT 1",
        r"the sample in_file = '.*', in_row = \d+ is there more than once: .*; remove the duplicates",
    ),
    "no file": (
        "UPDATE lake.samples SET in_file = NULL WHERE in_row = 3",
        r"the key 'file' \(column 'in_file'\) is NULL in 2 rows: give them a value, or remove the rows",
    ),
    "no row": ("UPDATE lake.samples SET in_row = NULL WHERE in_row = 3", r"the key 'row' .* is NULL in 2 rows"),
    "a row beyond": (f"UPDATE lake.samples SET in_row = {ROWS} WHERE in_row = 3", f"names row {ROWS} of "),
    "no rows": ("DELETE FROM lake.samples", "has no rows: there is nothing to mix"),
    "no column": (
        "ALTER TABLE lake.samples RENAME language TO languages",
        r"no column 'language'; did you mean 'languages'\? columns: languages, year",
    ),
    "a key that is none": (
        "ALTER TABLE lake.samples DROP in_row",
        r"no column 'in_row'; columns: language, year, score, tags, day, seen, in_file",
    ),
    "a decimal": (
        "ALTER TABLE lake.samples ALTER year TYPE numeric(9, 2)",
        r"'year' is of type numeric\(9,2\), and no property can be: .*; cast it in a view, and name that as the table",
    ),
    "blanks at the end": (
        "ALTER TABLE lake.samples ALTER language TYPE character(9)",
        r"is of type character\(9\), and",
    ),
    "JSON": ("ALTER TABLE lake.samples ALTER tags TYPE jsonb USING to_jsonb(tags)", "'tags' is of type jsonb, and no"),
    "lists in lists": (
        "UPDATE lake.samples SET tags = '{{a,b},{c,d}}' WHERE in_row = 3",
        "the column 'tags' has lists in lists, which no property can have",
    ),
    "an infinite moment": (
        "UPDATE lake.samples SET seen = '-infinity' WHERE in_row = 3",
        "the column 'seen' has an infinite value, which no property can have: give it another, or NULL",
    ),
    "rows as texts": (
        "ALTER TABLE lake.samples ALTER in_row TYPE text",
        "the key 'row' is the column 'in_row' of type text, and not a whole number",
    ),
    "files as numbers": (
        "ALTER TABLE lake.samples ALTER in_file TYPE bigint USING 1",
        "the key 'file' is the column 'in_file' of type bigint, and not a text",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_it_is_refused_and_says_why(name: str, spec: Spec, catalog: Catalog, team: psycopg.Connection) -> None:
    statement, message = BAD[name]
    team.execute(statement)
    with pytest.raises(CatalogError, match=rf"postgres table lake\.samples.*{message}"):
        catalog.index(spec)
    assert catalog.sources() == ()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "lake.sample",
            r"there is none, or this user does not see it; did you mean 'lake\.samples'\? tables: lake\.sam",
        ),
        ("samples", "there is none, or this user does not see it; .*tables: "),
        ("LAKE.samples", "there is none"),
        ("lake.", r"that is no name of a table: write SCHEMA\.TABLE"),
        (
            "postgres.lake.samples",
            r"that is no name of a table: write SCHEMA\.TABLE, with \"quotes\" around a part with",
        ),
        ("samples; DROP TABLE samples", "there is none"),
        ("'lake.\"samples\"; DROP TABLE lake.samples'", "that is no name of a table"),
    ],
)
def test_a_name_that_is_none(
    name: str, message: str, team: psycopg.Connection, corpus: Corpus, catalog: Catalog, tmp_path: Path
) -> None:
    with pytest.raises(CatalogError, match=message):
        catalog.index(named(corpus, f"{{engine: postgres, name: {name}}}", tmp_path))
    assert team.execute("SELECT count(*) FROM lake.samples").fetchone() == (2 * ROWS,)


def test_views_partitions_and_names_that_hold_anything(
    team: psycopg.Connection, corpus: Corpus, catalog: Catalog, tmp_path: Path
) -> None:
    team.execute("ALTER TABLE lake.samples ALTER year TYPE numeric, ALTER score TYPE real, ALTER in_row TYPE smallint")
    team.execute("ALTER TABLE lake.samples ALTER language TYPE varchar(20), ALTER tags TYPE varchar(9)[]")
    cast = "SELECT language, year::int AS year, score, tags, day, seen, in_file, in_row FROM lake.samples"
    team.execute(f'CREATE VIEW lake."seen.by ""me""" AS {cast}')
    team.execute(f"CREATE MATERIALIZED VIEW lake.kept AS {cast}")
    team.execute("CREATE TABLE lake.parts (LIKE lake.kept) PARTITION BY RANGE (year)")
    for part, (low, high) in enumerate(((0, 2000), (2000, 3000))):
        team.execute(f"CREATE TABLE lake.part{part} PARTITION OF lake.parts FOR VALUES FROM ({low}) TO ({high})")
    team.execute("INSERT INTO lake.parts SELECT * FROM lake.kept")
    for name in ('\'lake."seen.by ""me"""\'', "lake.kept", "lake.parts"):
        spec = named(corpus, f"{{engine: postgres, name: {name}}}", tmp_path)
        catalog.index(spec)
        assert digest(spec, catalog) == corpus.digest


def test_texts_are_compared_by_their_bytes(
    team: psycopg.Connection, corpus: Corpus, catalog: Catalog, tmp_path: Path
) -> None:
    try:
        team.execute("CREATE COLLATION lake.folded (provider = icu, locale = 'und-u-ks-level2', deterministic = false)")
    except psycopg.errors.FeatureNotSupported:
        pytest.skip("this PostgreSQL is built without ICU")
    team.execute("UPDATE lake.samples SET language = 'DE' WHERE language = 'fr'")
    team.execute("ALTER TABLE lake.samples ALTER language TYPE text COLLATE lake.folded")
    named(corpus, TABLE, tmp_path)
    path = tmp_path / "table.yaml"
    text = path.read_text()
    parts = "".join(f"    - {{name: {lang}, where: lang == '{lang}', weight: 1}}\n" for lang in ("de", "DE"))
    path.write_text(
        f"{text[: text.index('    properties')]}    properties: {{lang: language}}\nmixture:\n  components:\n{parts}"
    )
    catalog.index(load(path))
    plan = compile(load(path), catalog, engine="postgres")
    known = corpus.table["language"].to_pylist()
    samples = {component.name: component.samples for component in plan.data.components}
    assert samples == {"de": known.count("de"), "DE": known.count("fr")}
    team.execute("UPDATE lake.samples SET language = 'dE' WHERE language = 'de' AND in_row = 1 OR in_row < 90")
    with pytest.raises(CatalogError, match="is not what `mixtera index` pinned"):
        digest(load(path), catalog)


def said_of(*arguments: str, capsys: pytest.CaptureFixture[str]) -> str:
    """What is said of a command that failed outside."""
    assert main([*arguments, "-vv"]) == OUTSIDE_FAILED
    said = capsys.readouterr()
    assert PASSWORD not in said.out + said.err
    assert "Traceback" not in said.err
    return said.err


def test_a_server_that_refuses(
    spec: Spec,
    server: Postgres,
    catalog: Catalog,
    team: psycopg.Connection,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file, more = str(spec.file), ["--catalog", str(tmp_path / "catalog")]
    monkeypatch.setenv(URL, server.url.replace(PASSWORD, f"not-{PASSWORD}"))
    assert "password authentication failed" in said_of("index", file, *more, capsys=capsys)
    assert catalog.sources() == ()
    team.execute("DROP ROLE IF EXISTS guest")
    team.execute(f"CREATE ROLE guest LOGIN PASSWORD '{PASSWORD}'")
    try:
        team.execute("GRANT USAGE ON SCHEMA lake TO guest")
        monkeypatch.setenv(URL, server.url.replace(USER, "guest", 1))
        assert "permission denied for table samples" in said_of("index", file, *more, capsys=capsys)
        team.execute("GRANT SELECT ON lake.samples TO guest")
        assert main(["index", file, *more]) == 0
        team.execute("REVOKE SELECT ON lake.samples FROM guest")
        plan = ["compile", file, "-o", str(tmp_path / "x.plan"), "--engine", "postgres", *more]
        assert "permission denied for table samples" in said_of(*plan, capsys=capsys)
        assert not (tmp_path / "x.plan").exists()
    finally:
        team.execute("DROP OWNED BY guest; DROP ROLE guest")


@pytest.mark.parametrize(("up", "down"), [(0, None), (1_500, None), (None, 800), (None, 3_000), (None, 10_000)])
def test_a_connection_cut_at_any_point_leaves_nothing_half_written(
    up: int | None,
    down: int | None,
    spec: Spec,
    server: Postgres,
    corpus: Corpus,
    catalog: Catalog,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file, more = str(spec.file), ["--catalog", str(tmp_path / "catalog")]
    plan = ["compile", file, "-o", str(tmp_path / "x.plan"), "--engine", "postgres", *more]
    with CuttingProxy(server.port, up, down) as proxy:
        through = f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{proxy.port}/postgres?sslmode=disable"
        monkeypatch.setenv(URL, through)
        assert "postgres:" in said_of("index", file, *more, capsys=capsys)
        assert catalog.sources() == ()
        monkeypatch.setenv(URL, server.url)
        assert main(["index", file, *more]) == 0
        monkeypatch.setenv(URL, through)
        assert "postgres:" in said_of(*plan, capsys=capsys)
        assert proxy.cuts > 1
    assert not (tmp_path / "x.plan").exists()
    monkeypatch.setenv(URL, server.url)
    assert digest(spec, catalog) == corpus.digest


def test_a_session_goes_on_behind_an_error_and_an_answer_left_half_way(
    team: psycopg.Connection, corpus: Corpus, tmp_path: Path
) -> None:
    with closing(PostgresEngine()) as engine:
        pinned = HeldTable(HELD.engine, HELD.name, HELD.at, HELD.columns, engine.held_pin(HELD))
        table = ibis.table({"language": "string", "in_row": "int64"}, name="web")
        engine.hold("web", HeldTable(HELD.engine, HELD.name, HELD.at, HELD.columns, "no such rows"))
        with pytest.raises(CatalogError, match=r"is not what `mixtera index` pinned \(no such rows\)"):
            list(engine.batches(table))
        engine.hold("web", pinned)
        half = engine.batches(table)
        assert next(half).num_rows
        half.close()
        assert sum(batch.num_rows for batch in engine.batches(table)) == 2 * ROWS
        few = corpus.table.select(["language", "in_row"]).slice(0, 5).rename_columns(FEW.names).cast(FEW)
        engine.register({"web": [str(keep(few, tmp_path / "few", 1) / "0.parquet")]}, {"web": FEW})
        assert sum(batch.num_rows for batch in engine.batches(table.select("language"))) == 5
        engine.hold("web", pinned)
        assert sum(batch.num_rows for batch in engine.batches(table)) == 2 * ROWS
        assert "Seq Scan on samples" in engine.analyze(table)


@pytest.mark.usefixtures("team")
class TestPostgres(HoldingLaws):
    def engine(self) -> Engine:
        return PostgresEngine()

    def keep(self, table: pa.Table, folder: Path) -> HeldTable:
        with psycopg.connect(os.environ[URL], autocommit=True) as connection:
            in_postgres(table, "lake.laws", connection)
        return HeldTable("postgres", "lake.laws", "")
