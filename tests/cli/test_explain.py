"""`mixtera explain`."""

from __future__ import annotations

import json
import os
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
        assert main(["explain", "mixed.yaml", "--readers", "8", "--machines", "2", *words]) == 0
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
        ["plan", "--readers", "4", "--machines", "0"],
        ["plan", "--format", "pdf"],
        ["plan", "--format", "html", "--json"],
        ["mixed.yaml", "--format", "html", "--analyze"],
        ["mixed.yaml", "--format", "mermaid", "--sql"],
        ["plan", "--batch", "0"],
        ["plan", "-o"],
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


def test_a_page_goes_to_a_file_whole(here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "new" / "mixed.html"
    for _ in range(2):  # the second replaces the first
        assert main(["explain", "mixed.yaml", "--format", "html", "-o", str(page)]) == 0
        out, err = capsys.readouterr()
        assert out == ""
        assert err == f"{page}: {page.stat().st_size:,} bytes\n"
    text = page.read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>")
    assert text.endswith("</html>\n")
    assert "english and recent both match 100 samples, which english gets" in text
    assert list(page.parent.iterdir()) == [page]
    assert main(["explain", "plan", "--format", "html", "--quiet"]) == 0
    out, err = capsys.readouterr()
    assert (out.startswith("<!doctype html>"), out.endswith("</html>\n"), err) == (True, True, "")


@pytest.mark.parametrize("view", ["text", "json", "mermaid"])
def test_a_file_holds_what_would_be_printed(
    view: str, here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["explain", "plan", "--format", view, "--batch", "32", "--readers", "3"]
    assert main(words) == 0
    printed = capsys.readouterr().out
    assert main([*words, "--output", str(tmp_path / "file"), "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")
    assert (tmp_path / "file").read_text(encoding="utf-8") == printed
    assert {"text": "steps of 32", "json": '"batch": 32', "mermaid": "steps of 32"}[view] in printed
    mask = os.umask(0o022)
    os.umask(mask)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o666 & ~mask


def test_a_file_that_is_replaced_keeps_its_permissions(here: Path, tmp_path: Path) -> None:
    page = tmp_path / "page"
    page.write_text("old")
    page.chmod(0o640)
    assert main(["explain", "plan", "-o", str(page), "--quiet"]) == 0
    assert page.stat().st_mode & 0o777 == 0o640
    assert page.read_text(encoding="utf-8").startswith("Plan mixed")


def test_a_file_that_cannot_be_written(here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("kept")
    assert main(["explain", "plan", "-o", str(tmp_path)]) == 1
    assert capsys.readouterr() == ("", f"{tmp_path} is a directory: -o names the file to write\n")
    inside = tmp_path / "file" / "page"
    assert main(["explain", "plan", "-o", str(inside)]) == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"cannot write {inside}: ")
    assert err.endswith("; give another -o\n")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text() == "kept"


def test_nothing_is_written_when_the_spec_is_wrong(here: Path, tmp_path: Path) -> None:
    (tmp_path / "page").write_text("kept")
    assert main(["explain", "missing.yaml", "--format", "html", "-o", str(tmp_path / "page")]) == 1
    assert (tmp_path / "page").read_text() == "kept"
