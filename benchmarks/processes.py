"""Measurements in fresh processes: what they print, how long they took from outside, what memory they held."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO, cast

import psutil

PLUGIN = Path(__file__).parent / "plugin"
ROOT = Path(__file__).parent.parent
COMPILED = (Path(__file__).parent / "data" / "compiled").resolve()
SAMPLE_SECONDS = 0.05


@dataclass(frozen=True)
class Task:
    """A function of `benchmarks.figures` or `benchmarks.references` with its arguments."""

    name: str
    arguments: Mapping[str, object]

    def command(self) -> list[str]:
        """The command line of its process."""
        return [sys.executable, "-m", "benchmarks.measure", self.name, json.dumps(dict(self.arguments))]


def _environment() -> dict[str, str]:
    """That of this process, with the plugin; modules are compiled once, as where a package is installed."""
    compiled = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(COMPILED)}
    path = os.pathsep.join([str(PLUGIN), os.environ.get("PYTHONPATH", "")]).rstrip(":")
    return {**os.environ, **compiled, "PYTHONPATH": path}


def _start(command: Sequence[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=_environment(), cwd=ROOT)


def _end(process: subprocess.Popen[str]) -> None:
    if process.wait():
        raise SystemExit(f"{' '.join(map(str, cast(list[str], process.args)))} failed with {process.returncode}")


def run(task: Task) -> dict[str, float]:
    """Run a task; the result also has `wall_seconds`: from the start of the process to its answer."""
    begin = time.perf_counter()
    process = _start(task.command())
    line = cast(TextIO, process.stdout).readline()
    wall = time.perf_counter() - begin
    _end(process)
    return {**json.loads(line), "wall_seconds": wall}


def run_watched(task: Task) -> dict[str, float]:
    """Run a task and sample the memory (PSS) of all of its processes together; the highest is `peak_bytes`."""
    process = _start(task.command())
    peak = 0
    while process.poll() is None:
        peak = max(peak, _tree_pss_bytes(process.pid))
        time.sleep(SAMPLE_SECONDS)
    line = cast(TextIO, process.stdout).readline()
    _end(process)
    return {**json.loads(line), "peak_bytes": peak}


def _tree_pss_bytes(pid: int) -> int:
    try:
        root = psutil.Process(pid)
        return sum(_pss_bytes(process) for process in [root, *root.children(recursive=True)])
    except psutil.NoSuchProcess:
        return 0


def _pss_bytes(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().pss)
    except (psutil.NoSuchProcess, psutil.AccessDenied):  # it ended while we looked
        return 0


def wall_seconds(command: Sequence[str]) -> float:
    """How long a command takes from outside."""
    begin = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=_environment(), cwd=ROOT)
    return time.perf_counter() - begin
