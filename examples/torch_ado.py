"""Train a small GPT with PyTorch on a mixture that follows its losses: stop, and go on with another number of ranks.

::

    python examples/ado_corpus.py ado-corpus
    mixtera index examples/ado.yaml
    mixtera compile examples/ado.yaml -o plans/ado
    torchrun --standalone --nproc-per-node 2 examples/torch_ado.py plans/ado --steps 300
    torchrun --standalone --nproc-per-node 4 examples/torch_ado.py plans/ado --steps 600 --resume

The model is that of `torch_pretraining.py`. What is new are the lines with `job`.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from dataclasses import asdict
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional
from torch_pretraining import GPT, append, batch_digest, ranks, save

import mixtera
from mixtera.adapters.losses import LossReport
from mixtera.adapters.torch import loader
from mixtera.adapters.torch.losses import component_sums, report

PRINT_EVERY = 20


def train_step(model: nn.Module, optimizer: torch.optim.Optimizer, batch: dict, components: int) -> Tensor:
    """One step on this rank's part of the batch; returns its losses by component."""
    inputs, labels = batch["tokens"][:, :-1], batch["tokens"][:, 1:].long()
    mask = batch["loss_mask"]
    logits = model(inputs, batch["document_ids"], batch["position_ids"])
    losses = functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none").view_as(labels)
    counted = mask.sum()  # of all ranks: see torch_pretraining.py
    if dist.is_initialized():
        dist.all_reduce(counted)
    loss = (losses * mask).sum() * ranks() / counted
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return component_sums(losses, batch["component_id"], components, mask)


def settle(job: mixtera.Job) -> None:
    """Wait for the fit that is under way: not needed, but a run that does so can be repeated exactly."""
    while job.status()["fit"] is not None:
        time.sleep(0.02)


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Train a small GPT on a mixture that follows its losses.")
    parser.add_argument("plan", help="directory that `mixtera compile` has written")
    parser.add_argument("--job", default="jobs/torch-ado", help="directory of the job")
    parser.add_argument("--steps", type=int, default=300, help="last step, counted from the start of the run")
    parser.add_argument("--batch", type=int, default=16, help="rows of a step over all ranks")
    parser.add_argument("--workers", type=int, default=0, help="processes that read, for each rank")
    parser.add_argument("--checkpoint", type=Path, default=Path("checkpoints/torch-ado"), help="directory")
    parser.add_argument("--save-every", type=int, default=100, help="steps; the last one is saved as well")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint")
    parser.add_argument("--losses", type=Path, help="file that gets a line of JSON for each step")
    parser.add_argument("--settle", action="store_true", help="wait for fits")
    return parser.parse_args()


def train(arguments: argparse.Namespace) -> None:
    """Train to the last step."""
    first = not dist.is_initialized() or dist.get_rank() == 0
    if arguments.batch % ranks():
        sys.exit(f"--batch {arguments.batch} cannot be divided by {ranks()} ranks")
    path = arguments.checkpoint / "last.pt"
    checkpoint = torch.load(path) if arguments.resume else None
    if first and checkpoint is None and Path(arguments.job).exists():
        sys.exit(f"{arguments.job} is a job already: --resume it, or name another --job")
    if dist.is_initialized():
        dist.barrier()

    if checkpoint is None:
        job = mixtera.Job.local(mixtera.Plan.open(arguments.plan), arguments.job)  # the first rank here makes it
    else:
        job = mixtera.Job.resume(checkpoint["data"])  # whatever the number of ranks was
    batches = loader(job, batch_size=arguments.batch // ranks(), num_workers=arguments.workers)

    torch.set_num_threads(1)  # more of them only wait for each other in so small a model
    torch.manual_seed(0)
    model = GPT(job.plan.tokens.vocab_size, job.plan.tokens.sequence_length)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    done = 0
    if checkpoint is not None:
        model.load_state_dict(checkpoint["model"])
        optimizer.load_state_dict(checkpoint["optimizer"])
        done = checkpoint["step"]
    trained = nn.parallel.DistributedDataParallel(model) if dist.is_initialized() else model

    recent: LossReport | None = None
    for step, batch in zip(range(done + 1, arguments.steps + 1), batches, strict=False):
        sums = train_step(trained, optimizer, batch, len(job.components))
        found = report(job, step, sums)  # one exchange between the ranks; the first one tells the job
        recent = found if recent is None else recent + found
        if first and arguments.settle:
            settle(job)
        if step % PRINT_EVERY == 0:
            if first:
                weights = job.weights
                parts = (f"{name} {loss:.2f} at {weights[name]:4.0%}" for name, loss in recent.mean.items())
                print(f"step {step:4}  " + "  ".join(parts), flush=True)
            recent = None
        if arguments.losses:
            digest = batch_digest(batch["tokens"])  # every rank takes part
            if first:
                line = {"step": step, "ranks": ranks(), "batch": digest, "loss": found.loss}
                append(arguments.losses, line | asdict(found) | {"weights": job.weights})
        if first and (step % arguments.save_every == 0 or step == arguments.steps):
            states = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
            save(path, {"step": step, "data": job.checkpoint(), **states})
    job.close()


def main() -> None:
    """Train; of torchrun's ranks, if it has started this. How they end: see torch_pretraining.py."""
    arguments = parsed()
    if "WORLD_SIZE" in os.environ:
        dist.init_process_group("gloo")
    train(arguments)
    if dist.is_initialized():
        dist.destroy_process_group()


if __name__ == "__main__":
    main()
