"""A job of a service is the job that it would be in a directory."""

from __future__ import annotations

import multiprocessing
import pickle
import random
import shutil
import threading
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mixtera.artifact.paging import ORIGIN
from mixtera.errors import JobError, ServiceError, StateError
from mixtera.jobs import Job, messages, model
from mixtera.plan import Plan
from mixtera.service.directory import create
from mixtera.service.tokens import entry
from tests.forks import answer_of_a_child
from tests.paged import another, far
from tests.service.running import PATIENCE_SECONDS, ROUND, TOKENS, Service, rows_of, trained, uninterrupted
from tests.waiting import until


def test_the_samples_are_those_of_a_job_in_a_directory(service: Service, plan: Plan, tmp_path: Path) -> None:
    service.create("run", plan)
    with service.attach("run") as job:
        streams = [job.stream(8, rank, 2) for rank in range(2)]
        found = trained(job, streams, 60)
        assert job.status()["changes"] > 20
        for stream in streams:
            stream.close()
    assert found == uninterrupted(plan, tmp_path / "local", 2, 8, 60)


def test_the_job_goes_on_where_a_checkpoint_was_taken(service: Service, plan: Plan) -> None:
    service.create("run", plan)
    with service.attach("run") as job, job.stream(8) as stream:
        trained(job, [stream], 20)
        state = job.checkpoint()
        expected = [rows_of(next(stream)) for _ in range(10)]
    assert len(msgspec.json.encode(state)) < 500
    service.end()
    service.start()
    with Job.resume(state, patience=60.0) as job, job.stream(8) as stream:
        assert [rows_of(next(stream)) for _ in range(10)] == expected
        assert job.status()["checkpoint"] == 160


def test_the_address_of_a_state_may_be_another_one_now(service: Service, plan: Plan) -> None:
    service.create("run", plan)
    with service.attach("run") as job, job.stream(8) as stream:
        trained(job, [stream], 3)
        state = job.checkpoint()
    moved = {**state, "job": {"address": "https://gone.example:1/jobs/run"}}
    with Job.resume(moved, service.at("run")) as job:
        assert job.start == 24


def test_a_checkpoint_where_nobody_can_be_is_refused(service: Service, plan: Plan) -> None:
    service.create("run", plan)
    with service.attach("run") as job, pytest.raises(StateError, match="promised positions from 0 to 0"):
        job.checkpoint(ROUND * 5)


def test_feedback_that_is_said_twice_counts_once(service: Service, plan: Plan) -> None:
    service.create("run", plan)
    ones = (1.0, 1.0, 1.0)
    with service.attach("run") as job:
        report = model.Report(4, ones, ones, scalars={"weights": (5.0, 2.0, 1.0)})
        first, second = job._port.report(report), job._port.report(report)
        assert first == model.Receipt(4, True, (0.625, 0.25, 0.125), 0)
        assert second == model.Receipt(4, False)


def test_a_loss_that_is_no_number_does_not_come(service: Service, plan: Plan) -> None:
    service.create("run", plan)
    with service.attach("run") as job:
        ones = dict.fromkeys(job.components, 1.0)
        job.feedback(0, {"c0": float("nan"), "c1": float("inf"), "c2": 1.0}, ones, scalars={"weights": ones})
        assert job.status()["step"] == 0


def test_what_is_refused_is_raised_by_a_later_call(service: Service, plan: Plan) -> None:
    service.create("run", plan)
    with service.attach("run") as job:
        job._channel.report(lambda: job._port.report(model.Report(0, (1.0,), (1.0,))))
        with pytest.raises(ServiceError, match="loss_sum has 1 numbers, and the plan has 3 components"):
            job.flush()


def test_a_copy_of_a_job_reads_on_in_another_process(service: Service, plan: Plan) -> None:
    service.create("run", plan)
    with service.attach("run") as job:
        port = job._port
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            assert pool.submit(_promised_elsewhere, port).result(PATIENCE_SECONDS) == port.promise(0, 3)
        assert port.plan.digest == pickle.loads(pickle.dumps(port)).plan.digest


def _promised_elsewhere(port: Any) -> model.Promise:
    return port.promise(0, 3)


def test_a_forked_child_has_a_connection_of_its_own(service: Service, plan: Plan) -> None:
    service.create("run", plan)
    with service.attach("run") as job:
        expected = job._port.promise(0, 2)
        answer = answer_of_a_child(lambda: msgspec.json.encode(job._port.promise(0, 2)))
        assert msgspec.json.decode(answer, type=model.Promise) == expected
        assert job._port.promise(0, 2) == expected


