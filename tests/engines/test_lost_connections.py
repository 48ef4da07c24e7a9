"""A server that cannot be reached, refuses, or is lost half way: a named error, no plan, and no password anywhere."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import ibis
import psycopg
import pytest

from mixtera.cli.main import OUTSIDE_FAILED, main
from mixtera.compiler.lower import arrow_schema
from mixtera.errors import EngineError
from mixtera.testing.catalog import MadeCatalog, MadeFile, MadeSource
from mixtera_backends.engines.postgres import URL, PostgresEngine
from tests.engines.cutting import CuttingProxy
from tests.engines.server import PASSWORD, USER, Postgres
from tests.waiting import until

ROWS = 20_000
SPEC = """
version: 1
name: lost
sources:
  web: {path: data/*.jsonl, content: text, properties: {kind: kind}}
mixture:
  components:
    - {name: odd, where: kind == "odd", weight: 1}
    - {name: rest, weight: 1}
order: {chunk_size: 64, lanes: 1}
"""


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a spec, its data and its catalog."""
    root = tmp_path_factory.mktemp("lost")
    (root / "data").mkdir()
    lines = [f'{{"text": "t{row}", "kind": "{("odd", "even")[row % 2]}"}}\n' for row in range(ROWS)]
    (root / "data" / "a.jsonl").write_text("".join(lines))
    (root / "spec.yaml").write_text(SPEC)
    assert main(["index", str(root / "spec.yaml"), "--catalog", str(root / "catalog"), "--quiet"]) == 0
    return root


def compiling(root: Path, plan: Path) -> int:
    arguments = ["compile", str(root / "spec.yaml"), "--catalog", str(root / "catalog"), "-o", str(plan)]
    return main([*arguments, "--engine", "postgres", "--no-reuse", "-vv"])


def refused(capsys: pytest.CaptureFixture[str], plan: Path) -> str:
    """What is said of a compilation that left nothing."""
    assert not plan.exists()
    said = capsys.readouterr()
    assert PASSWORD not in said.out + said.err
    assert "Traceback" not in said.err
    return said.err


def through(port: int) -> str:
    return f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{port}/postgres?sslmode=disable"


def test_it_works_where_nothing_is_cut(
    indexed: Path, tmp_path: Path, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    with CuttingProxy(postgres.port) as proxy:
        monkeypatch.setenv(URL, through(proxy.port))
        assert compiling(indexed, tmp_path / "plan") == 0
    assert (tmp_path / "plan").is_dir()


@pytest.mark.parametrize(
    ("up", "down"),
    [(0, None), (None, 0), (400, None), (20_000, None), (300_000, None), (None, 600), (None, 50_000), (None, 400_000)],
)
def test_a_connection_cut_at_any_point_leaves_no_plan(
    up: int | None,
    down: int | None,
    indexed: Path,
    tmp_path: Path,
    postgres: Postgres,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with CuttingProxy(postgres.port, up, down) as proxy:
        monkeypatch.setenv(URL, through(proxy.port))
        assert compiling(indexed, tmp_path / "plan") == OUTSIDE_FAILED
        assert proxy.cuts
    assert "postgres:" in refused(capsys, tmp_path / "plan")


def test_a_backend_that_is_terminated_in_an_answer(
    tmp_path: Path, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(URL, postgres.url)
    source = MadeSource("web", {"text": "string"}, [MadeFile("a", 1, [{"text": "x" * 500}] * 100_000)])
    indexed = MadeCatalog(tmp_path, [source]).source(source.source)
    with closing(PostgresEngine()) as engine:
        engine.register({"web": indexed.data_files}, {"web": arrow_schema(indexed.types)})
        table = ibis.table(arrow_schema(indexed.types), name="web")
        answer = engine.batches(table.select("row", "text"))
        assert next(answer).num_rows
        with psycopg.connect(postgres.url, autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'mixtera'")
        with pytest.raises(EngineError, match=r"postgres: .*terminat|postgres: .*closed"):
            list(answer)
        with pytest.raises(EngineError, match="postgres: "):
            list(engine.batches(table.select("row")))


@pytest.fixture
def nobody() -> Iterator[int]:
    """A port that nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def test_nobody_there(
    nobody: int, indexed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(URL, through(nobody))
    assert compiling(indexed, tmp_path / "plan") == OUTSIDE_FAILED
    said = refused(capsys, tmp_path / "plan")
    assert str(nobody) in said
    assert "PGPASSFILE" in said


@pytest.mark.parametrize("url", [f"postgresql://{USER}:{PASSWORD}@[host", f"host=a password={PASSWORD} colour=red"])
def test_an_address_that_is_none(
    url: str, indexed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(URL, url)
    assert compiling(indexed, tmp_path / "plan") == OUTSIDE_FAILED
    assert URL in refused(capsys, tmp_path / "plan")


def test_a_wrong_password_is_not_repeated(
    indexed: Path,
    tmp_path: Path,
    postgres: Postgres,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(URL, postgres.url.replace(PASSWORD, f"not-{PASSWORD}"))
    assert compiling(indexed, tmp_path / "plan") == OUTSIDE_FAILED
    assert "password authentication failed" in refused(capsys, tmp_path / "plan")


def test_the_variables_of_libpq_say_where_too(
    indexed: Path, tmp_path: Path, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(URL, raising=False)
    for name, value in {
        "PGHOST": "127.0.0.1",
        "PGPORT": str(postgres.port),
        "PGUSER": USER,
        "PGPASSWORD": PASSWORD,
        "PGDATABASE": "postgres",
    }.items():
        monkeypatch.setenv(name, value)
    assert compiling(indexed, tmp_path / "plan") == 0
    assert PASSWORD not in "".join(path.read_text(errors="replace") for path in (tmp_path / "plan").glob("*.json"))


def test_nothing_of_the_catalog_stays_on_the_server(
    indexed: Path, tmp_path: Path, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(URL, postgres.url)
    with psycopg.connect(postgres.url, autocommit=True) as other:

        def tables() -> int:
            (count,) = other.execute("SELECT count(*) FROM pg_class WHERE relname = 'web'").fetchone()
            return count

        # The server drops what is temporary when it has noticed that its client is gone: those of other tests, too.
        until(lambda: tables() == 0, "the end of what other tests had there")
        with closing(PostgresEngine()) as engine:
            source = MadeSource("web", {"text": "string"}, [MadeFile("a", 1, [{"text": "x"}])])
            made = MadeCatalog(tmp_path, [source]).source(source.source)
            engine.register({"web": made.data_files}, {"web": arrow_schema(made.types)})
            assert list(engine.batches(ibis.table({"text": "string"}, name="web")))
            assert tables() == 1
        until(lambda: tables() == 0, "the end of what is temporary")
