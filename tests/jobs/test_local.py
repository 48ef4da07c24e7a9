"""Jobs in a directory: what is acknowledged stays, whatever happens to those who write."""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from mixtera.errors import JobError, PlanError, StateError, StorageError
from mixtera.jobs import Job
from mixtera.jobs.local import SNAPSHOT_RECORDS, LocalJob
from mixtera.jobs.model import Report
from mixtera.plan import Plan
from tests.jobs.following import following_plan, push, steering, taken
from tests.waiting import PATIENCE_SECONDS, patience_with


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    return following_plan(tmp_path_factory.mktemp("following"))


def report(step: int, weights: tuple[float, ...] = (1.0, 1.0, 1.0)) -> Report:
    return Report(step, (1.0,) * 3, (1.0,) * 3, None, {"weights": weights})


def journal(directory: Path) -> Path:
    return directory / "journal.jsonl"


def test_a_job_is_opened_again_as_it_was(plan: Plan, tmp_path: Path) -> None:
    first = LocalJob(str(tmp_path), plan)
    first.promise(0, 3)
    receipt = first.report(report(4, (0.2, 0.7, 0.1)))
    assert (receipt.counted, receipt.at) == (True, 3 * 64)
    assert receipt.weights == pytest.approx((0.2, 0.7, 0.1))
    first.checkpoint(64)
    state = first.state
    first.close()
    again = LocalJob(str(tmp_path))
    assert again.state == state
    assert again.plan.digest == plan.digest
    again.close()


def test_a_plan_may_be_named(plan: Plan, tmp_path: Path) -> None:
    with Job.local(plan.path, tmp_path / "job") as job:
        assert job.plan.digest == plan.digest
    with pytest.raises(PlanError, match="does not exist"):
        Job.local(str(tmp_path / "no plan"), tmp_path / "other")


def test_processes_of_a_run_share_it(plan: Plan, tmp_path: Path) -> None:
    one, other = LocalJob(str(tmp_path), plan), LocalJob(str(tmp_path))
    one.promise(0, 5)
    assert other.report(report(0, (1.0, 0.0, 0.0))).at == 5 * 64
    assert one.promise(5, 6) == other.promise(5, 6)
    assert one.status() == other.status()
    one.close()
    other.close()


def test_a_step_counts_once(plan: Plan, tmp_path: Path) -> None:
    job = LocalJob(str(tmp_path), plan)
    assert job.report(report(3, (1.0, 2.0, 3.0))).counted
    size = journal(tmp_path).stat().st_size
    for step in (3, 2, 0):
        late = job.report(report(step, (3.0, 2.0, 1.0)))
        assert (late.counted, late.step) == (False, 3)
    assert journal(tmp_path).stat().st_size == size
    assert job.report(report(9)).counted  # some may be missing
    job.close()


def test_what_is_no_number_did_not_come(tmp_path: Path) -> None:
    plan = following_plan(tmp_path, steering("loss_average"))
    job = LocalJob(str(tmp_path / "job"), plan)
    infinite, nan = float("inf"), float("nan")
    job.report(Report(0, (4.0, nan, 2.0), (1.0, 1.0, 1.0)))
    job.report(Report(1, (4.0, infinite, 2.0), (1.0, 1.0, 1.0)))
    job.report(Report(2, (4.0, 1.0, 2.0), (1.0, nan, 1.0)))
    weights = job.state.course.weights
    assert np.isfinite(weights).all()
    assert weights[0] > weights[2]
    again = LocalJob(str(tmp_path / "job"))
    assert again.state == job.state
    again.close()
    job.close()


def test_a_line_cut_short_was_never_said(plan: Plan, tmp_path: Path) -> None:
    job = LocalJob(str(tmp_path), plan)
    job.promise(0, 3)
    kept = job.state
    job.report(report(0, (1.0, 0.0, 0.0)))
    job.close()
    whole = journal(tmp_path).read_bytes()
    last = whole.rstrip(b"\n").rfind(b"\n") + 1
    for cut in (last + 1, last + 40, len(whole) - 1):
        journal(tmp_path).write_bytes(whole[:cut])
        again = LocalJob(str(tmp_path))
        assert again.state == kept
        assert again.report(report(0, (1.0, 0.0, 0.0))).counted
        again.close()
        assert journal(tmp_path).read_bytes() == whole
    journal(tmp_path).write_bytes(whole[:-9] + b"\0\0\0\0\0\0\0\0\n")  # what a power cut may leave
    again = LocalJob(str(tmp_path))
    assert again.state == kept
    again.close()


