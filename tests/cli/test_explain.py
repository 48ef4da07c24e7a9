"""`mixtera explain`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import sqlglot

import mixtera
from mixtera.cli.main import main


def test_a_spec_is_explained_with_its_overlap(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "mixed.yaml"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    for words in ("Plan mixed: ", "kept by the filter", "english", "50.00 %", "  python", "10.00 %", "Overlap"):
        assert words in out, out
    assert "english and recent both match 100 samples, which english gets" in out


def test_a_plan_is_explained_without_a_catalog(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "plan", "--catalog", "nowhere"]) == 0
    plan = mixtera.Plan.open("plan")
    assert capsys.readouterr() == (str(mixtera.explain(plan)), "")
    assert not Path("nowhere").exists()
    assert main(["explain", "plan/plan.json"]) == 0


def test_json_is_one_object_of_the_same_plan(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["--json"], ["--format", "json"]):
        assert main(["explain", "mixed.yaml", "--readers", "8", *words]) == 0
        out, err = capsys.readouterr()
        values = json.loads(out)
        assert (err, values["plan"]["digest"]) == ("", mixtera.Plan.open("plan").digest)
        assert values["reading"]["suggested"]["lanes"] == 8
        assert values["overlap"] == [{"first": "english", "second": "recent", "samples": 100}]


def test_sql_is_all_there_is_on_stdout_and_parses(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for dialect in ("duckdb", "snowflake"):
        assert main(["explain", "mixed.yaml", "--sql", "--dialect", dialect]) == 0
        out, err = capsys.readouterr()
        assert err == ""
        assert [line for line in out.splitlines() if line.startswith("--")] == ["-- source web", "-- source code"]
        assert len(sqlglot.parse(out, dialect=dialect)) == 2
        assert "CASE" in out
    assert main(["explain", "mixed.yaml", "--sql", "--json"]) == 0
    assert list(json.loads(capsys.readouterr().out)) == ["web", "code"]


def test_analyze_adds_the_account_of_the_engine(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "mixed.yaml", "--analyze"]) == 0
    out = capsys.readouterr().out
    assert out.index("Plan mixed") < out.index("Engine duckdb, source web") < out.index("Engine duckdb, source code")
    assert main(["explain", "mixed.yaml", "--analyze", "--json"]) == 0
    assert list(json.loads(capsys.readouterr().out)["analysis"]) == ["web", "code"]


@pytest.mark.parametrize("option", ["--sql", "--analyze"])
def test_a_plan_holds_no_queries(option: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "plan", option]) == 1
    assert capsys.readouterr() == (
        "",
        f"plan is a plan, which holds no queries: `mixtera explain SPEC {option}` shows those of a spec\n",
    )


def test_a_spec_that_is_not_indexed_names_the_way_out(
    here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", "mixed.yaml", "--catalog", str(tmp_path / "none")]) == 1
    out, err = capsys.readouterr()
    assert (out, "`mixtera index" in err) == ("", True)
    assert not (tmp_path / "none").exists()
    mixtera.Catalog.open(str(tmp_path / "empty")).close()
    assert main(["explain", "mixed.yaml", "--catalog", str(tmp_path / "empty")]) == 1
    assert "`mixtera index mixed.yaml`" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ["plan", "--readers", "0"],
        ["plan", "--readers", "many"],
        ["plan", "--format", "html"],
        ["plan", "--dialect", "duckdb"],
        ["mixed.yaml", "--sql", "--analyze"],
    ],
)
def test_wrong_usage(words: list[str], here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", *words]) == 2
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("given", ["missing", "missing.yaml", "web", "web/a.jsonl"])
def test_what_is_neither_a_spec_nor_a_plan(given: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", given]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert given in err