def test_a_client_that_cannot_see_the_plan_gets_a_copy(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIXTERA_CACHE", str(tmp_path / "cache"))
    cache = {"MIXTERA_CACHE": str(tmp_path / "of-the-server")}
    far(plan, f"local://{tmp_path}/far", monkeypatch, tmp_path / "cache")  # a storage, for all that the client knows
    with Service(tmp_path / "service", environment=cache | {"MIXTERA_PAGED_BYTES": "0"}).start() as service:
        create(service.jobs, "run", f"local://{tmp_path}/far")
        shutil.rmtree(tmp_path / "cache")
        for _ in range(2):
            with service.attach("run") as job, job.stream(8) as stream:
                assert job.plan.path.parent == tmp_path / "cache" / "plans"
                assert job.plan.digest == plan.digest
                assert len(rows_of(next(stream))) == 8
        asked = [line for line in service.entries() if line["action"] == "plan_file"]
        (here,) = [path for path in (tmp_path / "of-the-server" / "plans").iterdir() if path.is_dir()]
        assert (here / ORIGIN).exists()  # what the server lacked of it, it has fetched for the client
        names = {path.name for path in job.plan.path.iterdir()}
        assert len(asked) == len(names)
        assert names == {path.name for path in here.iterdir()} - {ORIGIN}
        assert (job.plan.path / "rows.u16").read_bytes() == (plan.path / "rows.u16").read_bytes()


def test_a_plan_that_is_gone_is_told(plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIXTERA_CACHE", str(tmp_path / "cache"))
    with Service(tmp_path / "service").start() as service:
        hidden = tmp_path / "hidden"
        another(plan).save(str(hidden))
        service.create("run", Plan.open(str(hidden)))
        with service.attach("run"):  # the server has it open by now
            pass
        hidden.rename(tmp_path / "elsewhere")
        with pytest.raises(ServiceError, match=r"plan\.json cannot be read: No such file"):
            service.attach("run", patience=0.5)
        assert service.stderr() == ""


def test_the_token_comes_from_a_file_or_the_environment(
    guarded: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "token"
    file.write_text(TOKENS["train"] + "\n")
    with guarded.attach("run-1", token_file=str(file)) as job:
        assert job.status()["name"] == "synthetic"
    monkeypatch.setenv("MIXTERA_TOKEN", TOKENS["read"])
    with guarded.attach("run-1") as job:
        assert job.status()["name"] == "synthetic"


def test_the_token_is_in_no_text_and_no_state(guarded: Service) -> None:
    with guarded.attach("run-1", TOKENS["train"]) as job:
        texts = [repr(job), str(job.address), repr(job._port), repr(job._port.connection.access), str(job.state_at(0))]
        assert not any(TOKENS["train"] in text for text in texts)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("ftp://127.0.0.1/jobs/run", "the URL of a job is http"),
        ("http://127.0.0.1:1/run", "the URL of a job is http"),
        ("http://user:secret@127.0.0.1:1/jobs/run", "without a password"),
        ("http://127.0.0.1:1/jobs/../../etc", "the URL of a job is http"),
    ],
)
def test_what_is_no_url_of_a_job_is_refused(url: str, message: str) -> None:
    with pytest.raises(ServiceError, match=message) as caught:
        Job.attach(url)
    assert "secret" not in str(caught.value)


def test_a_service_that_is_not_there_is_given_up_after_a_while() -> None:
    with pytest.raises(ServiceError, match=r"cannot be reached: .*refused.*start it again, or give more patience"):
        Job.attach("http://127.0.0.1:1/jobs/run", patience=0.3)


def test_a_training_draws_the_same_numbers_whether_its_service_is_there_or_not() -> None:
    state = random.getstate()
    with pytest.raises(ServiceError, match="cannot be reached"):
        Job.attach("http://127.0.0.1:1/jobs/run", patience=0.3)
    is_same = random.getstate() == state  # of hundreds of numbers
    assert is_same


def test_who_closes_a_job_leaves_nobody_who_tries_to_reach_its_service(
    service: Service, static_plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.create("run", static_plan)
    attempts = threading.Semaphore(0)
    with service.attach("run", reading="tunnel", patience=1e6) as job:
        before, attempt = set(threading.enumerate()), job._port.connection.open  # type: ignore[attr-defined]

        def noted(*words: Any) -> Any:
            attempts.release()
            return attempt(*words)

        monkeypatch.setattr(job._port.connection, "open", noted)  # type: ignore[attr-defined]
        service.kill()
        with job.stream(8) as stream:
            stream._open()  # its thread asks at once
            for _ in range(4):  # as does the one that says who reads
                assert attempts.acquire(timeout=PATIENCE_SECONDS)
            trying = {each for each in threading.enumerate() if each not in before}
            assert {each.name for each in trying} >= {"mixtera-tunnel", "mixtera-join"}
    until(lambda: not any(each.is_alive() for each in trying), "the end of those who try")
    service.start()


def test_a_job_that_is_not_there(service: Service) -> None:
    with pytest.raises(ServiceError, match="there is no such job here, or this token may not see it"):
        service.attach("nothing")


def test_a_message_has_what_a_report_has() -> None:
    fields = [field.name for field in msgspec.inspect.type_info(model.Report).fields]  # type: ignore[attr-defined]
    assert list(messages.FeedbackRequest.__struct_fields__) == fields


def test_the_entry_of_a_token_does_not_hold_it() -> None:
    assert "secret" not in entry('a "name"', "secret", "read", ["*"])


def test_a_local_job_and_a_service_do_not_share_a_directory(service: Service, plan: Plan) -> None:
    service.create("run", plan)
    service.attach("run").close()
    with pytest.raises(JobError, match=r"in use by the service http://127.0.0.1:\d+ \(process \d+ on .*attach"):
        Job.local(plan, str(service.jobs / "run"))