def test_a_damaged_line_is_an_error_with_its_place(plan: Plan, tmp_path: Path) -> None:
    job = LocalJob(str(tmp_path), plan)
    job.promise(0, 3)
    job.promise(0, 4)
    job.close()
    path = journal(tmp_path)
    path.write_bytes(path.read_bytes().replace(b'"rounds":3', b'"rounds":9'))
    with pytest.raises(JobError, match=r"journal\.jsonl:2: the journal is damaged: its checksum differs; restore it"):
        LocalJob(str(tmp_path))


def test_another_plan_or_none_or_a_newer_release(plan: Plan, tmp_path: Path) -> None:
    with pytest.raises(JobError, match=r"holds no job; `mixtera\.Job\.local"):
        Job.local(None, str(tmp_path / "none"))
    assert not (tmp_path / "none").exists()
    Job.local(plan, str(tmp_path / "job")).close()
    other = following_plan(tmp_path / "other", steering(every=7))
    with pytest.raises(JobError, match=f"is of the plan 'synthetic' .{plan.digest}.*and the plan given is"):
        Job.local(other, str(tmp_path / "job"))
    from mixtera.jobs.records import Began, line

    (tmp_path / "newer").mkdir()
    journal(tmp_path / "newer").write_bytes(line(Began(2, plan.digest, "plan", "synthetic")))
    with pytest.raises(JobError, match=r"made by a newer Mixtera \(version 2, this one reads up to 1\)"):
        Job.local(None, str(tmp_path / "newer"))


def test_a_service_has_it_alone(plan: Plan, tmp_path: Path) -> None:
    served = LocalJob(str(tmp_path), plan, alone=True)
    served.sign("the service at http://127.0.0.1:1")
    with pytest.raises(JobError, match=r"in use by the service at http://127\.0\.0\.1:1; attach to it"):
        Job.local(plan, str(tmp_path))
    with pytest.raises(JobError, match="in use by the service"):
        LocalJob(str(tmp_path), alone=True)
    served.close()
    with Job.local(plan, str(tmp_path)), pytest.raises(JobError, match=f"in use by process {os.getpid()}"):
        LocalJob(str(tmp_path), alone=True)


def test_a_plan_that_was_not_saved_is_kept(plan: Plan, tmp_path: Path) -> None:
    unsaved = Plan(plan.data, plan.path, plan.digest)
    Job.local(unsaved, str(tmp_path / "job")).close()
    assert (tmp_path / "job" / "plan" / "plan.json").exists()
    (tmp_path / "job").rename(tmp_path / "moved")
    with Job.local(None, str(tmp_path / "moved")) as job:
        assert job.plan.digest == plan.digest


def test_a_snapshot_shortens_the_way_and_nothing_else(plan: Plan, tmp_path: Path) -> None:
    job = LocalJob(str(tmp_path), plan)
    for step in range(SNAPSHOT_RECORDS + 20):
        job.report(report(step, (1.0 + step % 3, 1.0, 1.0)))
    state = job.state
    job.close()
    snapshot = tmp_path / "snapshot.json"
    whole = snapshot.read_bytes()
    for content in (whole, whole[:-30], whole.replace(b'"step":5', b'"step":6'), b"", None):
        snapshot.unlink(missing_ok=True)
        if content is not None:
            snapshot.write_bytes(content)
        again = LocalJob(str(tmp_path))
        assert again.state == state
        again.close()


