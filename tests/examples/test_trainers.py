"""A job in other people's trainers: stopped and resumed with other ranks, they train on what the job has decided."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from mixtera.jobs import Job
from tests.examples.ado import BATCH, beginnings, torchrun

STOP, LAST = 6, 10


def seen(directory: Path, run: str) -> list[list[list[int]]]:
    """By rank, how its rows began, in the order in which it trained on them."""
    return [json.loads(file.read_text(encoding="utf-8")) for file in sorted(directory.glob(f"{run}-*.json"))]


def interleaved(ranks: list[list[Any]], batch: int) -> list[Any]:
    """The global order of rows that ranks took in turns."""
    steps = len(ranks[0]) // batch
    return [row for step in range(steps) for rank in ranks for row in rank[step * batch : (step + 1) * batch]]


def assert_same(directory: Path, micro_batches: int) -> None:
    with Job.local(None, str(directory / "job")) as job:
        want, status = beginnings(job, LAST), job.status()
    first, second = seen(directory, "first"), seen(directory, "second")
    assert first == [want[: STOP * BATCH]]
    assert interleaved(second, BATCH // len(second) // micro_batches) == want[STOP * BATCH :]
    assert (status["step"], status["checkpoint"]) == (LAST, LAST * BATCH)


@pytest.mark.parametrize(
    ("script", "package", "micro_batches", "more"),
    [("huggingface.py", "transformers", 2, []), ("lightning_data.py", "lightning", 1, ["--ranks", "2"])],
)
def test_a_pytorch_trainer_goes_on_with_two_ranks(
    ado_plan: str, tmp_path: Path, script: str, package: str, micro_batches: int, more: list[str]
) -> None:
    if importlib.util.find_spec(package) is None:
        pytest.skip("the extra `trainers` is not installed")
    files = ["--job", str(tmp_path / "job"), "--checkpoint", str(tmp_path / "checkpoint")]
    once, again = (["--seen", str(tmp_path / f"{run}-{{rank}}.json")] for run in ("first", "second"))
    torchrun(script, 1, ado_plan, "--steps", str(STOP), *files, *once, warnings="default")
    torchrun(script, 2, ado_plan, "--steps", str(LAST), *files, *again, *more, "--resume", warnings="default")
    assert_same(tmp_path, micro_batches)


def test_grain_and_orbax_go_on(ado_plan: str, tmp_path: Path) -> None:
    for package in ("grain", "orbax"):  # not imported here: whoever forks after JAX was used may hang
        if importlib.util.find_spec(package) is None:
            pytest.skip("the extra `trainers` is not installed")
    files = ["--job", str(tmp_path / "job"), "--checkpoint", str(tmp_path / "checkpoint")]
    for run, steps, more in (("first", STOP, []), ("second", LAST, ["--resume"])):
        file = ["--seen", str(tmp_path / f"{run}-0.json")]
        torchrun("grain_orbax.py", 1, ado_plan, "--steps", str(steps), *files, *file, *more, warnings="default")
    assert_same(tmp_path, 1)
