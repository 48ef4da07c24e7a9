"""A real standalone cluster of Spark on 127.0.0.1: a master and workers, each a process of its own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import psutil
import pyspark
import pytest

_STARTED_SECONDS = 900.0
_HOME = Path(pyspark.__file__).parent
_EXECUTOR = "CoarseGrainedExecutorBackend"


class Cluster:
    """A master and some workers with one core each. Use it as a context manager."""

    def __init__(self, directory: Path, workers: int) -> None:
        self._directory = directory
        self._processes: list[subprocess.Popen[bytes]] = []
        self._begun = 0.0
        self._count = workers
        self.master = ""
        self._web = ""

    def __enter__(self) -> Cluster:
        if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
            pytest.skip("no Java is installed here: neither `java` on PATH nor JAVA_HOME")
        self._begun = time.monotonic()
        at = ("--host", "127.0.0.1")
        self._start("master", "master.Master", *at, "--port", "0", "--webui-port", "0")
        self._web = self._said_by_master(r"Successfully started service 'MasterUI' on port (\d+)")
        self.master = self._said_by_master(r"Starting Spark master at (spark://\S+)")
        for number in range(self._count):
            given = ("--port", "0", "--webui-port", "0", "--cores", "1", "--memory", "1g")
            work = ("--work-dir", str(self._directory / "work"))
            self._start(f"worker-{number}", "worker.Worker", *at, *given, *work, self.master)
        self._wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def _start(self, name: str, kind: str, *arguments: str) -> None:
        environment = {
            **os.environ,
            "SPARK_LOCAL_IP": "127.0.0.1",
            "SPARK_DAEMON_MEMORY": "256m",
            "SPARK_MASTER_OPTS": "-Dspark.master.rest.enabled=false",  # it has a port of its own
            "SPARK_HOME": str(_HOME),
            "PYSPARK_PYTHON": sys.executable,
        }
        with (self._directory / f"{name}.log").open("wb") as log:
            command = [str(_HOME / "bin/spark-class"), f"org.apache.spark.deploy.{kind}", *arguments]
            self._processes.append(subprocess.Popen(command, stdout=log, stderr=log, env=environment))

    def _wait(self) -> None:
        """Wait until all workers have told the master of themselves."""
        while self.alive() < self._count:
            self._go_on_waiting()

    def _said_by_master(self, pattern: str) -> str:
        """Wait until the master says something: which ports it took is only known then, and so nobody else has them."""
        while not (found := re.search(pattern, (self._directory / "master.log").read_text())):
            self._go_on_waiting()
        return found[1]

    def _go_on_waiting(self) -> None:
        assert all(process.poll() is None for process in self._processes), self._said()
        assert time.monotonic() - self._begun < _STARTED_SECONDS, self._said()
        time.sleep(0.1)

    def _said(self) -> str:
        return "\n".join(path.read_text() for path in sorted(self._directory.glob("*.log")))

    def alive(self) -> int:
        """Workers that the master knows to live."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._web}/json/", timeout=10) as page:
                found = re.search(rb'"aliveworkers"\s*:\s*(\d+)', page.read())
        except OSError:
            return 0
        return 0 if found is None else int(found[1])

    def executors(self) -> list[psutil.Process]:
        """The executors: children of the workers."""
        parents = [psutil.Process(process.pid) for process in self._processes if process.poll() is None]
        found = [child for parent in parents for child in parent.children(recursive=True)]
        return [process for process in found if _EXECUTOR in _command(process)]

    def end(self) -> None:
        """Kill all of it, at once: nobody has the time to say goodbye."""
        below = [child for process in self._processes for child in _below(process.pid)]
        for process in self._processes:
            process.kill()
        for child in below:
            _kill(child)
        for process in self._processes:
            process.wait()
        self._processes.clear()


def _below(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _kill(process: psutil.Process) -> None:
    try:
        process.kill()
    except psutil.NoSuchProcess:
        return


def executor_above(pid: int) -> psutil.Process:
    """The executor that a Python worker belongs to."""
    return next(parent for parent in psutil.Process(pid).parents() if _EXECUTOR in " ".join(parent.cmdline()))


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until something is so.

    Raises:
        TimeoutError: It took too long.
    """
    begin = time.monotonic()
    while not condition():
        if time.monotonic() - begin > _STARTED_SECONDS:
            raise TimeoutError
        time.sleep(0.02)


def _command(process: psutil.Process) -> str:
    """What a process was started with; nothing, of one that is gone."""
    try:
        return " ".join(process.cmdline())
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return ""
