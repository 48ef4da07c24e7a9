"""The examples train from raw text; stopped and resumed by other ranks, they go on as if nothing had been."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from functools import reduce
from operator import add
from pathlib import Path

import pytest

import mixtera
from tests.examples.conftest import EXAMPLES
from tests.examples.running import SECONDS, Step, end, jax_run, started, steps, torch_run

STEPS, STOP, BATCH = 30, 15, 8
Run = Callable[..., None]


def trained(run: Run, plan: str, directory: Path, stages: list[tuple[int, int]]) -> list[Step]:
    """Train in stages of (ranks, last step), each but the first from the checkpoint of the one before."""
    for number, (ranks, last) in enumerate(stages):
        resume = ["--resume"] if number else []
        files = ["--checkpoint", str(directory), "--losses", str(directory / "losses.jsonl")]
        directory.mkdir(exist_ok=True)
        run(ranks, plan, "--steps", str(last), *files, *resume)
    return steps(directory / "losses.jsonl")


def batches(plan: str, number: int) -> list[str]:
    """Digests of what the first steps have to train on, from the plan itself."""
    stream = mixtera.Plan.open(plan).stream(batch_size=BATCH)
    with stream:
        read = [next(stream).column("tokens").flatten().to_numpy() for _ in range(number)]
    return [hashlib.sha256(tokens.tobytes()).hexdigest() for tokens in read]


def assert_same_run(got: list[Step], whole: list[Step]) -> None:
    """The same tokens, exactly, and the same losses but for what float sums in another order differ by."""
    assert [one.step for one in got] == list(range(1, STEPS + 1))
    assert [one.batch for one in got] == [one.batch for one in whole]
    assert [one.loss for one in got] == pytest.approx([one.loss for one in whole], rel=1e-3)
    for one, other in zip(got, whole, strict=True):
        assert one.report.loss_count == other.report.loss_count
        assert one.report.loss_sum == pytest.approx(other.report.loss_sum, rel=1e-3)


def assert_learns(run: list[Step], plan: str) -> None:
    """The tokens of the plan, in its order, and a loss that falls for every component."""
    assert [one.batch for one in run] == batches(plan, STEPS)
    assert len({one.batch for one in run}) == STEPS
    first, last = (reduce(add, (one.report for one in part)).mean for part in (run[:5], run[-5:]))
    assert set(first) == set(last) == set(mixtera.Plan.open(plan).components)
    assert {name: last[name] < 0.85 * loss for name, loss in first.items()} == dict.fromkeys(first, True)


def test_pytorch_goes_on_with_other_ranks_as_if_it_had_not_stopped(plan: str, tmp_path: Path) -> None:
    whole = trained(torch_run, plan, tmp_path / "whole", [(2, STEPS)])
    assert_learns(whole, plan)
    stopped = trained(torch_run, plan, tmp_path / "stopped", [(2, STOP)])
    shutil.copytree(tmp_path / "stopped", tmp_path / "fewer")
    for ranks, directory in ((1, "fewer"), (4, "stopped")):
        arguments = ["--checkpoint", str(tmp_path / directory), "--losses", str(tmp_path / directory / "losses.jsonl")]
        torch_run(ranks, plan, "--steps", str(STEPS), *arguments, "--resume")
        got = steps(tmp_path / directory / "losses.jsonl")
        assert [one.ranks for one in got] == [2] * len(stopped) + [ranks] * (STEPS - STOP)
        assert_same_run(got, whole)


def test_jax_goes_on_with_other_processes_as_if_it_had_not_stopped(plan: str, tmp_path: Path) -> None:
    whole = trained(jax_run, plan, tmp_path / "whole", [(2, STEPS)])
    assert_learns(whole, plan)
    got = trained(jax_run, plan, tmp_path / "stopped", [(2, STOP), (1, STEPS)])
    assert [one.ranks for one in got] == [2] * STOP + [1] * (STEPS - STOP)
    assert_same_run(got, whole)


def test_a_killed_run_goes_on_from_its_last_checkpoint(plan: str, tmp_path: Path) -> None:
    losses = tmp_path / "losses.jsonl"
    script = [sys.executable, str(EXAMPLES / "torch_pretraining.py"), plan]
    files = ["--checkpoint", str(tmp_path), "--losses", str(losses)]
    endless = started([*script, "--steps", "1000", "--save-every", "4", *files], OMP_NUM_THREADS="1")
    try:
        give_up = time.monotonic() + SECONDS
        while not (losses.exists() and losses.read_text().count("\n") >= 6):
            assert endless.poll() is None, endless.communicate()
            assert time.monotonic() < give_up
            time.sleep(0.02)
        os.killpg(endless.pid, signal.SIGKILL)
    finally:
        end(endless)
    before = steps(losses)
    reached = before[-1].step
    torch_run(1, plan, "--steps", str(reached + 4), *files, "--resume")
    after = steps(losses)[len(before) :]
    # The last step may have been killed after its line and before its checkpoint.
    assert [one.step for one in after] == list(range(after[0].step, reached + 5))
    assert reached - 4 <= after[0].step - 1 <= reached
    assert (after[0].step - 1) % 4 == 0
    assert [one.batch for one in after] == batches(plan, reached + 4)[after[0].step - 1 :]
    done = {one.step: one.loss for one in before}
    again = {one.step: one.loss for one in after if one.step in done}
    assert again == pytest.approx({step: done[step] for step in again}, rel=1e-3)


@pytest.mark.parametrize(
    ("script", "arguments", "message"),
    [
        ("torch_pretraining.py", ["--resume"], "last.pt does not exist: nothing to --resume from"),
        ("jax_pretraining.py", ["--resume"], "last.npz does not exist: nothing to --resume from"),
        ("jax_pretraining.py", ["--batch", "7"], "--batch 7 cannot be divided by 2 devices"),
    ],
)
def test_what_cannot_be_done_is_said(
    script: str, arguments: list[str], message: str, plan: str, tmp_path: Path
) -> None:
    command = [sys.executable, str(EXAMPLES / script), plan, "--checkpoint", str(tmp_path), *arguments]
    run = started(command, XLA_FLAGS="--xla_force_host_platform_device_count=2")
    try:
        said, _ = run.communicate(timeout=SECONDS)
    finally:
        end(run)
    assert run.returncode == 1
    assert said.splitlines()[-1].endswith(message)
    assert "Traceback" not in said
