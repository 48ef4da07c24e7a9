"""Samples that cannot be read: an error, or, where a job may skip them, others of their components, for good."""

from __future__ import annotations

import logging
import pickle
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from mixtera.errors import JobError, PlanError, SampleError, StorageError
from mixtera.jobs import Job
from mixtera.plan import Plan
from mixtera.stream import Stream
from tests.jobs.following import following_plan, push
from tests.jobs.skipping import GROUP_ROWS, break_group, break_lines, jsonl_plan, mend_lines, parquet_plan, saved
from tests.stream.fitted import fitted_plan
from tests.stream.written import rows_of

BROKEN = [3, 4, 40, 200]
Rows = list[tuple[str, str, int]]


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return jsonl_plan(tmp_path)


def everything(stream: Stream) -> Rows:
    with stream:
        return [row for batch in stream for row in rows_of(batch)]


def planned(plan: Plan) -> list[tuple[str, int]]:
    table = plan.samples(plan.start, plan.start + len(plan))
    return list(zip(table["component"].to_pylist(), table["sample"].to_pylist(), strict=True))


def broken_ids(plan: Plan, rows: list[int]) -> set[int]:
    return {plan.sample_id("data", "part-0.jsonl", row) for row in rows}


def test_without_leave_to_skip_it_fails(plan: Plan, tmp_path: Path) -> None:
    break_lines(plan, BROKEN)
    with Job.local(plan, tmp_path / "job") as job:
        with pytest.raises(SampleError, match=r"part-0\.jsonl, line \d+: malformed JSON"):
            everything(job.stream(8))
        assert job.status()["skipped"] == 0


