"""A job in trainers of torchtitan's kind: a data loader that is `Stateful`, in a DCP checkpoint beside the model.

::

    torchrun --standalone --nproc-per-node 4 examples/torch_titan.py plans/ado --tensor 2 --steps 50
    torchrun --standalone --nproc-per-node 2 examples/torch_titan.py plans/ado --tensor 1 --steps 100 --resume

torchtitan keeps a state for each data-parallel rank, and cannot go on with another number of them. Here all ranks have
the same state, of a few numbers, so it is a plain entry of the checkpoint, and any number goes on.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch import Tensor, nn
from torch.distributed.checkpoint.stateful import Stateful
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.nn import functional
from torch_pretraining import GPT, append

import mixtera
from mixtera.adapters.torch import loader, topology
from mixtera.adapters.torch.losses import component_sums, report


class TitanLoader(Stateful):
    """What torchtitan's trainer asks of a data loader: (inputs, labels) batches, and a state."""

    def __init__(self, job: mixtera.Job, rows: int, mesh: DeviceMesh) -> None:
        place = topology(mesh)  # ranks of one tensor-parallel group have one place, and get the same batches
        self.data_group = place.data_group()
        self._batches = loader(job, batch_size=rows // place.world_size, topology=place, read="first")

    def __iter__(self) -> Iterator[tuple[dict[str, Any], Tensor]]:
        for batch in self._batches:
            yield batch | {"input": batch["tokens"][:, :-1]}, batch["tokens"][:, 1:].long()

    def state_dict(self) -> dict[str, Any]:
        """The same on every rank."""
        return self._batches.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from it."""
        self._batches.load_state_dict(state_dict)


class Progress(Stateful):
    """The number of steps that are done."""

    step = 0

    def state_dict(self) -> dict[str, Any]:
        """A number."""
        return {"step": self.step}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from it."""
        self.step = state_dict["step"]


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Train with a DCP checkpoint, on a mesh of data and tensor ranks.")
    parser.add_argument("plan", help="directory that `mixtera compile` has written")
    parser.add_argument("--job", default="jobs/titan", help="directory of the job")
    parser.add_argument("--tensor", type=int, default=1, help="ranks that work on the same samples")
    parser.add_argument("--steps", type=int, default=50, help="last step, counted from the start of the run")
    parser.add_argument("--batch", type=int, default=16, help="rows of a step over all ranks")
    parser.add_argument("--checkpoint", type=Path, default=Path("checkpoints/titan"), help="directory")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint")
    parser.add_argument("--losses", type=Path, help="file that gets a line of JSON for each step")
    return parser.parse_args()


def train(arguments: argparse.Namespace) -> None:
    """Train. The ranks of a tensor-parallel group all have the whole model here: what is shown is the data."""
    shape = (dist.get_world_size() // arguments.tensor, arguments.tensor)
    mesh = init_device_mesh("cpu", shape, mesh_dim_names=("dp_shard", "tp"))
    torch.set_num_threads(1)
    torch.manual_seed(0)

    job = mixtera.Job.local(mixtera.Plan.open(arguments.plan), arguments.job)
    batches, progress = TitanLoader(job, arguments.batch, mesh), Progress()
    model = GPT(job.plan.tokens.vocab_size, job.plan.tokens.sequence_length)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    states = {"dataloader": batches, "train_state": progress}
    if arguments.resume:
        last = max(arguments.checkpoint.glob("step-*"), key=lambda path: int(path.name.removeprefix("step-")))
        kept = {"model": model.state_dict(), **states}
        dcp.load(kept, checkpoint_id=str(last))
        model.load_state_dict(kept["model"])
    trained = nn.parallel.DistributedDataParallel(model, process_group=mesh["dp_shard"].get_group())

    first = dist.get_rank() == 0
    steps = range(progress.step + 1, arguments.steps + 1)
    for step, (batch, labels) in zip(steps, batches, strict=False):
        logits = trained(batch["input"], batch["document_ids"], batch["position_ids"])
        losses = functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none").view_as(labels)
        optimizer.zero_grad()
        (losses * batch["loss_mask"]).mean().backward()
        optimizer.step()
        sums = component_sums(losses, batch["component_id"], len(job.components), batch["loss_mask"])
        found = report(job, step, sums, batches.data_group)
        progress.step = step
        if arguments.losses:
            parts: list[Any] = [None] * dist.get_world_size()
            dist.all_gather_object(parts, hashlib.sha256(batch["tokens"].numpy().tobytes()).hexdigest())
            if first:
                append(arguments.losses, {"step": step, "batches": parts, "loss": found.loss})
    if first:
        print(json.dumps(job.checkpoint()), flush=True)  # the job notes that a checkpoint is kept here
    path = arguments.checkpoint / f"step-{progress.step}"
    dcp.save({"model": model.state_dict(), **states}, checkpoint_id=str(path))
    job.close()


def main() -> None:
    """Train on torchrun's ranks. How they end: see torch_pretraining.py."""
    arguments = parsed()
    dist.init_process_group("gloo")
    train(arguments)
    dist.destroy_process_group()


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
