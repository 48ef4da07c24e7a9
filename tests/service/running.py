"""A service that really runs, as a process of its own, and what it serves."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import urllib3

from mixtera.artifact import digest, layout
from mixtera.artifact.model import OrderParameters, Steering
from mixtera.jobs import Job
from mixtera.plan import Plan
from mixtera.service.directory import create
from mixtera.service.tokens import entry
from mixtera.stream import Stream
from tests.commands import Command
from tests.ports import free_ports
from tests.stream.written import rows_of, written_plan

ORDER = OrderParameters(seed=3, shuffle="global", chunk_size=32, lanes=2, granule=4)
ROUND = 64
TOKENS = {"read": "mixtera_of-a-reader", "train": "mixtera_of-a-trainer", "admin": "mixtera_of-an-admin"}
PATIENCE_SECONDS = 300.0
"""How long clients ask again, and tests wait, where the service is to answer: a machine may do other work."""
Rows = list[tuple[str, str, int]]


def saved_plan(directory: Path, follows: bool = True, epochs: tuple[float | None, ...] = (None, None, None)) -> Plan:
    """A saved plan of three components: without end, and pushed weights; or static."""
    data = written_plan(directory / "files", order=ORDER, epochs=epochs)
    if follows:
        data = dataclasses.replace(data, steering=Steering("external", {}, None, None, 1, 1, None))
    path = str(directory / "plan")
    layout.write(path, data, digest.digest(data))
    return Plan.open(path)


class Service:
    """`mixtera serve` of a directory: started, killed, started again at the same address."""

    def __init__(
        self,
        root: Path,
        *options: str,
        environment: Mapping[str, str] | None = None,
        file_bytes: int | None = None,
        port: int | None = None,
    ) -> None:
        """Prepare it.

        Args:
            root: Where its files lie.
            options: More options of the command.
            environment: More variables.
            file_bytes: How large its files may become.
            port: Where it listens; 0: where it likes. Without one, at a port that nobody else is given while it is
                down, as those of clients are.
        """
        self.root, self.options, self.file_bytes = root, list(options), file_bytes
        self.jobs = root / "jobs"
        self.jobs.mkdir(parents=True, exist_ok=True)
        self.audit = root / "audit.jsonl"
        self.environment = dict(environment or {})
        self.port = free_ports(1)[0] if port is None else port
        self.url = ""
        self.process: Command | None = None

    def start(self) -> Service:
        words = ["serve", "--jobs", str(self.jobs), "--port", str(self.port), "--audit", str(self.audit)]
        environment = {**os.environ, **self.environment}
        with (self.root / "stderr.txt").open("ab") as stderr:
            self.process = Command([*words, *self.options], None, environment, stderr, self.file_bytes)
        line = self.process.line()
        assert line, self.stderr()
        self.url = line.split()[0]
        self.port = int(self.url.rsplit(":", 1)[1])
        return self

    def stderr(self) -> str:
        return (self.root / "stderr.txt").read_text()

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def end(self) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait()
        self.process.stdout.close()
        return code

    def create(self, name: str, plan: Plan) -> str:
        """Make a job as an admin of the machine does; its URL."""
        create(self.jobs, name, str(plan.path))
        return self.at(name)

    def at(self, name: str) -> str:
        return f"{self.url}/jobs/{name}"

    def attach(self, name: str, token: str | None = None, **options: Any) -> Job:
        return Job.attach(self.at(name), token, **{"patience": PATIENCE_SECONDS, **options})

    def entries(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.audit.read_text().splitlines()]

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, Any]:
        """A request as a stranger would send it: the status, and the answer."""
        sent = {"Content-Type": "application/json"} if body is not None else {}
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        response = urllib3.request(
            method, self.url + path, body=content, headers={**sent, **(headers or {})}, retries=False, timeout=600
        )
        kind = response.headers.get("content-type", "")
        return response.status, json.loads(response.data) if kind == "application/json" else response.data

    def __enter__(self) -> Service:
        return self if self.process is not None else self.start()

    def __exit__(self, *error: object) -> None:
        self.end()


def tokens_file(path: Path, jobs: Mapping[str, list[str]] | None = None) -> str:
    """A file with a token for each role, only for some jobs where `jobs` says so."""
    path.write_text("".join(entry(f"a {role}", TOKENS[role], role, (jobs or {}).get(role, ["*"])) for role in TOKENS))
    return str(path)


def push(job: Job, step: int, weights: Mapping[str, float]) -> None:
    """Have the algorithm `external` take weights over."""
    counts = dict.fromkeys(job.components, 1.0)
    job.feedback(step, counts, counts, scalars={"weights": weights})


def weights_at(step: int) -> dict[str, float]:
    """Weights that change with every step."""
    return {"c0": 1.0 + step % 5, "c1": 1.0 + step % 3, "c2": 1.0}


def trained(job: Job, streams: list[Stream], steps: int, first: int = 0) -> Rows:
    """A training over some ranks in turn: the samples, in the global order; weights are pushed after each step."""
    rows: Rows = []
    for step in range(first, first + steps):
        for stream in streams:
            rows += rows_of(next(stream))
        push(job, step, weights_at(step))
        job.flush()
    return rows


def uninterrupted(plan: Plan, directory: Path, ranks: int, batch_size: int, steps: int) -> Rows:
    """The same training over a job in a directory, without a service."""
    with Job.local(plan, str(directory)) as job:
        streams = [job.stream(batch_size, rank, ranks) for rank in range(ranks)]
        rows = trained(job, streams, steps)
        for stream in streams:
            stream.close()
        return rows
