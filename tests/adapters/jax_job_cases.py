"""JAX over a job: what it decides, the position that was taken, processes that hold the same rows."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from itertools import islice
from pathlib import Path

import jax
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from mixtera.adapters.jax import Coordinate, MixteraLoader, topology
from mixtera.adapters.jax.sharing import Group
from mixtera.errors import PlanError
from mixtera.jobs import Job
from mixtera.plan import Plan
from tests.jobs.following import ROUND, decided, following_plan, push
from tests.jobs.skipping import jsonl_plan
from tests.ports import free_ports


@pytest.fixture(scope="module")
def following(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    return following_plan(tmp_path_factory.mktemp("following"))


@pytest.mark.parametrize("prefetch", [0, 2])
def test_the_loader_gives_what_the_job_decides(following: Plan, tmp_path: Path, prefetch: int) -> None:
    with Job.local(following, str(tmp_path / "job")) as job:
        batches = iter(MixteraLoader(job, 2, prefetch=prefetch))
        found: list[int] = []
        for step, batch in enumerate(islice(batches, 200)):
            found += batch["sample"].tolist()
            if step % 40 == 20:
                push(job, step, {f"c{step // 40 % 3}": 1.0})
                state = job.checkpoint()
                assert state == batches.get_state()
                assert state["position"] == 2 * (step + 1)
                assert job.status()["since"] >= (state["position"] // ROUND + 2) * ROUND
        assert found == [sample for _, sample in decided(job, 0, 400)]
        assert job.status()["changes"] == 5
        batches.set_state(job.state_at(100))
        assert [id for batch in islice(batches, 100) for id in batch["sample"].tolist()] == found[100:300]
        assert job.status()["topology"]["start"] == 100
        with pytest.raises(TypeError, match="it depends on the training"):
            len(MixteraLoader(job, 2))
        batches.close()


def test_a_mesh_of_one_process_has_one_rank() -> None:
    mesh = Mesh(np.array(jax.devices()).reshape(-1, 1), ("data", "model"))
    assert topology(mesh) == Coordinate(0, 1)
    with pytest.raises(PlanError, match="'x', whose name does not tell"):
        topology(Mesh(np.array(jax.devices()), ("x",)))
    assert topology(Mesh(np.array(jax.devices()), ("x",)), ("x",)) == Coordinate(0, 1)


def test_alone_there_is_nobody_to_read_for(following: Plan, tmp_path: Path) -> None:
    plan = jsonl_plan(tmp_path)
    sharding = NamedSharding(Mesh(np.array(jax.devices()).reshape(-1, 1), ("data", "model")), PartitionSpec("data"))
    first, every = (iter(MixteraLoader(plan, 4, sharding=sharding, read=read)) for read in ("first", "every"))
    assert next(first)["sample"].tolist() == next(every)["sample"].tolist()
    first.close()
    every.close()
    for groups in (((0, 1),), ((0,), (1,)), ((),)):
        with pytest.raises(PlanError, match=r"read='first' needs all 1 processes, in groups of one size"):
            Group(groups)


PROCESSES = """
import sys
from itertools import islice
import jax, numpy as np
rank = int(sys.argv[1])
jax.distributed.initialize(f"127.0.0.1:{sys.argv[2]}", num_processes=2, process_id=rank)
from jax.sharding import Mesh, NamedSharding, PartitionSpec as P
from mixtera.adapters.jax import MixteraLoader, topology
from mixtera.adapters.jax.losses import component_sums, report
from mixtera.errors import PlanError
from mixtera.jobs import Job
from mixtera.plan import Plan

devices = np.array(jax.devices())                                 # 2 processes with 2 devices each
across = Mesh(devices.reshape(2, 2), ("data", "model"))           # a process is a row: two ranks
along = Mesh(devices.reshape(2, 2).T, ("data", "model"))          # a process is a column: one rank, both read the same
places = [topology(mesh) for mesh in (across, along)]
try:
    topology(Mesh(devices[[0, 2, 1, 3]].reshape(4, 1), ("data", "model")))
    fits = True
except PlanError:
    fits = False
try:
    topology(Mesh(devices[[0, 1, 2]].reshape(3, 1), ("data", "model")))
except PlanError as error:
    refused = str(error)
