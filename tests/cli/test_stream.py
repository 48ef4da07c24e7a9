"""`mixtera stream`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

import mixtera
from mixtera.cli.main import main

PROGRAM = str(Path(sys.executable).with_name("mixtera"))


def rows(capsys: pytest.CaptureFixture[str], *words: str) -> list[dict[str, object]]:
    assert main(["stream", *words, "--format", "jsonl"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return [json.loads(line) for line in out.splitlines()]


def test_text_has_one_line_per_sample(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stream", "plan", "--limit", "7"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    table = mixtera.Plan.open("plan").samples(0, 7).to_pylist()
    for position, (line, sample) in enumerate(zip(out.splitlines(), table, strict=True)):
        assert line.split()[:3] == [
            str(position),
            sample["component"],
            f"{sample['source']}/{sample['file']}#{sample['row']}",
        ]
        assert f"page {sample['row']} of the web" in line or f"code {sample['row']}" in line
        assert len(line) <= 120


def test_all_samples_of_a_finite_plan_are_printed_its_tail_too(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = mixtera.Plan.open("plan")
    found = rows(capsys, "plan")
    assert len(plan) % 32 != 0
    assert [row["position"] for row in found] == list(range(len(plan)))
    table = plan.samples(0, len(plan))
    assert [row["sample"] for row in found] == table["sample"].to_pylist()
    assert [row["component"] for row in found] == table["component"].to_pylist()


@pytest.mark.parametrize(("start", "limit"), [(0, 1), (3, 31), (5, 32), (7, 33), (1, 100), (40, 0)])
def test_limit_and_start_are_exact(start: int, limit: int, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    every = rows(capsys, "endless", "--limit", "110")
    assert rows(capsys, "endless", "--start", str(start), "--limit", str(limit)) == every[start : start + limit]


def test_a_start_behind_the_end_prints_nothing_and_says_so(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    length = len(mixtera.Plan.open("plan"))
    for words in ([], ["--stats"], ["--limit", "3"]):
        assert main(["stream", "plan", "--start", str(length), "--format", "jsonl", *words]) == 0
        assert capsys.readouterr().err == f"nothing at position {length:,}: the plan ends at {length:,}\n"


def test_json_means_jsonl(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    expected = rows(capsys, "plan", "--limit", "3")
    assert main(["stream", "plan", "--limit", "3", "--json"]) == 0
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == expected


@pytest.mark.parametrize("limit", [0, 1, 70])
def test_arrow_is_one_ipc_stream(limit: int, here: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert main(["stream", "plan", "--limit", str(limit), "--format", "arrow"]) == 0
    table = pa.ipc.open_stream(capfdbinary.readouterr().out).read_all()
    assert table.column_names == ["text", "component", "sample", "position"]
    assert table["sample"].to_pylist() == mixtera.Plan.open("plan").samples(0, limit)["sample"].to_pylist()
    assert table["position"].to_pylist() == list(range(limit))


def test_arrow_does_not_go_to_a_terminal(here: Path) -> None:
    terminal, other_end = os.openpty()
    try:
        done = subprocess.run(
            [PROGRAM, "stream", "plan", "--format", "arrow"],
            stdout=other_end,
            stderr=subprocess.PIPE,
            text=True,
            timeout=600,
            check=False,
        )
    finally:
        os.close(terminal)
        os.close(other_end)
    assert (done.returncode, done.stderr) == (
        2,
        "mixtera stream: --format arrow is binary; send it to a file or a program\n",
    )


def test_stats_count_without_reading(here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    remap = f"{here}={tmp_path}"  # nothing lies there
    assert main(["stream", "plan", "--stats", "--start", "10", "--limit", "100", "--remap", remap, "--json"]) == 0
    found = {share["component"]: share for share in json.loads(capsys.readouterr().out)}
    assert sum(share["samples"] for share in found.values()) == 100
    assert found["english"]["asked"] == pytest.approx(0.5)
    assert found["code/rust"]["asked"] == pytest.approx(0.1)
    for share in found.values():
        assert abs(share["difference"]) <= 4
        assert share["samples"] - 100 * share["asked"] == pytest.approx(share["difference"])
    assert main(["stream", "plan", "--stats"]) == 0
    assert "english" in capsys.readouterr().out


def test_stats_of_an_endless_plan_need_a_limit(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stream", "endless", "--stats"]) == 1
    assert "--stats needs --limit N" in capsys.readouterr().err
    assert main(["stream", "endless.yaml", "--stats", "--limit", "10", "--start", "5"]) == 0


def test_data_that_moved_is_remapped(here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    moved = tmp_path / "moved"
    for folder in ("web", "code"):
        shutil.copytree(here / folder, moved / folder)
    expected = rows(capsys, "plan", "--limit", "9")
    assert rows(capsys, "plan", "--limit", "9", "--remap", f"{here}={moved}") == expected
    assert main(["stream", "plan", "--limit", "1", "--remap", f"{here}={tmp_path}/nowhere"]) == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert "nowhere" in err
    assert main(["stream", "mixed.yaml", "--remap", f"{here}={moved}"]) == 1
    assert "--remap is for plans" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--limit", "-1"], ["--start", "x"], ["--remap", "/a"], ["--format", "csv"]])
def test_wrong_usage(words: list[str], here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stream", "plan", *words]) == 2
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("form", ["text", "jsonl", "arrow"])
def test_a_reader_that_goes_away_is_no_error(form: str, here: Path) -> None:
    command = [PROGRAM, "stream", "endless", "--format", form]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read(100)
        process.stdout.close()
        assert process.wait(600) == 0
        assert process.stderr.read() == b""
