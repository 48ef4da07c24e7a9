"""JAX over a job: what it decides, the position that was taken, processes that hold the same rows."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import islice
from pathlib import Path

import jax
import numpy as np
import pytest
from jax.sharding import Mesh

from mixtera.adapters.jax import Coordinate, MixteraLoader, topology
from mixtera.errors import PlanError
from mixtera.jobs import Job
from mixtera.plan import Plan
from tests.jobs.following import ROUND, decided, following_plan, push
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


def test_processes_that_hold_the_same_rows_read_the_same_samples(following: Plan, tmp_path: Path) -> None:
    port = str(free_ports(1)[0])
    environment = os.environ | {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    ranks = [
        subprocess.Popen(
            [sys.executable, "-c", PROCESSES, str(rank), port, str(following.path), str(tmp_path / "job")],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    said = [rank.communicate(timeout=600) for rank in ranks]
    assert [rank.returncode for rank in ranks] == [0, 0], said
    with Job.local(None, str(tmp_path / "job-0")) as job:
        order = [sample for _, sample in decided(job, 32, 40)]
    for rank, (out, _) in enumerate(said):
        refused, last = out.splitlines()[-2:]
        assert refused.startswith("the processes hold parts (0, 1), (2,) of 3 of the batch: they must be the same")
        own = order[4 * rank : 4 * rank + 4]
        assert last == f"{[(rank, 2), (0, 1)]} True {[own, order]}"
