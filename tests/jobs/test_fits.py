"""Slow fits: done aside, applied at their step, done again where a process died over them."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mixtera.algorithms.steering import fitted
from mixtera.artifact.model import Steering
from mixtera.contracts.algorithm import FitTask
from mixtera.errors import JobError
from mixtera.jobs.fits import Fits
from mixtera.jobs.local import LocalJob
from mixtera.jobs.model import Report
from mixtera.jobs.progress import Rules
from mixtera.jobs.records import Fitted, Reported, line, record
from tests.jobs.following import following_plan
from tests.waiting import gone, patience_with, until

DUE, LAG = 120, 7
ADO = Steering("ado", {"start": DUE, "interval": DUE, "ignore": 20, "starts": 1}, 0.01, None, 1, LAG, None)


def curve(step: int) -> Report:
    """Losses that fall at different speeds."""
    fall = np.array([0.9, 0.5, 0.1])
    losses = 1 + 2 * (step + 1.0) ** -fall
    return Report(step, tuple((losses * 8).tolist()), (8.0, 8.0, 8.0), (3.0, 3.0, 2.0), {}, (step + 1) * 8, 8)


def result_of(job: LocalJob) -> int:
    """The step of the fit whose result the job has, and waits to apply."""
    steering = job.state.steering
    assert steering is not None
    step: int = steering["open"]["result"]["step"]
    return step


@pytest.fixture
def job(tmp_path: Path):
    found = LocalJob(str(tmp_path / "job"), following_plan(tmp_path, ADO))
    yield found
    found.close()


def test_a_fit_is_done_aside_and_counts_at_its_step(job: LocalJob) -> None:
    for step in range(DUE + 1):
        job.report(curve(step))
    assert job.status()["fit"] == DUE or result_of(job) == DUE  # it may have been done by now
    until(lambda: job.status()["fit"] is None)
    before = job.state.course.weights
    for step in range(DUE + 1, DUE + LAG):
        job.report(curve(step))
    assert job.state.course.weights == before
    job.report(curve(DUE + LAG))
    until(lambda: job.state.course.weights != before)


def test_feedback_waits_for_a_fit_and_promises_do_not(tmp_path: Path) -> None:
    rules = Rules(following_plan(tmp_path, ADO).data)
    state = rules.start()
    late = rules.start()

    def reported(state, step):
        found = rules.report(state, curve(step))
        assert isinstance(found, Reported)
        return rules.apply(state, record(line(found)))  # through the journal

    def with_fit(state):
        task = rules.open_fit(state)
        assert task is not None
        found = rules.fit(state, fitted(task))
        assert isinstance(found, Fitted)
        return rules.apply(state, record(line(found)))

    for step in range(150):
        state = reported(state, step)
        if rules.open_fit(state) is not None:
            state = with_fit(state)
    for step in range(150):
        late = reported(late, step)
        if step == DUE + LAG + 8:
            assert len(late.held) == 9
            assert rules.promise(late, 100) is not None
            late = with_fit(late)
    assert not late.held
    assert late.step == state.step == 149
    assert late.course.weights == state.course.weights
    assert late.steering == state.steering


def test_a_killed_fit_is_done_again(job: LocalJob) -> None:
    for step in range(DUE + 1):
        job.report(curve(step))
    until(lambda: bool(job._fits._pool and job._fits._pool._processes))
    for process in list(job._fits._pool._processes):
        os.kill(process, signal.SIGKILL)
    until(lambda: job._fits._running is None)
    if job.status()["fit"] is not None:  # it may have been done before
        job.report(curve(DUE + 1))
    until(lambda: job.status()["fit"] is None)
    assert result_of(job) == DUE


KILLED = """
import os, sys, time
from mixtera.jobs.fits import Fits
from mixtera.contracts.algorithm import FitTask
fits = Fits(lambda task, result: None)
fits.start(FitTask("ado", 1, {"samples": [[1.0]], "losses": [[1.0]], "weight": 1, "starts": 1}))
pool = fits._pool
pool.submit(int).result()  # it watches the parent before it does anything
print(*pool._processes, flush=True)
time.sleep(600)
"""


def test_a_process_that_is_killed_between_two_fits_is_replaced() -> None:
    done: list[int] = []
    fits = Fits(lambda task, result: done.append(task.step))
    task = FitTask("ado", 1, {"samples": [[1.0]], "losses": [[1.0]], "weight": 1, "starts": 1})
    fits.start(task)
    until(lambda: done == [1])
    pool = fits._pool
    assert pool is not None
    for process in list(pool._processes):
        os.kill(process, signal.SIGKILL)
    until(lambda: bool(pool._broken), "that the pool knows of it")
    fits.start(dataclasses.replace(task, step=2))
    until(lambda: done == [1, 2])
    fits.check()
    fits.close()


def test_a_fit_ends_with_the_process_that_it_is_for() -> None:
    with subprocess.Popen([sys.executable, "-c", KILLED], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            with patience_with(process):
                fitting = int(process.stdout.readline())
            assert not gone(fitting)
        finally:
            process.kill()
    until(lambda: gone(fitting))


def test_whoever_opens_the_job_next_does_an_open_fit(tmp_path: Path) -> None:
    plan = following_plan(tmp_path, ADO)
    job = LocalJob(str(tmp_path / "job"), plan)
    for step in range(DUE + 1):
        job.report(curve(step))
    job.close()
    again = LocalJob(str(tmp_path / "job"))
    again.resume_fit()
    until(lambda: again.status()["fit"] is None)
    assert result_of(again) == DUE
    again.close()


def test_a_fit_that_is_done_as_its_job_is_closed_does_not_open_it_again(job: LocalJob) -> None:
    for step in range(DUE + 1):
        job.report(curve(step))
    until(lambda: job.status()["fit"] is None)
    task = FitTask("ado", DUE, {})
    job.close()
    job._finish(task, fitted(FitTask("ado", DUE, {"samples": [[1.0]], "losses": [[1.0]], "weight": 1, "starts": 1})))
    LocalJob(job.address, alone=True).close()  # nobody has it


def test_a_fit_that_fails_is_said(job: LocalJob, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job._fits, "_error", ValueError("no such thing"))
    with pytest.raises(JobError, match="the weights cannot follow the training: a fit failed: no such thing"):
        job.report(curve(0))
    assert job.report(curve(0)).counted
