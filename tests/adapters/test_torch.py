"""PyTorch: the plan's order whatever the workers, states that count what was consumed, nothing left behind."""

from __future__ import annotations

import gc
import json
import multiprocessing
import os
import pickle
import re
import signal
import subprocess
import sys
import textwrap
from itertools import islice
from pathlib import Path

import psutil
import pytest
import torch
from torch.utils.data import DataLoader
from torchdata.stateful_dataloader import StatefulDataLoader

from mixtera.adapters.handle import handle_of
from mixtera.adapters.torch import MixteraDataset, PlanLoader, loader
from mixtera.adapters.torch.messages import MessageDataset
from mixtera.errors import PlanError, StateError, StorageError
from mixtera.plan import Plan
from mixtera.testing.stream import assert_continues
from tests.waiting import gone, patience_with, until

# More workers than processors is what these tests are about; PyTorch advises against it.
pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")


def samples(batches) -> list[int]:
    return [sample for batch in batches for sample in batch["sample"].tolist()]


def ids(batch) -> list[int]:
    return batch["sample"].tolist()


@pytest.mark.parametrize("workers", [0, 1, 2, 3])
def test_the_loader_keeps_the_order(plan: Plan, order: list[int], workers: int) -> None:
    got = samples(loader(plan, batch_size=8, num_workers=workers))
    assert got == order[: len(order) // 8 * 8]


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_workers_may_be_started_in_any_way(plan_path: Path, order: list[int], method: str) -> None:
    batches = loader(plan_path, batch_size=16, num_workers=1, multiprocessing_context=method)
    assert samples(batches) == order[: len(order) // 16 * 16]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_batch_is_a_dict_of_lists_and_tensors(plan: Plan, workers: int) -> None:
    batch = next(iter(loader(plan, batch_size=8, num_workers=workers)))
    assert list(batch) == ["text", "component", "sample", "component_id"]
    assert [type(text) for text in batch["text"]] == [str] * 8
    assert batch["sample"].dtype == torch.int64
    assert batch["component_id"].dtype == torch.int64
    names = [component.name for component in plan.data.components]
    assert batch["component"] == [names[i] for i in batch["component_id"].tolist()]
    rows = [sample & (2**31 - 1) for sample in batch["sample"].tolist()]
    assert [text.split()[3] for text in batch["text"]] == [str(row) for row in rows]


def test_ranks_share_the_order(plan: Plan, order: list[int]) -> None:
    ranks = [loader(plan, batch_size=6, rank=rank, world_size=3, num_workers=rank) for rank in range(3)]
    got = [sample for batches in zip(*ranks, strict=True) for batch in batches for sample in ids(batch)]
    assert got == order[: len(order) // 18 * 18]


@pytest.mark.parametrize(("before", "after"), [(0, 0), (0, 2), (2, 3), (3, 0)])
def test_the_state_counts_what_the_trainer_took(plan: Plan, before: int, after: int) -> None:
    assert_continues(
        lambda: loader(plan, batch_size=8, num_workers=before),
        ids,
        [0, 1, 9],
        resumed=lambda: loader(plan, batch_size=5, num_workers=after),
        limit=12,
    )


def test_a_second_iteration_begins_again_and_a_loaded_state_counts_once(plan: Plan, order: list[int]) -> None:
    batches = loader(plan, batch_size=8)
    assert len(batches) == len(order) // 8
    batches.load_state_dict(batches.state_dict() | {"position": 80})
    assert len(batches) == (len(order) - 80) // 8
    assert samples(islice(batches, 2)) == order[80:96]
    assert batches.state_dict()["position"] == 96
    assert samples(islice(batches, 2)) == order[:16]


def test_the_global_random_state_is_left_alone(plan: Plan) -> None:
    before = torch.random.get_rng_state()
    list(islice(loader(plan, batch_size=8, num_workers=1), 2))
    assert torch.equal(before, torch.random.get_rng_state())


def test_a_state_of_another_plan_is_refused(plan: Plan) -> None:
    batches = loader(plan, batch_size=8)
    with pytest.raises(StateError, match="plan digest"):
        batches.load_state_dict(batches.state_dict() | {"plan": "sha256:0"})


def test_rank_and_world_size_come_together(plan: Plan) -> None:
    with pytest.raises(PlanError, match="give both, or neither"):
        loader(plan, batch_size=8, rank=1)
    with pytest.raises(PlanError, match="rank is 5, but world_size is 2"):
        MixteraDataset(plan, batch_size=8, rank=5, world_size=2)


def test_ranks_of_torchrun_and_of_the_process_group_are_found(plan: Plan, order, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert samples(islice(loader(plan, batch_size=4), 1)) == order[4:8]
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/group", rank=0, world_size=1)
    try:
        assert samples(islice(loader(plan, batch_size=4), 2)) == order[:8]
    finally:
        torch.distributed.destroy_process_group()


@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_of_a_worker_reaches_the_trainer_as_it_is(tmp_path: Path, workers: int) -> None:
    from mixtera.artifact import digest, layout
    from tests.stream.written import written_plan

    data = written_plan(tmp_path / "data")
    layout.write(str(tmp_path / "plan"), data, digest.digest(data))
    (tmp_path / "data" / "part-1.jsonl").unlink()
    with pytest.raises(StorageError, match=r"source 'data': cannot read .*part-1.jsonl") as raised:
        list(loader(tmp_path / "plan", batch_size=8, num_workers=workers))
    assert "Traceback" not in str(raised.value)


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_the_dataset_keeps_the_order_in_a_plain_dataloader(plan: Plan, order: list[int], workers: int) -> None:
    batches = DataLoader(MixteraDataset(plan, batch_size=8), batch_size=None, num_workers=workers)
    assert len(batches) == len(order) // 8
    assert samples(batches) == order[: len(order) // 8 * 8]


@pytest.mark.filterwarnings("ignore:.set_vital. is deprecated:UserWarning")
@pytest.mark.parametrize("workers", [0, 1, 2])
def test_torchdata_resumes_the_dataset(plan: Plan, order: list[int], workers: int) -> None:
    def make() -> StatefulDataLoader:
        return StatefulDataLoader(MixteraDataset(plan, batch_size=8), batch_size=None, num_workers=workers)

    first = make()
    iterator = iter(first)
    taken = samples(islice(iterator, 7))
    state = json.loads(json.dumps(first.state_dict(), default=str)) if workers == 0 else first.state_dict()
    second = make()
    second.load_state_dict(state)
    rest = samples(second)
    assert taken + rest == order[: len(order) // 8 * 8]


def test_the_dataset_is_small_when_pickled(plan: Plan, order: list[int]) -> None:
    written = pickle.dumps(MixteraDataset(plan, batch_size=8))
    assert len(written) < 1000
    assert samples(islice(pickle.loads(written), 2)) == order[:16]


def test_an_abandoned_loader_leaves_no_process(plan: Plan) -> None:
    before = {child.pid for child in multiprocessing.active_children()}
    batches = iter(loader(plan, batch_size=8, num_workers=2))
    next(batches)
    assert len({child.pid for child in multiprocessing.active_children()} - before) == 2
    del batches
    gc.collect()
    assert {child.pid for child in multiprocessing.active_children()} <= before


KILLED = """
import multiprocessing, os, sys
from mixtera.adapters.torch import loader
multiprocessing.current_process()._config["semprefix"] = f"/killed-{os.getpid()}"
batches = iter(loader(sys.argv[1], batch_size=8, num_workers=2))
next(batches)
print("ready", flush=True)
next(batches)
import time
time.sleep(600)
"""


def shared_names(*processes: int) -> list[str]:
    """What lies in shared memory with one of the processes in its name, as that of torch's tensors has it.

    Other tests, and other programs of the machine, share memory, too.
    """
    ours = re.compile(rf"(torch|killed)[_-]({'|'.join(map(str, processes))})[_-]")  # elsewhere a number is by chance
    return [path.name for path in Path("/dev/shm").iterdir() if ours.search(path.name)]


def test_a_killed_trainer_leaves_nothing_shared(plan_path: Path) -> None:
    command = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(KILLED), str(plan_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        with patience_with(process):
            assert process.stdout.readline() == b"ready\n"
        try:
            children = [child.pid for child in psutil.Process(process.pid).children()]
        finally:
            process.send_signal(signal.SIGKILL)
    assert len(children) >= 2
    until(lambda: all(gone(child) for child in children), "the end of the workers")
    assert shared_names(process.pid, *children) == []


class Counting(MessageDataset):
    """Says how many objects a worker's garbage collector leaves alone."""

    def __iter__(self):
        Path(os.environ["FROZEN"]).write_text(str(gc.get_freeze_count()))
        yield from super().__iter__()


@pytest.mark.parametrize("before", [False, True])
def test_the_collector_of_a_worker_leaves_alone_what_was_there_before_it(
    plan: Plan, order: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: bool
) -> None:
    monkeypatch.setenv("FROZEN", str(tmp_path / "frozen"))
    batches = PlanLoader(Counting(handle_of(plan), 5, 0, 1, None, None), 1, multiprocessing_context="fork")
    if before:
        gc.freeze()
    try:
        assert samples(batches) == order[: len(order) // 5 * 5]
        assert bool(gc.get_freeze_count()) == before, "the trainer's own is as it was"
    finally:
        gc.unfreeze()
    assert int((tmp_path / "frozen").read_text()) > 1000


READING = """
import sys
from mixtera.adapters.handle import handle_of

handle = handle_of(sys.argv[1])
handle.load_readers()
known = set(sys.modules)
with handle.stream(5, 0, 1, None) as stream:
    next(stream)
print(sorted({name.partition(".")[0] for name in set(sys.modules) - known if "encodings" not in name}))
"""


def test_workers_import_nothing_that_they_could_share(plan_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", READING, str(plan_path)], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_a_killed_worker_is_reported_and_leaves_nothing_shared(plan: Plan) -> None:
    before = {child.pid for child in multiprocessing.active_children()}
    batches = iter(loader(plan, batch_size=1, num_workers=1))
    next(batches)
    (worker,) = (child for child in multiprocessing.active_children() if child.pid not in before)
    os.kill(worker.pid, signal.SIGKILL)
    with pytest.raises(RuntimeError, match=r"DataLoader worker .*(killed|exited)"):
        list(batches)
    assert shared_names(worker.pid, os.getpid()) == []