plan, samples = Plan.open(sys.argv[3]), []
for number, mesh in enumerate((across, along)):
    with Job.local(plan, f"{sys.argv[4]}-{number}") as job:
        batches = iter(MixteraLoader(job, 8 // places[number].world_size, sharding=NamedSharding(mesh, P("data"))))
        total = jax.jit(lambda ids: component_sums(jax.numpy.ones(ids.shape), ids, 3),
                        out_shardings=NamedSharding(mesh, P()))
        for step, batch in enumerate(islice(batches, 5)):
            assert batch["component_id"].shape == (8,)
            found = report(job, step, *total(batch["component_id"]))
            assert sum(found.loss_count.values()) == 8
        samples.append(batch["sample"].tolist())
        job.flush()
        if rank == 0:
            assert job.status()["step"] == 4 and job.status()["topology"]["world_size"] == places[number].world_size
        batches.close()
print(refused)
print([(place.rank, place.world_size) for place in places], fits, samples)
jax.distributed.shutdown()
"""


FIRST = """
import sys
from itertools import islice
import jax, numpy as np
rank = int(sys.argv[1])
jax.distributed.initialize(f"127.0.0.1:{sys.argv[2]}", num_processes=4, process_id=rank)
from jax.sharding import Mesh, NamedSharding, PartitionSpec as P
from mixtera.adapters.jax import MixteraLoader
from mixtera.errors import MixteraError, PlanError
from mixtera.plan import Plan

files = sys.argv[4]
plan = Plan.open(sys.argv[3], remap={files: files + "-nowhere"} if rank % 2 else None)  # of two, one sees the data
sharding = NamedSharding(Mesh(np.array(jax.devices()).reshape(2, 2), ("data", "model")), P("data"))
batches = iter(MixteraLoader(plan, 4, sharding=sharding, read="first"))
found, texts = [], []
for batch in islice(batches, 12):
    assert batch["component_id"].shape == (8,)
    found += batch["sample"].tolist()
    texts += batch["text"].tolist()
state = batches.get_state()
batches.set_state(plan.state_at(8))
assert next(batches)["sample"].tolist() == found[4:8]
batches.set_state(plan.state_at(len(plan) // 8 * 8 - 16))
assert len(list(batches)) == 2 and next(batches, None) is None
batches.close()
lost = Plan.open(sys.argv[3], remap={files: files + "-nowhere"} if rank == 2 else None)
try:
    next(iter(MixteraLoader(lost, 4, sharding=sharding, read="first")))
except MixteraError as error:
    said = f"{type(error).__name__}: {error}"
for options in ({"rank": 0, "world_size": 2}, {"sharding": sharding, "read": "wat"}):
    try:
        MixteraLoader(plan, 4, **{"read": "first", **options})
    except PlanError as error:
        refused = str(error)
        assert refused.startswith(("read='first' needs to know which processes", "read is 'wat'; it must be")), refused
print(said)
print([state["position"], found, texts])
jax.distributed.shutdown()
"""


def started(program: str, processes: int, devices: int, *words: str) -> list[tuple[str, str]]:
    """What processes say that hold some devices each; all of them end well."""
    port = str(free_ports(1)[0])
    flags = f"--xla_force_host_platform_device_count={devices}"
    environment = os.environ | {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags}
    ranks = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(rank), port, *words],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(processes)
    ]
    said = [rank.communicate(timeout=600) for rank in ranks]
    assert [rank.returncode for rank in ranks] == [0] * processes, said
    return said


def test_one_process_reads_for_those_that_work_on_the_same_samples(tmp_path: Path) -> None:
    plan = jsonl_plan(tmp_path)
    said = started(FIRST, 4, 1, str(plan.path), str(tmp_path / "files"))
    table = plan.samples(0, 96)
    order, rows = table["sample"].to_pylist(), table["row"].to_pylist()
    for rank, (out, _) in enumerate(said):
        failed, last = out.splitlines()[-2:]
        own = [at for at in range(96) if at // 4 % 2 == rank // 2]
        position, found, texts = ast.literal_eval(last)
        assert (position, found) == (96, [order[at] for at in own])
        assert all(text.endswith(f"row {rows[at]} ") for text, at in zip(texts, own, strict=True))
        if rank < 2:
            assert failed == "MixteraError: process 2, which reads for others, failed; its log says why"
        else:
            whose = "the rank that reads for this one failed: " if rank == 3 else "source 'data'"
            assert failed.startswith(f"StorageError: {whose}")
            assert "files-nowhere" in failed


def test_processes_that_hold_the_same_rows_read_the_same_samples(following: Plan, tmp_path: Path) -> None:
    said = started(PROCESSES, 2, 2, str(following.path), str(tmp_path / "job"))
    with Job.local(None, str(tmp_path / "job-0")) as job:
        order = [sample for _, sample in decided(job, 32, 40)]
    for rank, (out, _) in enumerate(said):
        refused, last = out.splitlines()[-2:]
        assert refused.startswith("the processes hold parts (0, 1), (2,) of 3 of the batch: they must be the same")
        own = order[4 * rank : 4 * rank + 4]
        assert last == f"{[(rank, 2), (0, 1)]} True {[own, order]}"
