"""PyTorch loaders over a job: what it decides, whoever reads; the trainer's position; states that name the job."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
from torch.utils.data import DataLoader
from torchdata.stateful_dataloader import StatefulDataLoader

from mixtera.adapters.torch import MixteraDataset, loader
from mixtera.errors import PlanError, StateError
from mixtera.jobs import Job
from mixtera.plan import Plan
from tests.jobs.following import ROUND, decided, following_plan, push, steering
from tests.jobs.skipping import break_lines, jsonl_plan

STEPS, BATCH = 160, 4
STEP_OF_WEIGHTS = {10: {"c0": 1.0}, 40: {"c1": 1.0, "c2": 1.0}, 60: {"c2": 1.0}}


@pytest.fixture(scope="module")
def following(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    return following_plan(tmp_path_factory.mktemp("following"))


@pytest.fixture
def job(following: Plan, tmp_path: Path) -> Iterator[Job]:
    with Job.local(following, str(tmp_path / "job")) as job:
        yield job


def samples(batches) -> list[int]:
    return [sample for batch in batches for sample in batch["sample"].tolist()]


def trained(job: Job, batches, steps: int = STEPS, first: int = 0) -> list[int]:
    """The samples of some steps, with feedback after each, as a trainer gives it."""
    found = []
    for step, batch in enumerate(islice(batches, steps), first):
        found += batch["sample"].tolist()
        if step in STEP_OF_WEIGHTS:
            push(job, step, STEP_OF_WEIGHTS[step])
            job.flush()  # a step takes longer than this, where somebody trains
    return found


@pytest.mark.parametrize(("workers", "method"), [(0, None), (1, "fork"), (2, "fork"), (2, "forkserver"), (1, "spawn")])
def test_the_loader_gives_what_the_job_decides(job: Job, workers: int, method: str | None) -> None:
    batches = loader(job, BATCH, num_workers=workers, multiprocessing_context=method)
    found = trained(job, batches)
    assert found == [sample for _, sample in decided(job, 0, STEPS * BATCH)]
    assert job.status()["changes"] == len(STEP_OF_WEIGHTS)
    assert {name for name, _ in decided(job, 60 * BATCH + 4 * ROUND, STEPS * BATCH)} == {"c2"}


def test_what_is_decided_does_not_depend_on_workers_that_read_little_ahead(following: Plan, tmp_path: Path) -> None:
    found = {}
    for workers, prefetch in [(0, None), (1, 1), (1, 2)]:
        with Job.local(following, str(tmp_path / f"job-{workers}-{prefetch}")) as job:
            found[workers, prefetch] = trained(job, loader(job, 2, num_workers=workers, prefetch_factor=prefetch), 200)
    assert len({tuple(each) for each in found.values()}) == 1


@pytest.mark.parametrize(("workers", "prefetch"), [(0, None), (1, 2), (2, 4)])
def test_readers_are_never_further_than_the_job_was_told(job: Job, workers: int, prefetch: int | None) -> None:
    """Weights hold from two rounds behind what readers may have reached; were it promised then, time would decide."""
    ahead = []
    job.follow = lambda position, size, ahead_of: ahead.append(ahead_of)  # type: ignore[method-assign]
    for step, _ in enumerate(islice(loader(job, BATCH, num_workers=workers, prefetch_factor=prefetch), 60), 1):
        assert job.status()["promised"] <= ((step * BATCH + ahead[0]) // ROUND + 2) * ROUND
    assert ahead[0] <= ROUND


def test_feedback_and_checkpoints_know_the_position_of_the_trainer(job: Job) -> None:
    batches = loader(job, BATCH, num_workers=2)
    iterator = iter(batches)
    for _ in range(7):
        next(iterator)
    push(job, 7, {"c1": 1.0})
    state = job.checkpoint()
    assert state == batches.state_dict() == json.loads(json.dumps(state))
    assert state["position"] == 7 * BATCH
    assert state["job"] == {"address": job.address}
    assert job.status()["checkpoint"] == 7 * BATCH
    assert job.status()["since"] % ROUND == 0
    assert job.status()["since"] >= 2 * ROUND


def test_other_ranks_go_on_from_the_checkpoint_of_the_job(job: Job, following: Plan) -> None:
    batches = loader(job, BATCH, num_workers=1)
    trained(job, batches, 50)
    state = job.checkpoint()
    trained(job, loader(job, BATCH, start=state["position"]), 30, first=50)  # what comes after is decided, too
    job.close()
    with Job.resume(state) as again:
        ranks = [loader(again, 5, rank=rank, world_size=2) for rank in range(2)]
        pairs = islice(zip(*ranks, strict=True), 10)
        found = [sample for pair in pairs for sample in samples(pair)]
        assert found == [sample for _, sample in decided(again, 50 * BATCH, 50 * BATCH + 100)]
        again.flush()
        assert again.status()["topology"] == {"world_size": 2, "batch_size": 5, "start": 50 * BATCH}
        loaded = loader(again, 8)
        loaded.load_state_dict(state)
        assert samples(islice(loaded, 3)) == found[:24]
        with pytest.raises(StateError, match="another plan"):
            loaded.load_state_dict(state | {"plan": "sha256:0"})


def test_a_loader_goes_back_and_on(job: Job) -> None:
    batches = loader(job, BATCH)
    trained(job, batches)
    again = samples(islice(batches, STEPS))
    assert again == [sample for _, sample in decided(job, 0, STEPS * BATCH)]
    batches.load_state_dict(job.state_at(40))
    assert samples(islice(batches, 50)) == again[40 : 40 + 50 * BATCH]


def test_all_loaders_end_together_where_the_plan_does(tmp_path: Path) -> None:
    plan = following_plan(tmp_path, steering(), epochs=(1.0, 1.0, 1.0))
    with Job.local(plan, str(tmp_path / "job")) as job:
        ranks = [iter(loader(job, 7, rank=rank, world_size=3)) for rank in range(3)]
        steps = [[next(rank, None) is not None for rank in ranks] for _ in range(60)]
        assert all(len(set(step)) == 1 for step in steps)
        assert steps[0][0]
        assert not steps[-1][0]


def test_there_is_no_length_and_no_loader_without_the_job(job: Job, following: Plan) -> None:
    for made in (loader(job, 8), MixteraDataset(job, 8)):
        with pytest.raises(TypeError, match="it depends on the training"):
            len(made)
    with pytest.raises(PlanError, match=r"follow the training .*mixtera\.Job\.local"):
        loader(following, 8)
    with pytest.raises(PlanError, match="follow the training"):
        MixteraDataset(str(following.path), 8)


def test_a_job_of_a_plan_that_does_not_follow_has_the_plans_length(
    plan: Plan, order: list[int], tmp_path: Path
) -> None:
    with Job.local(plan, str(tmp_path / "job")) as job:
        batches = loader(job, 8, num_workers=2)
        assert len(batches) == len(order) // 8
        assert samples(batches) == order[: len(order) // 8 * 8]
        assert batches.state_dict()["job"] == {"address": job.address}


@pytest.mark.filterwarnings("ignore:.set_vital. is deprecated:UserWarning")
@pytest.mark.parametrize("workers", [0, 2])
def test_the_dataset_reads_the_job_and_torchdata_resumes_it(job: Job, workers: int) -> None:
    def make() -> StatefulDataLoader:
        return StatefulDataLoader(MixteraDataset(job, 8), batch_size=None, num_workers=workers)

    plain = samples(islice(DataLoader(MixteraDataset(job, 8), batch_size=None, num_workers=workers), 40))
    first = make()
    taken = samples(islice(iter(first), 7))
    second = make()
    second.load_state_dict(first.state_dict())
    assert taken + samples(islice(second, 33)) == plain
    assert plain == [sample for _, sample in decided(job, 0, 320)]


def test_a_dataset_that_reads_in_the_trainers_process_knows_the_position(job: Job) -> None:
    iterator = iter(MixteraDataset(job, 8))
    next(iterator)
    assert job.checkpoint() == iterator.state_dict()
    assert job.checkpoint()["position"] == 8


def test_a_dataset_is_small_when_pickled_and_opens_the_job_again(job: Job) -> None:
    written = pickle.dumps(MixteraDataset(job, 8))
    assert len(written) < 1000
    here = samples(islice(iter(MixteraDataset(job, 8)), 5))
    assert samples(islice(iter(pickle.loads(written)), 5)) == here


def test_workers_skip_what_cannot_be_read_and_note_it(tmp_path: Path) -> None:
    plan = jsonl_plan(tmp_path)
    break_lines(plan, [3, 40, 200])
    with Job.local(plan, tmp_path / "job", on_unreadable="skip") as job:
        found = samples(loader(job, BATCH, num_workers=2))
        assert job.status()["skipped"] > 0
        assert found == job.decided().samples(0, len(found))["sample"].to_pylist()
        assert len(found) == len(plan) // BATCH * BATCH
