"""A job in Lightning: a DataModule whose state is in the checkpoint, and a module that tells losses by component.

::

    python examples/lightning_data.py plans/ado --steps 20
    torchrun --standalone --nproc-per-node 2 examples/lightning_data.py plans/ado --ranks 2 --steps 40 --resume
"""

from __future__ import annotations

import argparse
import gc
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from lightning import LightningDataModule, LightningModule, Trainer
from torch import Tensor
from torch.nn import functional
from torch_pretraining import GPT

import mixtera
from mixtera.adapters.torch import loader
from mixtera.adapters.torch.losses import component_sums, report


class Positioned:
    """Batches, each with the position behind it: Lightning takes one more than it has trained on."""

    def __init__(self, batches: Any) -> None:
        self._batches = batches

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for batch in self._batches:
            yield batch | {"position": self._batches.state_dict()["position"]}


class JobData(LightningDataModule):
    """The batches of a job. Lightning keeps `state_dict` in its checkpoints."""

    def __init__(self, job: mixtera.Job, rows: int) -> None:
        super().__init__()
        self.job, self.rows, self.position = job, rows, job.start

    def train_dataloader(self) -> Positioned:
        """The rows of this rank, from the position that was trained up to."""
        assert self.trainer is not None
        rank, ranks = self.trainer.global_rank, self.trainer.world_size
        batches = loader(self.job, self.rows // ranks, rank=rank, world_size=ranks, start=self.position)
        return Positioned(batches)

    def state_dict(self) -> dict[str, Any]:
        """A few numbers, the same on every rank."""
        return self.job.checkpoint(self.position)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from it."""
        self.job.load_state_dict(state_dict)
        self.position = self.job.start


class Model(LightningModule):
    """The model of torch_pretraining.py."""

    def __init__(self, data: JobData) -> None:
        super().__init__()
        self.job, self.data = data.job, data
        self.model = GPT(data.job.plan.tokens.vocab_size, data.job.plan.tokens.sequence_length)
        self.seen: list[list[int]] = []

    def training_step(self, batch: dict[str, Any], _: int) -> dict[str, Tensor]:
        """The loss, and its parts by component."""
        inputs, labels = batch["tokens"][:, :-1], batch["tokens"][:, 1:].long()
        logits = self.model(inputs, batch["document_ids"], batch["position_ids"])
        losses = functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none").view_as(labels)
        mask = batch["loss_mask"]
        sums = component_sums(losses, batch["component_id"], len(self.job.components), mask)
        return {"loss": (losses * mask).sum() / mask.sum(), "sums": sums}

    def on_train_batch_end(self, outputs: Any, batch: dict[str, Any], _: int) -> None:
        """Tell the job, which cannot know that the loader is a batch ahead."""
        report(self.job, self.global_step, outputs["sums"], position=batch["position"])
        self.data.position = batch["position"]
        self.seen += batch["tokens"][:, :8].tolist()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW."""
        return torch.optim.AdamW(self.parameters(), lr=3e-3)


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Train a small GPT with Lightning.")
    parser.add_argument("plan", help="directory that `mixtera compile` has written")
    parser.add_argument("--job", default="jobs/lightning", help="directory of the job")
    parser.add_argument("--ranks", type=int, default=1, help="as many as torchrun starts")
    parser.add_argument("--steps", type=int, default=20, help="last step, counted from the start of the run")
    parser.add_argument("--batch", type=int, default=16, help="rows of a step over all ranks")
    parser.add_argument("--checkpoint", type=Path, default=Path("checkpoints/lightning.ckpt"), help="file")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint")
    parser.add_argument("--seen", type=Path, help="file for how each row began; {rank} in it is replaced")
    return parser.parse_args()


def train(arguments: argparse.Namespace) -> None:
    """Train to the last step."""
    torch.set_num_threads(1)
    job = mixtera.Job.local(mixtera.Plan.open(arguments.plan), arguments.job)
    data = JobData(job, arguments.batch)
    model = Model(data)
    trainer = Trainer(
        accelerator="cpu",
        devices=arguments.ranks,
        strategy="ddp" if arguments.ranks > 1 else "auto",
        max_steps=arguments.steps,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(model, data, ckpt_path=arguments.checkpoint if arguments.resume else None, weights_only=False)
    trainer.save_checkpoint(arguments.checkpoint)
    if arguments.seen:
        name = str(arguments.seen).replace("{rank}", str(trainer.global_rank))
        Path(name).write_text(json.dumps(model.seen), encoding="utf-8")
    if trainer.is_global_zero:
        print({name: round(weight, 3) for name, weight in job.weights.items()})
    job.close()


def main() -> None:
    """Train; of torchrun's ranks, if it has started this. How they end: see torch_pretraining.py."""
    train(parsed())
    gc.collect()  # a Trainer and its parts know each other
    if dist.is_initialized():
        dist.destroy_process_group()


if __name__ == "__main__":
    main()
