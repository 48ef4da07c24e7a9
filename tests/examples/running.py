"""Runs of the examples in processes of their own, as a user starts them, and what they have written."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mixtera.adapters.losses import LossReport
from tests.examples.conftest import EXAMPLES
from tests.ports import free_ports

ENDED = str(Path(__file__).with_name("ended.py"))
SECONDS = 900  # of a machine that does other work at the same time


@dataclass(frozen=True)
class Step:
    """A line of `--losses`."""

    step: int
    ranks: int
    batch: str
    loss: float
    report: LossReport


def steps(file: Path) -> list[Step]:
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return [
        Step(line["step"], line["ranks"], line["batch"], line["loss"], LossReport(line["loss_sum"], line["loss_count"]))
        for line in lines
    ]


def torch_run(ranks: int, *arguments: str) -> None:
    """PyTorch ranks: one without torchrun, several by it."""
    script = [str(EXAMPLES / "torch_pretraining.py"), *arguments]
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks)]
    finished([[sys.executable, *([*torchrun, ENDED] if ranks > 1 else []), *script]], OMP_NUM_THREADS="1")


def jax_run(ranks: int, *arguments: str) -> None:
    """JAX processes, which find each other at a free port. Only the first is told where to write losses."""
    script = [sys.executable, str(EXAMPLES / "jax_pretraining.py")]
    if ranks == 1:
        finished([[*script, *arguments]])
        return
    meeting = ["--coordinator", f"127.0.0.1:{free_ports(1)[0]}", "--processes", str(ranks)]
    losses = arguments.index("--losses")
    silent = [*arguments[:losses], *arguments[losses + 2 :]]
    every = [list(arguments), *[silent] * (ranks - 1)]
    finished([[*script, *own, *meeting, "--process", str(rank)] for rank, own in enumerate(every)])


def finished(commands: list[list[str]], **environment: str) -> None:
    """Run commands side by side to their ends; none outlives this."""
    running = [started(command, **environment) for command in commands]
    try:
        said = [one.communicate(timeout=SECONDS)[0] for one in running]
    finally:
        for one in running:
            end(one)
    assert [one.returncode for one in running] == [0] * len(running), "\n".join(said)


def started(command: list[str], **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command,
        env=os.environ | {"JAX_PLATFORMS": "cpu", "PYTHONWARNINGS": "error"} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def end(process: subprocess.Popen[str]) -> None:
    """Stop a process that still runs: torchrun ends its ranks when it is asked to, what is left is killed."""
    if process.poll() is None:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(20)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert process.stdout is not None
    process.stdout.close()
