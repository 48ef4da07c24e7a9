"""Train a small GPT with PyTorch on raw text: stop, and go on with another number of ranks.

::

    mixtera demo                                            # makes the corpus, once
    mixtera index examples/pretraining.yaml
    mixtera compile examples/pretraining.yaml -o plans/pretraining
    torchrun --standalone --nproc-per-node 2 examples/torch_pretraining.py plans/pretraining --steps 100
    torchrun --standalone --nproc-per-node 4 examples/torch_pretraining.py plans/pretraining --steps 200 --resume

The batch of a step is the same whatever the number of ranks, and so is the loss but for rounding.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path

import torch
import torch.distributed as dist
import torch.distributed.nn  # before a group begins: whoever imports it later keeps the group for ever (see `main`)
from torch import Tensor, nn
from torch.nn import functional

import mixtera
from mixtera.adapters.torch import loader
from mixtera.adapters.torch.losses import LossReport, loss_by_component
from mixtera.adapters.torch.masks import document_mask

PRINT_EVERY = 20


class Block(nn.Module):
    """Attention inside documents, then two layers for each token."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.before_attention, self.before_layers = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query_key_value, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.layers = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """[B, T, width] → the same."""
        split = self.query_key_value(self.before_attention(x)).unflatten(-1, (3, self.heads, -1))
        query, key, value = split.permute(2, 0, 3, 1, 4)  # each [B, heads, T, width / heads]
        seen = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        x = x + self.out(seen.transpose(1, 2).flatten(2))
        return x + self.layers(self.before_layers(x))


class GPT(nn.Module):
    """A decoder whose positions begin anew in every document."""

    def __init__(self, vocabulary: int, length: int, width: int = 64, heads: int = 4, blocks: int = 2) -> None:
        super().__init__()
        self.token, self.position = nn.Embedding(vocabulary, width), nn.Embedding(length, width)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(blocks))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, vocabulary)

    def forward(self, tokens: Tensor, document_ids: Tensor, position_ids: Tensor) -> Tensor:
        """[B, T] each → logits [B, T, vocabulary]."""
        x, mask = self.token(tokens) + self.position(position_ids), document_mask(document_ids)
        for block in self.blocks:
            x = block(x, mask)
        return self.head(self.norm(x))


def train_step(model: nn.Module, optimizer: torch.optim.Optimizer, batch: dict, names: list[str]) -> LossReport:
    """One step on this rank's part of the batch; what it returns is of the whole batch."""
    inputs, labels = batch["tokens"][:, :-1], batch["tokens"][:, 1:].long()
    mask = batch["loss_mask"]  # false where the label already belongs to the next document
    logits = model(inputs, batch["document_ids"], batch["position_ids"])
    losses = functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none").view_as(labels)
    # A mean of the ranks' means would weigh tokens by the rank they are on. Divide by the tokens of all ranks instead;
    # DistributedDataParallel averages gradients over the ranks, so multiply by how many there are.
    counted = mask.sum()
    if dist.is_initialized():
        dist.all_reduce(counted)
    loss = (losses * mask).sum() * ranks() / counted
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss_by_component(losses, batch["component_id"], names, mask)


def ranks() -> int:
    """How many ranks train."""
    return dist.get_world_size() if dist.is_initialized() else 1


def batch_digest(tokens: Tensor) -> str:
    """A digest of the tokens of all ranks: what the step has trained on."""
    parts = [torch.empty_like(tokens) for _ in range(ranks())]
    if dist.is_initialized():
        dist.all_gather(parts, tokens.contiguous())
    else:
        parts = [tokens]
    return hashlib.sha256(torch.cat(parts).numpy().tobytes()).hexdigest()


def save(path: Path, checkpoint: dict) -> None:
    """Write a checkpoint: whoever reads it, whenever, finds a whole one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".tmp")
    with partial.open("wb") as file:
        torch.save(checkpoint, file)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def append(path: Path, line: dict) -> None:
    """Add a line of JSON to a file."""
    with path.open("a", encoding="utf-8") as file:
        print(json.dumps(line), file=file)


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Train a small GPT on a plan of tokens.")
    parser.add_argument("plan", help="directory that `mixtera compile` has written")
    parser.add_argument("--steps", type=int, default=100, help="last step, counted from the start of the run")
    parser.add_argument("--batch", type=int, default=8, help="rows of a step over all ranks")
    parser.add_argument("--checkpoint", type=Path, default=Path("checkpoints/torch"), help="directory")
    parser.add_argument("--save-every", type=int, default=50, help="steps; the last one is saved as well")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint")
    parser.add_argument("--losses", type=Path, help="file that gets a line of JSON for each step")
    return parser.parse_args()


def train(arguments: argparse.Namespace) -> None:
    """Train to the last step."""
    if arguments.batch % ranks():
        sys.exit(f"--batch {arguments.batch} cannot be divided by {ranks()} ranks")
    first = not dist.is_initialized() or dist.get_rank() == 0

    plan = mixtera.Plan.open(arguments.plan)
    names = list(plan.components)
    torch.set_num_threads(1)  # more of them only wait for each other in so small a model
    torch.manual_seed(0)
    model = GPT(plan.tokens.vocab_size, plan.tokens.sequence_length)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    batches = loader(plan, batch_size=arguments.batch // ranks())  # it knows the rank from torch.distributed
    done, path = 0, arguments.checkpoint / "last.pt"
    if arguments.resume:
        if not path.exists():
            sys.exit(f"{path} does not exist: nothing to --resume from")
        checkpoint = torch.load(path)
        model.load_state_dict(checkpoint["model"])
        optimizer.load_state_dict(checkpoint["optimizer"])
        batches.load_state_dict(checkpoint["data"])  # whatever the number of ranks was
        done = checkpoint["step"]
    trained = nn.parallel.DistributedDataParallel(model) if dist.is_initialized() else model

    recent: LossReport | None = None  # reports add up: losses are printed as means of several steps
    for step, batch in zip(range(done + 1, arguments.steps + 1), batches, strict=False):
        report = train_step(trained, optimizer, batch, names)
        recent = report if recent is None else recent + report
        if step % PRINT_EVERY == 0:
            if first:
                parts = "  ".join(f"{name} {value:.3f}" for name, value in recent.mean.items())
                print(f"step {step:4}  {parts}", flush=True)
            recent = None
        if arguments.losses:
            digest = batch_digest(batch["tokens"])  # every rank takes part
            if first:
                line = {"step": step, "ranks": ranks(), "batch": digest, "loss": report.loss}
                append(arguments.losses, line | asdict(report))
        if first and (step % arguments.save_every == 0 or step == arguments.steps):
            states = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
            save(path, {"step": step, "data": batches.state_dict(), **states})


def main() -> None:
    """Train; of torchrun's ranks, if it has started this.

    A group ends when nobody has it any more, so the model, which has it too, goes first. Threads of Gloo that outlive
    the interpreter abort the process at times (https://github.com/pytorch/pytorch/issues/190489).
    """
    arguments = parsed()
    if "WORLD_SIZE" in os.environ:
        dist.init_process_group("gloo")
    train(arguments)
    if dist.is_initialized():
        dist.destroy_process_group()


if __name__ == "__main__":
    main()
