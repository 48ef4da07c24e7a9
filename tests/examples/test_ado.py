"""Examples whose mixture follows the losses: laws are fitted, weights move, other ranks read the same samples."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mixtera.jobs import Job
from tests.examples.ado import BATCH, environment, lines, rows, torchrun
from tests.examples.conftest import EXAMPLES
from tests.examples.running import finished
from tests.ports import free_ports

FITTED, STOP, LAST = 120, 160, 176


def share(run: list[dict[str, Any]], component: str) -> float:
    counts = [line["loss_count"] for line in run]
    return sum(count[component] for count in counts) / sum(sum(count.values()) for count in counts)


def test_the_mixture_follows_and_other_ranks_read_the_same_samples(ado_plan: str, tmp_path: Path) -> None:
    def run(ranks: int, last: int, directory: str, *more: str) -> list[dict[str, Any]]:
        files = ["--checkpoint", str(tmp_path / directory), "--losses", str(tmp_path / directory / "losses.jsonl")]
        (tmp_path / directory).mkdir(exist_ok=True)
        job = ["--job", str(tmp_path / "job"), "--settle"]
        torchrun("torch_ado.py", ranks, ado_plan, "--steps", str(last), *files, *job, *more)
        return lines(tmp_path / directory / "losses.jsonl")

    before = run(2, STOP, "four", "--workers", "1")
    shutil.copytree(tmp_path / "four", tmp_path / "one")
    four, one = run(4, LAST, "four", "--resume"), run(1, LAST, "one", "--resume")
    assert [line["ranks"] for line in four] == [2] * STOP + [4] * (LAST - STOP)
    assert [line["batch"] for line in four] == [line["batch"] for line in one]
    assert [line["loss"] for line in four] == pytest.approx([line["loss"] for line in one], rel=1e-3)
    with Job.local(None, str(tmp_path / "job")) as job:
        assert [[line["batch"]] for line in four] == rows(job, 1, LAST)
        status = job.status()
    assert status["step"] == LAST
    assert status["changes"] >= 1
    assert {tuple(line["weights"].values()) for line in before[: FITTED + 19]} == {(0.25,) * 4}
    asked = four[-1]["weights"]
    assert sum(asked.values()) == pytest.approx(1)
    assert min(asked.values()) >= 0.05 - 1e-9
    assert asked["noise"] < 0.2 < asked["phrases"]  # what cannot be learned is seen less than what can
    assert share(four[STOP:], "noise") == pytest.approx(asked["noise"], abs=0.04)
    assert share(four[: STOP - 20], "noise") == pytest.approx(0.25, abs=0.01)


def test_jax_does_the_same(ado_plan: str, tmp_path: Path) -> None:
    meeting = ["--coordinator", f"127.0.0.1:{free_ports(1)[0]}", "--processes", "2"]
    script = [sys.executable, str(EXAMPLES / "jax_ado.py"), ado_plan, "--settle"]
    files = ["--job", str(tmp_path / "job"), "--checkpoint", str(tmp_path), "--losses", str(tmp_path / "losses.jsonl")]
    together = [*script, "--steps", str(STOP), *files, *meeting]
    finished([[*together, "--process", str(rank)] for rank in range(2)])
    finished([[*script, "--steps", str(LAST), *files, "--resume"]])
    run = lines(tmp_path / "losses.jsonl")
    assert [line["ranks"] for line in run] == [2] * STOP + [1] * (LAST - STOP)
    with Job.local(None, str(tmp_path / "job")) as job:
        assert [[line["batch"]] for line in run] == rows(job, 1, LAST)
        assert job.status()["changes"] >= 1
    assert run[-1]["weights"]["noise"] < 0.2 < run[-1]["weights"]["phrases"]
    shown = subprocess.run(
        [
            sys.executable,
            EXAMPLES / "ado_plot.py",
            tmp_path / "losses.jsonl",
            "--svg",
            tmp_path / "run.svg",
            "--json",
            tmp_path / "run.json",
        ],
        check=False,
    )
    assert shown.returncode == 0
    assert (tmp_path / "run.svg").read_text(encoding="utf-8").startswith("<svg")
    points = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))
    assert {point["component"] for point in points} == {"counting", "noise", "phrases", "recall"}
    assert [point["share"] for point in points if point["step"] == 20] == pytest.approx([0.25] * 4, abs=0.02)


def test_a_checkpoint_of_torchtitans_kind_goes_on_with_another_mesh(ado_plan: str, tmp_path: Path) -> None:
    files = [
        "--checkpoint",
        str(tmp_path / "dcp"),
        "--losses",
        str(tmp_path / "losses.jsonl"),
        "--job",
        str(tmp_path / "job"),
    ]
    torchrun("torch_titan.py", 2, ado_plan, "--tensor", "2", "--steps", "6", *files)
    torchrun("torch_titan.py", 2, ado_plan, "--tensor", "1", "--steps", "10", *files, "--resume")
    run = [line["batches"] for line in lines(tmp_path / "losses.jsonl")]
    with Job.local(None, str(tmp_path / "job")) as job:
        whole, halves = rows(job, 1, 6), rows(job, 7, 4, parts=2)
        assert job.status()["checkpoint"] == 10 * BATCH
    assert run == [[one, one] for [one] in whole] + halves


def test_a_job_is_not_begun_twice(ado_plan: str, tmp_path: Path) -> None:
    for script in ("torch_ado.py", "jax_ado.py"):
        command = [
            sys.executable,
            EXAMPLES / script,
            ado_plan,
            "--job",
            tmp_path,
            "--checkpoint",
            tmp_path / "checkpoint",
        ]
        run = subprocess.run(command, capture_output=True, text=True, env=environment(), check=False)
        assert run.returncode == 1
        assert run.stderr.splitlines()[-1] == f"{tmp_path} is a job already: --resume it, or name another --job"
