"""What breaks while a training runs: processes, networks, disks. Nothing is lost, and nothing comes twice."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import re
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from mixtera.errors import JobError, ServiceError
from mixtera.jobs import Job
from mixtera.plan import Plan
from tests.service.running import PATIENCE_SECONDS, Rows, Service, push, rows_of, trained, uninterrupted, weights_at
from tests.waiting import until

SOURCES = Path(__file__).parents[2] / "mixtera"


def train_until(done: threading.Event, jobs: list[Job], batch_size: int, rows: Rows, waits: bool) -> int:
    """Ranks in turn, each with a job of its own; the steps. `waits`: until what was reported is durable."""
    streams = [job.stream(batch_size, rank, len(jobs)) for rank, job in enumerate(jobs)]
    step = 0
    while not done.is_set():
        for stream in streams:
            rows += rows_of(next(stream))
        push(jobs[0], step, weights_at(step))
        if waits:
            jobs[0].flush()
        step += 1
    for stream in streams:
        stream.close()
    jobs[0].flush()
    return step


def has_changed(journal: Path, before: int, training: threading.Thread) -> bool:
    """Whether a journal has, or nobody writes to it any more."""
    return journal.stat().st_size != before or not training.is_alive()


@pytest.fixture
def kills(request: pytest.FixtureRequest) -> int:
    """How often: a handful, or 200 times in `make soak`."""
    return 200 if request.config.getoption("--hypothesis-profile") == "soak" else 5


@pytest.mark.parametrize("waits", [True, False])
def test_a_service_that_is_killed_at_any_moment(
    waits: bool, service: Service, plan: Plan, tmp_path: Path, kills: int
) -> None:
    """All ranks read one timeline. Which one that is depends on when the service hears of a loss, unless one waits.

    Every second time it is killed just as it comes up; between these it has written something, so ranks get on.
    """
    service.create("run", plan)
    jobs = [service.attach("run") for _ in range(3)]
    done, rows, steps = threading.Event(), Rows(), [0]
    failures: list[BaseException] = []

    def work() -> None:
        try:
            steps[0] = train_until(done, jobs, 4, rows, waits)
        except BaseException as error:
            failures.append(error)
            raise

    training = threading.Thread(target=work)
    training.start()
    chance, journal = random.Random(kills), service.jobs / "run" / "journal.jsonl"
    for number in range(kills):
        before = journal.stat().st_size
        if number % 2:
            until(partial(has_changed, journal, before, training), "a change of the journal")
        time.sleep(chance.random() * 0.3)
        service.kill()
        assert training.is_alive(), failures
        service.start()
    done.set()
    training.join(600)
    assert not failures
    print(f"{kills} kills, {steps[0]} steps")  # for whoever looks: pytest -rP
    status = jobs[0].status()
    assert status["step"] == steps[0] - 1
    assert status["changes"] > 0
    with jobs[0].stream(12, start=0) as again:
        assert rows == [row for _ in range(steps[0]) for row in rows_of(next(again))]
    for job in jobs:
        job.close()
    if waits:
        assert rows == uninterrupted(plan, tmp_path / "local", 3, 4, steps[0])


def _rank(url: str, out: str) -> None:
    with Job.attach(url) as job, job.stream(8) as stream, Path(out).open("w") as file:
        for step in range(10_000):
            rows = trained(job, [stream], 1, step)
            file.write(json.dumps({"rows": rows, "state": job.checkpoint()}) + "\n")
            file.flush()


def test_a_rank_that_is_killed_goes_on_from_its_checkpoint(service: Service, plan: Plan, tmp_path: Path) -> None:
    url = service.create("run", plan)
    out = tmp_path / "rank.jsonl"
    rank = multiprocessing.get_context("spawn").Process(target=_rank, args=(url, str(out)))
    rank.start()
    until(lambda: out.exists() and out.read_text().count("\n") >= 12, "the twelfth step")
    assert rank.pid is not None
    os.kill(rank.pid, signal.SIGKILL)
    rank.join(PATIENCE_SECONDS)
    assert rank.exitcode == -signal.SIGKILL
    done = [json.loads(line) for line in out.read_text().split("\n")[:-1]]
    rows = [tuple(row) for step in done for row in step["rows"]]
    with Job.resume(done[-1]["state"]) as job, job.stream(8) as stream:
        rows += trained(job, [stream], 12, len(done))
    assert rows == uninterrupted(plan, tmp_path / "local", 1, 8, len(done) + 12)


def test_a_rank_that_lags_by_a_thousand_steps(service: Service, plan: Plan, tmp_path: Path) -> None:
    service.create("run", plan)
    with service.attach("run") as job, service.attach("run") as other:
        first, second = job.stream(2, 0, 2), other.stream(2, 1, 2)
        ahead: list[Rows] = []
        for step in range(1_000):
            ahead.append(rows_of(next(first)))
            push(job, step, weights_at(step))
        behind = [rows_of(next(second)) for _ in range(1_000)]
        first.close()
        second.close()
    found = [row for steps in zip(ahead, behind, strict=True) for rows in steps for row in rows]
    assert found == uninterrupted(plan, tmp_path / "local", 2, 2, 1_000)


def test_a_line_that_was_written_by_half(service: Service, plan: Plan, tmp_path: Path) -> None:
    service.create("run", plan)
    with service.attach("run") as job, job.stream(8) as stream:
        rows = trained(job, [stream], 10)
        service.kill()
        journal = service.jobs / "run" / "journal.jsonl"
        lines = journal.read_bytes().splitlines(keepends=True)
        with journal.open("ab") as file:
            file.write(lines[-1][: len(lines[-1]) // 2])
        service.start()
        rows += trained(job, [stream], 10, 10)
    assert rows == uninterrupted(plan, tmp_path / "local", 1, 8, 20)


def test_a_journal_that_is_damaged_is_told_and_other_jobs_go_on(service: Service, plan: Plan) -> None:
    for name in ("broken", "whole"):
        service.create(name, plan)
        with service.attach(name) as job, job.stream(8) as stream:
            trained(job, [stream], 3)
    service.kill()
    journal = service.jobs / "broken" / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join([lines[0], b"x" + lines[1][1:], *lines[2:]]))
    service.start()
    with pytest.raises(JobError, match=r"journal.jsonl:2: the journal is damaged"):
        service.attach("broken")
    with service.attach("whole") as job:
        assert job.status()["step"] == 2
    problems = {job["job"]: job["problem"] for job in service.ask("GET", "/v1/jobs")[1]["jobs"]}
    assert problems["whole"] is None
    assert "damaged" in problems["broken"]


class Proxy:
    """Hands bytes on to a port, until it is cut."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        self._cut = False
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            if self._cut:
                near.close()
                continue
            far = socket.create_connection(("127.0.0.1", self._to))
            self._open += [near, far]
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=self._pump, args=(one, other), daemon=True).start()

    def _pump(self, one: socket.socket, other: socket.socket) -> None:
        try:
            while part := one.recv(1 << 16):
                other.sendall(part)
        except OSError:
            pass
        for end in (one, other):
            end.close()

    @contextmanager
    def cut(self) -> Iterator[None]:
        self._cut = True
        for end in self._open:
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
        self._open.clear()
        yield
        self._cut = False

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)  # else its thread waits on, and keeps the port
        self._listener.close()


