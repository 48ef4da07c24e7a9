"""Samples that cannot be read, in jobs of a service: read here, or through it."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from mixtera.errors import JobError, SampleError
from mixtera.jobs import Job
from mixtera.plan import Plan
from tests.jobs.skipping import break_lines, jsonl_plan, mend_lines
from tests.service.running import Rows, Service, rows_of

BROKEN = [3, 4, 40, 200]


def everything(job: Job, batch_size: int, ranks: int = 1) -> Rows:
    streams = [job.stream(batch_size, rank, ranks, start=0) for rank in range(ranks)]
    found = [row for steps in zip(*streams, strict=True) for batch in steps for row in rows_of(batch)]
    for stream in streams:
        stream.close()
    return found


def test_they_are_the_same_whoever_reads_and_however(service: Service, tmp_path: Path) -> None:
    plan = jsonl_plan(tmp_path)
    break_lines(plan, BROKEN)
    with Job.local(plan, tmp_path / "local", on_unreadable="skip") as job:
        expected = everything(job, 4)
        noted = job.status()["skipped"]
    for reading in ("direct", "tunnel"):
        service.create(reading, plan)
        with service.attach(reading, reading=reading) as job, pytest.raises(SampleError, match="malformed JSON"):
            everything(job, 4)
        with service.attach(reading, reading=reading, on_unreadable="skip") as job:
            assert everything(job, 2, ranks=2) == expected
            assert job.status()["skipped"] == noted
            assert f'mixtera_job_skipped_total{{job="{reading}"}} {noted:.1f}' in metrics(service)
    service.kill()
    mend_lines(plan, BROKEN)
    service.start()
    for reading in ("direct", "tunnel"):
        with service.attach(reading, reading=reading) as job, pickle.loads(pickle.dumps(job)) as copy:
            assert everything(job, 4) == everything(copy, 4) == expected


def metrics(service: Service) -> str:
    status, body = service.ask("GET", "/metrics")
    assert status == 200
    return str(body, "utf-8")


def test_what_cannot_come_instead_is_refused(service: Service, static_plan: Plan) -> None:
    service.create("run", static_plan)
    samples = static_plan.samples(0, 40).to_pylist()
    first = samples[0]
    other = next(each for each in samples if each["component"] != first["component"])
    same = next(each for each in samples[1:] if each["component"] == first["component"])

    def skip(position: int, sample: int, instead: int, most: int = 5) -> tuple[int, str]:
        skip = {"position": position, "sample": sample, "instead": instead, "place": "data/0#0", "reason": "broken"}
        status, body = service.ask("POST", "/v1/jobs/run/skip", {"skips": [skip], "most": most})
        return status, str(body)

    for instead in (other["sample"], 17, (1 << 63) - 1):
        status, said = skip(0, first["sample"], instead)
        assert (status, "cannot come in place of" in said) == (409, True), said
    assert skip(1 << 50, first["sample"], same["sample"])[0] == 409
    assert skip(0, first["sample"], 1 << 63)[0] == 400
    status, said = skip(0, first["sample"], same["sample"], most=0)
    assert (status, "at most 0 may be skipped" in said) == (500, True), said
    assert skip(0, first["sample"], same["sample"])[0] == 200
    status, said = skip(0, first["sample"], samples[0]["sample"])
    assert (status, str(same["sample"]) in said) == (200, True), "what was noted first stays"
    with service.attach("run") as job:
        assert job.decided().samples(0, 1)["sample"].to_pylist() == [same["sample"]]
        assert job.decided().locate(same["sample"])[0] == 0
    with pytest.raises(JobError, match="on_unreadable is 'ignore'"):
        service.attach("run", on_unreadable="ignore")
