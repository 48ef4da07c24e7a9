"""`mixtera compile`."""

from __future__ import annotations

import json
import re
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


def changed(tmp_path: Path) -> str:
    """The spec with other weights, in a file of its own."""
    path = Path("changed.yaml")
    path.write_text(Path("mixed.yaml").read_text().replace("weight: 50", "weight: 5"))
    return str(path)


def test_a_run_goes_on_with_another_spec(here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old = mixtera.Plan.open("plan")
    stream = old.stream(batch_size=16)
    for _ in range(3):
        next(stream)
    state = stream.state_dict()
    (tmp_path / "state.json").write_text(json.dumps(state))
    old.save(str(tmp_path / "plans" / "first"))
    target, spec = str(tmp_path / "plans" / "second"), changed(tmp_path)
    try:
        given = ["--continue-from", str(tmp_path / "state.json")]
        assert main(["compile", spec, "-o", target, *given]) == 0
        out, err = capsys.readouterr()
        assert "takes over at position 48:\n  english: goes on (24 samples of this epoch so far)" in err
        new = mixtera.Plan.open(target)
        assert (new.start, new.digest) == (48, out.strip())
        named = [target, *given, "--continued", str(tmp_path / "plans" / "first"), "--json", "--quiet"]
        assert main(["compile", spec, "-o", *named]) == 0
        assert json.loads(capsys.readouterr().out)["start"] == 48
        assert main(["compile", spec, "-o", target, "--continue-from", "plan@48"]) == 0
        assert capsys.readouterr().out == out
    finally:
        Path(spec).unlink()
    resumed = new.stream(batch_size=16)
    resumed.load_state_dict(state)
    before = set(old.samples(0, 48)["sample"].to_pylist())
    assert not before & {s for batch in resumed for s in batch["sample"].to_pylist()}
    assert main(["stream", target, "--limit", "2", "--format", "jsonl"]) == 0
    assert [json.loads(line)["position"] for line in capsys.readouterr().out.splitlines()] == [48, 49]
    assert main(["stream", target, "--stats"]) == 0
    assert main(["ledger", target, "--step", "3", "--batch", "16"]) == 0
    assert capsys.readouterr().out.splitlines()[-16].startswith("48  ")
    assert main(["ledger", target, "--step", "2", "--batch", "16"]) == 1
    assert "begins at position 48" in capsys.readouterr().err
    assert main(["stream", target, "--start", "3"]) == 1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--continue-from", "nothing.json"], "no such file; give a JSON file with what state_dict\\(\\) returned"),
        (["--continue-from", "web/a.jsonl"], "not a JSON file with a state"),
        (["--continue-from", "other.json"], "is neither at .* nor beside it; say where it is with --continued PLAN"),
        (["--continue-from", "other.json", "--continued", "plan"], "belongs to another plan"),
        (["--continue-from", "list.json"], "a state is a JSON object"),
        (["--continue-from", "plan@99999"], "the state's position is 99999"),
        (["--continue-from", "nowhere@5"], "nowhere does not exist"),
        (["--continued", "plan"], "--continued names the plan of a state"),
        (["--part", "holdout"], "the spec has no `holdout`"),
    ],
)
def test_what_cannot_be_continued_is_refused(
    here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], given: list[str], message: str
) -> None:
    other = {**mixtera.Plan.open("endless").state_at(5), "plan": "sha256:beef"}
    for name, value in (("other", other), ("list", [1])):
        Path(f"{name}.json").write_text(json.dumps(value))
    try:
        assert main(["compile", "mixed.yaml", "-o", str(tmp_path / "plan"), *given]) == 1
    finally:
        for name in ("other", "list"):
            Path(f"{name}.json").unlink()
    out, err = capsys.readouterr()
    assert out == ""
    assert re.search(message, err), err
    assert not (tmp_path / "plan").exists()


def test_both_parts_of_a_split(here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = Path("split.yaml")
    path.write_text(Path("natural.yaml").read_text() + "holdout: {fraction: 0.2}\n")
    try:
        for part in ("train", "holdout"):
            assert main(["compile", "split.yaml", "-o", str(tmp_path / part), "--part", part]) == 0
    finally:
        path.unlink()
    train, holdout = (mixtera.Plan.open(str(tmp_path / part)) for part in ("train", "holdout"))
    assert len(train) + len(holdout) == 490
    assert 50 < len(holdout) < 150