def test_a_full_disk_acknowledges_nothing_and_loses_nothing(plan: Plan, tmp_path: Path) -> None:
    def child(answers: multiprocessing.Queue) -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        job = LocalJob(str(tmp_path), plan)
        job.promise(0, 3)
        size = journal(tmp_path).stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 50, resource.RLIM_INFINITY))
        try:
            job.report(report(0))
        except StorageError as error:
            answers.put((str(error), job.promise(0, 3).rounds))
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        answers.put(job.report(report(0, (1.0, 0.0, 0.0))).at)
        job.close()

    answers: multiprocessing.Queue = multiprocessing.get_context("fork").Queue()
    process = multiprocessing.get_context("fork").Process(target=child, args=(answers,))
    process.start()
    message, rounds = answers.get(timeout=PATIENCE_SECONDS)
    assert "journal.jsonl cannot be written: File too large" in message
    assert rounds == 3
    assert answers.get(timeout=PATIENCE_SECONDS) == 3 * 64
    process.join(PATIENCE_SECONDS)
    assert process.exitcode == 0
    again = LocalJob(str(tmp_path))
    assert (again.state.step, again.state.promised) == (0, 3)
    again.close()


def test_a_forked_child_opens_its_own(plan: Plan, tmp_path: Path) -> None:
    with Job.local(plan, str(tmp_path)) as job:
        mine = taken([job.stream(8)], 10)
        push(job, 0, {"c0": 1.0})
        job.flush()
        context = multiprocessing.get_context("fork")
        answers = context.Queue()

        def child() -> None:
            push(job, 1, {"c1": 1.0})
            job.flush()
            answers.put(taken([job.stream(8)], 10))

        process = context.Process(target=child)
        process.start()
        assert answers.get(timeout=PATIENCE_SECONDS) == mine
        process.join(PATIENCE_SECONDS)
        assert process.exitcode == 0
        assert job.status()["step"] == 1


TRAINER = """
import json, sys
from mixtera.jobs import Job
with Job.local(None, sys.argv[1]) as job:
    stream = job.stream(8, start=int(sys.argv[2]))
    step = int(sys.argv[2]) // 8
    for batch in stream:
        weights = [1 + step % 5, 1 + step % 3, 1]
        job.feedback(step, [1, 1, 1], [1, 1, 1], scalars={"weights": weights})
        job.flush()
        print(json.dumps([stream.position, batch["sample"].to_pylist()]), flush=True)
        step += 1
"""


def run_trainer(directory: Path, start: int, lines: int, kill: bool) -> list[list[int]]:
    program = [sys.executable, "-c", TRAINER, str(directory), str(start)]
    found = []
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as process, patience_with(process):
        assert process.stdout is not None
        for text in process.stdout:
            found.append(json.loads(text)[1])
            if len(found) == lines:
                break
        process.kill() if kill else process.terminate()
    return found


def test_a_trainer_killed_again_and_again_reads_what_one_alone_reads(plan: Plan, tmp_path: Path) -> None:
    Job.local(plan, str(tmp_path / "alone")).close()
    Job.local(plan, str(tmp_path / "killed")).close()
    whole = run_trainer(tmp_path / "alone", 0, 60, kill=False)
    found: list[list[int]] = []
    for lines in (7, 1, 22, 30):
        found += run_trainer(tmp_path / "killed", 8 * len(found), lines, kill=True)
    assert found == whole


def test_states_that_are_none(plan: Plan, tmp_path: Path) -> None:
    with Job.local(plan, str(tmp_path)) as job:
        state = job.state_at(0)
    for wrong in ({}, {"job": {}}, {key: value for key, value in state.items() if key != "job"}, None):
        with pytest.raises(StateError, match="not the state of a job"):
            Job.resume(wrong)  # type: ignore[arg-type]
    with pytest.raises(StateError, match="another plan"):
        Job.resume(state | {"plan": "sha256:0"})
    with pytest.raises(JobError, match="holds no job"):
        Job.resume(state | {"job": {"address": str(tmp_path / "gone")}})


def test_the_clock_does_not_matter(plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Job.local(plan, str(tmp_path)) as job:
        stream = job.stream(8)
        before = taken([stream], 5)
        monkeypatch.setattr(time, "time", lambda: 0.0)
        push(job, 0, {"c0": 1.0})
        assert job.status()["step"] == 0
        assert len(before + taken([stream], 40)) == 360
