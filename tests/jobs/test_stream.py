"""Streams of a job: the same samples for any ranks, after any stop, and new weights from the round that was named."""

from __future__ import annotations

import dataclasses
import itertools
import json
import pickle
import threading
from pathlib import Path

import numpy as np
import pytest

from mixtera.errors import JobError, PlanError, StateError
from mixtera.jobs import Job
from mixtera.jobs.guide import JobGuide
from mixtera.plan import Plan
from mixtera.testing.job import JobLaws
from tests.forks import answer_of_a_child
from tests.jobs.following import NAMES, ROUND, decided, following_plan, push, steering, taken
from tests.stream.written import text_of
from tests.waiting import PATIENCE_SECONDS


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    return following_plan(tmp_path_factory.mktemp("following"))


class TestLocalJob(JobLaws):
    @pytest.fixture(autouse=True)
    def where(self, tmp_path: Path) -> None:
        self.directory = tmp_path

    def open(self, plan: Plan, name: str) -> Job:
        return Job.local(plan, str(self.directory / name))


def weights_of(number: int) -> dict[str, float]:
    random = np.random.default_rng(number)
    return dict(zip(NAMES, random.uniform(0.05, 1, len(NAMES)).tolist(), strict=True))


def trained(job: Job, ranks: int, batch: int, steps: int, first: int = 0) -> list[tuple[str, str, int]]:
    """Some steps of all ranks, with new weights after each."""
    streams = [job.stream(batch, rank, ranks) for rank in range(ranks)]
    found = []
    for step in range(first, first + steps):
        found += taken(streams, 1)
        push(job, step, weights_of(step), streams[0].position)
    job.flush()
    for stream in streams:
        stream.close()
    return found


@pytest.mark.parametrize(("ranks", "batch"), [(1, 8), (2, 4), (3, 5), (4, 32)])
def test_the_stream_is_what_the_job_has_decided(plan: Plan, tmp_path: Path, ranks: int, batch: int) -> None:
    with Job.local(plan, str(tmp_path / "job")) as job:
        found = trained(job, ranks, batch, 25)
        assert [(component, sample) for _, component, sample in found] == decided(job, 0, len(found))
        assert job.status()["changes"] > 5
    rows = np.array([sample for *_, sample in found]) & (1 << 31) - 1
    assert all(text.endswith(f"row {row} ") for (text, *_), row in zip(found, rows.tolist(), strict=True))
    assert text_of(0, 0).endswith("row 0 ")


def test_an_older_checkpoint_gives_the_same_samples_again(plan: Plan, tmp_path: Path) -> None:
    with Job.local(plan, str(tmp_path / "job")) as job:
        streams = [job.stream(8, rank, 2) for rank in range(2)]
        first = taken(streams, 10)
        state = job.checkpoint()
        second = []
        for step in range(10, 30):
            second += taken(streams, 1)
            push(job, step, weights_of(step))
    with Job.resume(state, str(tmp_path / "job")) as job:
        records = job.status()["records"]
        stream = job.stream(4)
        again = []
        for step in itertools.count(10):
            again += taken([stream], 4)
            push(job, step, {"c0": 1.0})  # says the same steps again, with other numbers: they do not count
            if len(again) >= len(second):
                break
        assert again == second
        assert job.status()["records"] == records + 1  # who reads
    assert first


def test_feedback_counts_two_rounds_after_its_step_however_fast_the_ranks_are(plan: Plan, tmp_path: Path) -> None:
    since = []
    for number, ahead in enumerate((0, 1, 3)):
        with Job.local(plan, str(tmp_path / f"job {number}")) as job:
            slow, fast = job.stream(4, 0, 2), job.stream(4, 1, 2)
            taken([slow], 3)
            taken([fast], 3 + ahead)
            push(job, 2, {"c1": 1.0}, position=24)
            since.append(job.status()["since"])
    assert since == [2 * ROUND] * 3


def test_all_ranks_end_after_the_same_step(tmp_path: Path) -> None:
    plan = following_plan(tmp_path, epochs=(1.0, 1.0, 1.0))
    with Job.local(plan, str(tmp_path / "job")) as job:
        streams = [job.stream(7, rank, 3) for rank in range(3)]
        found = taken(streams, 2)
        push(job, 0, {"c2": 9.0, "c0": 1.0})
        found += taken(streams, 10_000)
        status = job.status()
        assert status["end"] - 21 < len(found) <= status["end"]
        assert len({sample for *_, sample in found}) == len(found)
        for stream in streams:
            assert next(stream, None) is None
        assert [(component, sample) for _, component, sample in found] == decided(job, 0, len(found))


def test_the_budget_ends_it(tmp_path: Path) -> None:
    plan = following_plan(tmp_path, steering(limit=500))

    with Job.local(plan, str(tmp_path / "job")) as job:
        stream = job.stream(8)
        found = taken([stream], 5)
        push(job, 0, {"c0": 1.0})
        found += taken([stream], 10_000)
        assert len(found) == 496