@pytest.mark.parametrize("reading", ["direct", "tunnel"])
def test_a_network_that_is_cut(reading: str, service: Service, plan: Plan, tmp_path: Path) -> None:
    service.create("run", plan)
    proxy = Proxy(service.port)
    url = f"http://127.0.0.1:{proxy.port}/jobs/run"
    options: dict[str, Any] = {"reading": reading, "patience": PATIENCE_SECONDS}
    with Job.attach(url, **options) as job, job.stream(8) as stream:
        rows: Rows = []
        for step in range(0, 40, 8):
            rows += trained(job, [stream], 8, step)
            with proxy.cut():
                push(job, step + 7, weights_at(0))  # said again while nobody hears it
                time.sleep(0.1)
    proxy.close()
    assert rows == uninterrupted(plan, tmp_path / "local", 1, 8, 40)


def test_a_disk_that_is_full(plan: Plan, tmp_path: Path) -> None:
    with Service(tmp_path / "service", file_bytes=20_000).start() as service:
        service.create("run", plan)
        service.create("other", plan)
        acknowledged = -1
        with service.attach("run", patience=0.5) as job, job.stream(8) as stream:
            said = ""
            while not said:
                try:
                    trained(job, [stream], 1, acknowledged + 1)
                    acknowledged += 1
                except ServiceError as error:
                    said = str(error)
            assert "journal.jsonl cannot be written: File too large" in said
            assert acknowledged > 10
            position = stream.position
        with service.attach("other") as job:
            assert job.status()["step"] == -1
        service.end()
        service.file_bytes = None
        service.start()
        with service.attach("run") as job:
            assert job.status()["step"] == acknowledged
            assert job.status()["promised"] >= position
            with job.stream(8, start=0) as stream:
                rows = [row for _ in range(acknowledged) for row in rows_of(next(stream))]
    assert rows == uninterrupted(plan, tmp_path / "local", 1, 8, acknowledged)


def test_a_static_plan_needs_no_service_once_it_is_attached(service: Service, static_plan: Plan) -> None:
    service.create("run", static_plan)
    job = service.attach("run", patience=2 * PATIENCE_SECONDS)
    service.kill()
    begun = time.monotonic()
    with job.stream(8) as stream, static_plan.stream(8) as here:
        assert [rows_of(batch) for batch in stream] == [rows_of(batch) for batch in here]
    assert time.monotonic() - begun < PATIENCE_SECONDS, "nobody has waited for the service"
    service.start()
    job.close()


def test_a_reader_that_is_gone_is_noticed(service: Service, plan: Plan) -> None:
    service.create("run", plan)
    begun = time.monotonic()
    with service.attach("run") as job:
        with job.stream(8, 3, 4) as stream:
            next(stream)
            until(lambda: job.status()["readers"] != [], "what the reader says of itself")
            readers = job.status()["readers"]
            assert [(reader["rank"], reader["worker"], reader["gone"]) for reader in readers] == [(3, 0, False)]
            assert readers[0]["process"].endswith(f":{os.getpid()}")
        seen = service.ask("GET", "/v1/jobs/run/status")[1]["readers"][0]["seconds"]
        assert 0 <= seen <= time.monotonic() - begun


def test_nothing_depends_on_what_the_clock_on_the_wall_says() -> None:
    """Only the audit log has the time of day; all that waits or forgets reads the monotonic clock."""
    wall = re.compile(r"\btime\.time\(|datetime\.(now|utcnow)|\btime_ns\(")
    found = [
        path.name
        for folder in ("jobs", "service")
        for path in (SOURCES / folder).glob("*.py")
        if wall.search(path.read_text())
    ]
    assert found == ["audit.py"]
