"""One of the ranks of test_torch_ranks: rank, world size, directory. Says what it found as a line of JSON."""

from __future__ import annotations

import json
import sys
from itertools import islice
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh

from mixtera.adapters.torch import loader, topology
from mixtera.adapters.torch.losses import component_sums, report
from mixtera.errors import MixteraError
from mixtera.jobs import Job
from mixtera.plan import Plan

SHAPES = [
    "dp:2 tp:2",
    "dp_replicate:2 dp_shard:2",
    "pp:2 dp_shard:2",
    "dp_replicate:1 dp_shard:2 cp:2",
    "ep:2 tp:2",
    "pp:2 tp:2",
]


def mesh_of(shape: str) -> Any:
    names, sizes = zip(*(part.split(":") for part in shape.split()), strict=True)
    return init_device_mesh("cpu", tuple(map(int, sizes)), mesh_dim_names=names)


def listed(shape: str, data: tuple[str, ...] | None = None) -> list[Any]:
    place = topology(mesh_of(shape), data)
    return [place.rank, place.world_size, list(place.peers), list(place.data)]


def read(root: Path, mesh: Any, how: str, workers: int) -> dict[str, Any]:
    """The whole stream of this rank."""
    with Job.local(Plan.open(str(root / "plan")), str(root / f"job {how} {workers}")) as job:
        batches = loader(job, 7, num_workers=workers, topology=topology(mesh), read=how)  # type: ignore[arg-type]
        opened = False
        found = []
        for batch in batches:
            found.append(batch)
            opened = opened or any("part-" in file for file in open_files())
        first = {name: value if isinstance(value, list) else value.tolist() for name, value in found[0].items()}
        return {
            "samples": [batch["sample"].tolist() for batch in found],
            "position": batches.state_dict()["position"],
            "first": first,
            "opened files": opened,
        }


def reported(root: Path, mesh: Any) -> list[Any]:
    """Three steps, whose losses are told to a job: 1 for each sample on rank 0, 2 on rank 1, and so on."""
    place = topology(mesh)
    group = place.data_group()
    with Job.local(Plan.open(str(root / "plan")), str(root / "job losses")) as job:
        found = []
        for step, batch in enumerate(islice(loader(job, 5, topology=place), 3)):
            losses = torch.full((5, 2), 1.0 + dist.get_rank())
            sums = component_sums(losses, batch["component_id"], 3)
            again = component_sums(losses, batch["component_id"], 3)
            told = report(job, step, sums + again, group)
            assert sums.equal(again)
            found.append([told.loss_sum, told.loss_count])
        job.flush()
        dist.barrier()
        return [found, job.status()["step"], job.checkpoint()["position"]]


def open_files() -> list[str]:
    return [str(file.readlink()) for file in Path("/proc/self/fd").iterdir() if file.exists()]


def failure(root: Path, mesh: Any, workers: int) -> list[str]:
    try:
        list(loader(root / "broken-plan", 7, num_workers=workers, topology=topology(mesh), read="first"))
    except MixteraError as error:
        return [type(error).__name__, str(error)]
    return []


def found(root: Path) -> dict[str, Any]:
    meshes: dict[str, Any] = {shape: listed(shape) for shape in SHAPES}
    try:
        listed("dp:2 foo:2")
    except MixteraError as error:
        meshes["odd"] = str(error)
    meshes["odd, told"] = listed("dp:2 foo:2", ("dp",))
    mesh = mesh_of("dp:2 tp:2")
    ways = [("every", 0), ("first", 0), ("first", 1)]
    streams = {f"{how} {workers}": read(root, mesh, how, workers) for how, workers in ways}
    failures = {str(workers): failure(root, mesh, workers) for workers in (0, 1)}
    losses = reported(root, mesh)
    dist.barrier()
    return {"meshes": meshes, "read": streams, "failures": failures, "losses": losses}


def main() -> None:
    rank, world, root = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    dist.init_process_group("gloo", init_method=f"file://{root / 'store'}", rank=rank, world_size=world)
    said = found(root)  # nobody has a group any more behind it: see examples/torch_pretraining.py
    dist.destroy_process_group()
    print(json.dumps(said))


main()