def test_a_plan_that_follows_needs_its_job(plan: Plan) -> None:
    for call in (lambda: plan.stream(4), lambda: plan.samples(0, 4), lambda: plan.locate(0, stop=4)):
        with pytest.raises(PlanError, match=r"follow the training \(external\).*mixtera\.Job\.local"):
            call()


def test_streams_have_no_length_and_small_states(plan: Plan, tmp_path: Path) -> None:
    with Job.local(plan, str(tmp_path / "job")) as job:
        stream = job.stream(4)
        with pytest.raises(TypeError, match="it depends on the training"):
            len(stream)
        taken([stream], 3)
        state = stream.state_dict()
        other = job.stream(6)
        other.load_state_dict(state)
        assert taken([other], 1) == taken([job.stream(6, start=12)], 1)
        with pytest.raises(StateError, match="another plan"):
            other.load_state_dict(state | {"plan": "sha256:0"})


def test_a_stream_may_go_back(plan: Plan, tmp_path: Path) -> None:
    """Its guide has forgotten the phases before, and asks for them again."""
    with Job.local(plan, str(tmp_path / "job")) as job:
        found = trained(job, 1, 8, 80)
        stream = job.stream(8)
        assert taken([stream], 80) == found
        for position in (64, 300, 0):
            stream.load_state_dict(job.state_at(position))
            assert taken([stream], 40) == found[position : position + 320]


def test_a_forked_child_asks_for_promises_itself(plan: Plan, tmp_path: Path) -> None:
    """Its parent's thread, which has been asked, is not there, and nobody is who could let go of a lock."""
    begun, asked, held, leave = (threading.Event() for _ in range(4))
    with Job.local(plan, str(tmp_path / "job")) as job:
        stream = job.stream(8)
        taken([stream], 3)
        guide = stream._guide
        assert isinstance(guide, JobGuide)

        def answer() -> None:
            begun.set()
            asked.wait(PATIENCE_SECONDS)
            with guide._guard:  # as for every answer
                held.set()
                leave.wait(PATIENCE_SECONDS)

        job._channel.send(answer)
        assert begun.wait(PATIENCE_SECONDS)
        guide.ask(0, 4)
        asked.set()
        assert held.wait(PATIENCE_SECONDS)
        try:
            found = answer_of_a_child(lambda: json.dumps(taken([stream], 40)).encode())
        finally:
            leave.set()
        assert [tuple(row) for row in json.loads(found)] == taken([stream], 40)


def test_a_job_that_is_closed_twice_is_closed(plan: Plan, tmp_path: Path) -> None:
    with Job.local(plan, str(tmp_path / "job")) as job:
        job.close()
    with Job.local(plan, str(tmp_path / "job")) as again:  # nothing of another was closed with it
        assert again.status()["step"] == -1


def test_a_copy_of_a_job_opens_it_again(plan: Plan, tmp_path: Path) -> None:
    with Job.local(plan, str(tmp_path / "job")) as job:
        push(job, 0, {"c0": 1.0})
        job.flush()
        with pickle.loads(pickle.dumps(job)) as copy:
            assert copy.status() == job.status()
            assert taken([copy.stream(8)], 20) == taken([job.stream(8)], 20)


def test_a_static_plan_is_never_asked_about(tmp_path: Path) -> None:
    following = following_plan(tmp_path)
    data = dataclasses.replace(following.data, steering=None)
    static = Plan(data, following.path, "sha256:static")
    with Job.local(static, str(tmp_path / "job")) as job:
        found = taken([job.stream(8)], 5)
        assert [(component, sample) for _, component, sample in found] == decided(job, 0, 40)
        job.feedback(0, {"c0": 1.0}, {"c0": 1})
        job.feedback(0, {"c0": 1.0}, {"c0": 1})
        assert job.status()["promised"] == 0
        assert job.checkpoint(40)["position"] == 40


def test_wrong_arguments_of_feedback(plan: Plan, tmp_path: Path) -> None:
    with Job.local(plan, str(tmp_path / "job")) as job:
        with pytest.raises(JobError, match="loss_sum has 'code', and the components are c0, c1, c2"):
            job.feedback(0, {"code": 1.0}, {"c0": 1})
        with pytest.raises(JobError, match="loss_count has 2 numbers, and there are 3 components"):
            job.feedback(0, [1, 2, 3], [1, 2])
        with pytest.raises(JobError, match="the step is -1"):
            job.feedback(-1, [1, 2, 3], [1, 2, 3])
        with pytest.raises(JobError, match="could not convert"):
            job.feedback(1, ["many", 2, 3], [1, 2, 3])  # type: ignore[list-item]
        with pytest.raises(StateError, match=r"position 5,?000.*promised positions from 0 to 0"):
            job.checkpoint(5000)
        with pytest.raises(JobError, match="reads no stream of the job; give the position"):
            job.checkpoint()
