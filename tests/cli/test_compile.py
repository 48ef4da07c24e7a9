"""`mixtera compile`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import mixtera
from mixtera.cli.main import main


def test_the_digest_is_all_there_is_on_stdout(here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "deep" / "plan"
    assert main(["compile", "mixed.yaml", "-o", str(target)]) == 0
    out, err = capsys.readouterr()
    plan = mixtera.Plan.open(str(target))
    assert out == f"{plan.digest}\n"
    assert out.startswith("sha256:")
    assert f"{target}: {len(plan):,} positions, 5 components" in err
    assert plan.digest == mixtera.Plan.open("plan").digest


def test_quiet_and_json(here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compile", "endless.yaml", "-o", str(tmp_path / "a"), "--quiet"]) == 0
    assert capsys.readouterr().err == ""
    assert main(["compile", "endless.yaml", "-o", str(tmp_path / "b"), "--json"]) == 0
    out, err = capsys.readouterr()
    values = json.loads(out)
    assert err == ""
    assert (values["positions"], values["samples"], values["components"]) == (None, 490, 2)
    assert values["bytes"] == sum(file.stat().st_size for file in (tmp_path / "b").iterdir())


def test_an_older_plan_is_replaced_and_nothing_else_is(
    here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = str(tmp_path / "plan")
    assert main(["compile", "mixed.yaml", "-o", target]) == main(["compile", "natural.yaml", "-o", target]) == 0
    assert mixtera.Plan.open(target).name == "natural"
    assert main(["compile", "mixed.yaml", "-o", "web"]) == 1
    assert "web holds something that is not a plan" in capsys.readouterr().err
    assert sorted(file.name for file in Path("web").iterdir()) == ["a.jsonl"]


def test_a_wrong_spec_writes_nothing(here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = Path("bad.yaml")
    bad.write_text(Path("mixed.yaml").read_text().replace("year >= 2010", "yeer >= 2010"))
    try:
        assert main(["compile", "bad.yaml", "-o", str(tmp_path / "plan")]) == 1
    finally:
        bad.unlink()
    out, err = capsys.readouterr()
    assert out == ""
    assert "yeer" in err
    assert not (tmp_path / "plan").exists()


def test_a_target_is_needed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compile", "mixed.yaml"]) == 2
    assert "-o/--output" in capsys.readouterr().err