def test_others_of_the_component_come_instead(plan: Plan, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    before = planned(plan)
    break_lines(plan, BROKEN)
    bad = broken_ids(plan, BROKEN)
    with Job.local(plan, tmp_path / "job", on_unreadable="skip") as job, caplog.at_level(logging.WARNING):
        found = everything(job.stream(1))
        assert job.status()["skipped"] == sum(sample in bad for _, sample in before) == 6
        assert [component for _, component, _ in found] == [component for component, _ in before]
        for (text, _, sample), (_, asked) in zip(found, before, strict=True):
            assert sample not in bad
            assert sample == asked or asked in bad
            assert text.endswith(f"row {sample & (1 << 31) - 1} ")
        decided = job.decided()
        assert planned(decided) == [(component, sample) for _, component, sample in found]
        assert decided.digest == plan.digest
        instead = [sample for (_, _, sample), (_, asked) in zip(found, before, strict=True) if asked in bad]
        for sample in {*instead, *bad}:
            assert decided.locate(sample) == [at for at, (*_, each) in enumerate(found) if each == sample]
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 6
    assert all("part-0.jsonl#" in each and "malformed JSON" in each for each in said)


@pytest.mark.parametrize(("ranks", "batch", "stop"), [(1, 8, 0), (3, 4, 20), (2, 16, 7)])
def test_any_ranks_and_any_stop(plan: Plan, tmp_path: Path, ranks: int, batch: int, stop: int) -> None:
    """The samples do not depend on who reads them, and of what size what is fetched in one go is."""
    break_lines(plan, BROKEN)
    with Job.local(plan, tmp_path / "whole", on_unreadable="skip") as job:
        whole = everything(job.stream(1))
    found: Rows = []
    with Job.local(plan, tmp_path / "job", on_unreadable="skip") as job:
        streams = [job.stream(batch, rank, ranks) for rank in range(ranks)]
        for _ in range(stop):
            for stream in streams:
                found += rows_of(next(stream))
        state = job.checkpoint(len(found))
        for stream in streams:
            stream.close()
    with Job.resume(state, on_unreadable="skip") as job:
        found += everything(job.stream(1))
    assert found == whole


def test_a_run_again_is_the_same_although_the_file_was_mended(plan: Plan, tmp_path: Path) -> None:
    break_lines(plan, BROKEN)
    with Job.local(plan, tmp_path / "job", on_unreadable="skip") as job:
        first = everything(job.stream(4))
    mend_lines(plan, BROKEN)
    with Job.local(None, tmp_path / "job") as job:  # nothing more may be skipped, and what was stays so
        assert everything(job.stream(4)) == first
        copy: Job = pickle.loads(pickle.dumps(job))
        with copy:
            assert everything(copy.stream(16, start=0)) == first[: len(first) // 16 * 16]
    with Job.local(plan, tmp_path / "another") as job:
        assert any(text == "mended" for text, *_ in everything(job.stream(4)))


def test_the_snapshot_has_them(plan: Plan, tmp_path: Path) -> None:
    break_lines(plan, BROKEN)
    with Job.local(plan, tmp_path / "job", on_unreadable="skip") as job:
        first = everything(job.stream(4))
        for position in range(520):
            job.checkpoint(position)
    assert (tmp_path / "job" / "snapshot.json").exists()
    mend_lines(plan, BROKEN)
    with Job.local(None, tmp_path / "job") as job:
        assert everything(job.stream(4)) == first


def test_no_more_than_allowed(plan: Plan, tmp_path: Path) -> None:
    break_lines(plan, BROKEN)
    with Job.local(plan, tmp_path / "job", on_unreadable="skip", most_skipped=5) as job:
        with pytest.raises(SampleError, match=r"malformed JSON.*at most 5 may be skipped: .*`most_skipped`"):
            everything(job.stream(1))
        assert job.status()["skipped"] <= 5
    with Job.local(plan, tmp_path / "job", on_unreadable="skip", most_skipped=6) as job:
        assert len(everything(job.stream(1))) == len(plan)
        assert job.status()["skipped"] == 6


def test_a_component_without_anything_readable_fails(plan: Plan, tmp_path: Path) -> None:
    for file, rows in enumerate((401, 300, 257)):
        break_lines(plan, list(range(rows)), file)
    said = r"of 32 others of the component 'c\d' none could be read in its place"
    with Job.local(plan, tmp_path / "job", on_unreadable="skip", most_skipped=10_000) as job:
        stream = job.stream(8)
        with pytest.raises(SampleError, match=said):
            next(stream)


def test_a_file_that_is_gone_is_no_sample_that_is_skipped(plan: Plan, tmp_path: Path) -> None:
    Path(plan.data.files.column("url")[0].as_py()).unlink()
    with Job.local(plan, tmp_path / "job", on_unreadable="skip") as job:
        with pytest.raises(StorageError, match=r"cannot read .*part-0.jsonl"):
            everything(job.stream(8))
        assert job.status()["skipped"] == 0


def test_weights_that_follow_the_training(tmp_path: Path) -> None:
    plan = following_plan(tmp_path)
    break_lines(plan, BROKEN)

    def run(job: Job, ranks: int) -> Rows:
        streams, found = [job.stream(24 // ranks, rank, ranks) for rank in range(ranks)], Rows()
        for step in range(60):
            for stream in streams:
                found += rows_of(next(stream))
            push(job, step, {"c0": 1.0 + step % 5, "c1": 1.0, "c2": 1.0 + step % 3}, streams[0].position)
            job.flush()
        for stream in streams:
            stream.close()
        return found

    with Job.local(plan, tmp_path / "one", on_unreadable="skip") as job:
        one = run(job, 1)
        assert job.status()["skipped"] > 0
        table = job.decided().samples(0, len(one))
        assert table["sample"].to_pylist() == [sample for *_, sample in one]
    with Job.local(plan, tmp_path / "three", on_unreadable="skip") as job:
        assert run(job, 3) == one


def test_a_row_group_that_cannot_be_decoded(tmp_path: Path) -> None:
    plan = parquet_plan(tmp_path)
    before = planned(plan)
    first = break_group(plan, 2)
    lost = {plan.sample_id("data", "0.parquet", row) for row in range(first, first + GROUP_ROWS)}
    with Job.local(plan, tmp_path / "job") as job, pytest.raises(SampleError, match=r"0\.parquet"):
        everything(job.stream(1))
    with Job.local(plan, tmp_path / "job", on_unreadable="skip") as job:
        found = everything(job.stream(1))
        assert job.status()["skipped"] == sum(sample in lost for _, sample in before) > 0
    assert not lost & {sample for *_, sample in found}
    assert Counter(component for _, component, _ in found) == Counter(component for component, _ in before)
    rows = [sample & (1 << 31) - 1 for *_, sample in found]
    assert all(text.endswith(f"row {row} ") for (text, *_), row in zip(found, rows, strict=True))


def test_rows_of_tokens_are_refused(tmp_path: Path) -> None:
    plan = saved(fitted_plan(tmp_path / "files"), tmp_path)
    said = "on_unreadable='skip': plan .* delivers rows of tokens"
    with Job.local(plan, tmp_path / "job", on_unreadable="skip") as job, pytest.raises(PlanError, match=said):
        job.stream(2)
    with Job.local(plan, tmp_path / "job") as job, job.stream(2) as stream:
        next(stream)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"on_unreadable": "ignore"}, "on_unreadable is 'ignore'; it is fail or skip"),
        ({"on_unreadable": "skip", "most_skipped": 0}, "most_skipped is 0; it must be a whole number from 1"),
        ({"on_unreadable": "skip", "most_skipped": 2.5}, "most_skipped is 2.5; it must be a whole number from 1"),
    ],
)
def test_what_is_no_policy_is_refused(plan: Plan, tmp_path: Path, options: dict[str, Any], said: str) -> None:
    with pytest.raises(JobError, match=said):
        Job.local(plan, tmp_path / "job", **options)
    assert not (tmp_path / "job").exists()
